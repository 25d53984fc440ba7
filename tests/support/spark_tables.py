"""Tables as Delta on Spark makes them, one for every feature: how each is made, written to, and written to once more after a compaction."""

from __future__ import annotations

from dataclasses import dataclass, field

COLUMNS = "id bigint, v string, x double, p int"
FIRST = [
    "insert into {t} select id, concat('row ', id), id / 4, cast(id % 2 as int) from range(0, 40, 1, 4)",
    "insert into {t} values (100, null, 0.5, 0), (101, 'late', null, 1)",
]
LATER = [
    "insert into {t} values (200, 'after', 1.5, 1)",
    "update {t} set v = concat(v, '!') where id % 10 = 3",
    "delete from {t} where id in (5, 101)",
    "merge into {t} t using (select 7 as id, 'merged' as v union all select 300, 'new') s on t.id = s.id "
    "when matched then update set v = s.v when not matched then insert (id, v, x, p) values (s.id, s.v, 0.0, 0)",
]
SHORT = LATER[:2]


def properties(**pairs: str) -> str:
    """TBLPROPERTIES of `delta.` keys."""
    return "tblproperties (" + ", ".join(f"'delta.{key.replace('__', '.')}' = '{value}'" for key, value in pairs.items()) + ")"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One kind of table. first: statements before the first compaction; later: after it, and again: after Spark's own OPTIMIZE.

    tracked: rows have ids; fed: there is a change feed; vacuumed: Spark's VACUUM comes last, where names or kinds of files are special;
    never: a query that must find nothing at the end.
    """

    columns: str = COLUMNS
    more: str = ""
    first: list[str] = field(default_factory=lambda: FIRST)
    later: list[str] = field(default_factory=lambda: SHORT)
    again: list[str] = field(default_factory=list)
    tracked: bool = False
    fed: bool = False
    vacuumed: bool = False
    never: str | None = None


DELETES = ["delete from {t} where id % 5 = 1", "update {t} set x = -1 where id % 7 = 2"]
ODD_COLUMNS, ODD = "id bigint, v string, d decimal(5,2), t timestamp, b binary", "partitioned by (v, d, t) "
ODD_FIRST = [
    "insert into {t} select id, v, d, t, b from values (1, 'a b', -1.50, timestamp '2021-09-08 11:11:11.123456', x'00ff'), "
    "(2, 'x:y/%20', -0.25, null, null), (3, 'Grüße 日本', null, timestamp '1969-12-31 23:59:59.999999', x'01'), (4, null, 0, null, x''), "
    "(5, '\u00a0\u2003\N{GRINNING FACE}e\u0301', 1, null, null), (6, '=+#?&;,@~^|{}[]<>*\\'\"\\\\', 1, null, null) as rows(id, v, d, t, b)",
]
ODD_FIRST.append(ODD_FIRST[0].replace("select id,", "select id + 10,"))
ODD_FIRST.append(ODD_FIRST[0].replace("select id,", "select id + 20,"))
ODD_DELETES = ["delete from {t} where id in (3, 14, 25, 26)"]
ODD_LATER = [ODD_FIRST[0].replace("select id,", "select id + 30,"), "delete from {t} where id in (1, 12, 13, 24, 15, 16)"]
FEATURES = {
    "plain": Feature(later=LATER, vacuumed=True),
    "partitioned": Feature(more="partitioned by (p)", vacuumed=True),
    "deletion-vectors": Feature(more=properties(enableDeletionVectors="true"), first=[*FIRST, *DELETES]),
    "deletion-vectors-in-partitions": Feature(
        more="partitioned by (p) " + properties(enableDeletionVectors="true"), first=[*FIRST, *DELETES], later=LATER
    ),
    "renamed-and-dropped-columns": Feature(
        more=properties(columnMapping__mode="name"),
        first=[
            *FIRST,
            "alter table {t} rename column v to `a strange (name), renamed`",
            "alter table {t} drop column x",
            "alter table {t} add column (x string)",
            "insert into {t} values (400, 'again', 1, 'a string now')",
            "alter table {t} rename column `a strange (name), renamed` to v",
        ],
        later=[LATER[0].replace("1.5, 1", "1, 'x'"), LATER[1]],
        vacuumed=True,
    ),
    "mapping-by-id": Feature(more=properties(columnMapping__mode="id")),
    "row-tracking": Feature(more=properties(enableRowTracking="true"), tracked=True),
    "row-tracking-with-everything": Feature(
        more="partitioned by (p) "
        + properties(
            enableRowTracking="true",
            enableDeletionVectors="true",
            columnMapping__mode="name",
            enableChangeDataFeed="true",
            enableInCommitTimestamps="true",
        ),
        first=[*FIRST, *DELETES],
        later=LATER,
        tracked=True,
        fed=True,
        vacuumed=True,
    ),
    "row-tracking-enabled-later": Feature(
        first=[*FIRST, "alter table {t} set tblproperties ('delta.enableRowTracking' = 'true')", FIRST[1], "update {t} set x = 2 where id = 1"],
        tracked=True,
    ),
    "identity": Feature(
        columns="n bigint generated always as identity (start with 10 increment by 3), " + COLUMNS,
        first=[
            "insert into {t} (id, v, x, p) select id, concat('row ', id), id / 4, cast(id % 2 as int) from range(0, 40, 1, 4)",
            "insert into {t} (id, v, x, p) values (100, null, 0.5, 0)",
        ],
        later=["insert into {t} (id, v, x, p) values (200, 'after', 1.5, 1)", LATER[2]],
        never="select n from {t} group by n having count(*) > 1",
    ),
    "generated": Feature(
        columns="id bigint, v string, x double, p int, half bigint generated always as (id div 2), day date generated always as (date '2024-01-01')",
        first=["insert into {t} (id, v, x, p) select id, concat('row ', id), id / 4, 1 from range(0, 40, 1, 4)"],
        later=["insert into {t} (id, v, x, p) values (201, 'after', 1.5, 1)", LATER[2]],
        never="select * from {t} where half is distinct from id div 2",
    ),
    "widened": Feature(
        columns="id int, v string, x float, p int, small tinyint, cost decimal(6,2), seen date",
        more=properties(enableTypeWidening="true", feature__timestampNtz="supported"),
        first=[
            "insert into {t} select cast(id as int), 'a', 0.1, 1, cast(id as tinyint), id / 8, date_add(date '1969-12-20', cast(id as int)) from range(0, 40, 1, 4)",
            "alter table {t} alter column id type bigint",
            "alter table {t} alter column x type double",
            "alter table {t} alter column small type smallint",
            "insert into {t} values (5000000000, 'b', 0.1, 2, 3000, 2.25, date '2024-02-29')",
            "alter table {t} alter column small type int",
            "alter table {t} alter column cost type decimal(12,4)",
            "alter table {t} alter column seen type timestamp_ntz",
            "insert into {t} values (6000000000, 'c', 1e300, 3, 70000, 12345678.1234, timestamp_ntz '2024-02-29 12:34:56.789012')",
        ],
        later=["insert into {t} values (7, 'd', 0.5, 4, 1, 1, timestamp_ntz '1900-01-01 00:00:00')", LATER[2]],
    ),
    "clustered": Feature(more="cluster by (id, v)", later=LATER, again=FIRST),
    "clustered-and-optimized": Feature(more="cluster by (id)", first=[*FIRST, "optimize {t}", *FIRST], again=FIRST),
    "in-commit-timestamps": Feature(more=properties(enableInCommitTimestamps="true")),
    "change-data-feed": Feature(more=properties(enableChangeDataFeed="true"), first=[*FIRST, *DELETES], fed=True),
    "change-data-feed-with-vectors": Feature(
        more=properties(enableChangeDataFeed="true", enableDeletionVectors="true"), first=[*FIRST, *DELETES], fed=True
    ),
    "constraints-and-defaults": Feature(
        columns="id bigint not null, v string default 'nothing', x double, p int",
        more=properties(feature__allowColumnDefaults="supported"),
        first=[*FIRST, "alter table {t} add constraint positive check (id >= 0)", "insert into {t} (id, x, p) values (500, 1, 1)"],
    ),
    "v2-checkpoints": Feature(more=properties(checkpointPolicy="v2", checkpointInterval="3"), first=[*FIRST, *FIRST], vacuumed=True),
    "nested": Feature(
        columns="id bigint, v string, x double, p int, s struct<a: int, b: array<struct<c: string, d: decimal(10,3)>>>, m map<string, struct<e: date>>",
        first=[
            "insert into {t} select id, 'a', 0.5, 1, if(id % 3 = 0, null, named_struct('a', cast(id as int), 'b', array(named_struct('c', 'x', 'd', id), null))), "
            "map('k', named_struct('e', date '2024-01-01'), 'l', null) from range(0, 40, 1, 4)",
        ],
        later=["delete from {t} where id in (5, 6)"],
    ),
    "variant": Feature(
        columns="id bigint, v string, x double, p int, j variant",
        first=["insert into {t} select id, 'a', 0.5, 1, parse_json(concat('{\"a\":', id, ',\"b\":[1,null]}')) from range(0, 40, 1, 4)"],
        later=["delete from {t} where id in (5, 6)"],
    ),
    "odd-partitions": Feature(columns=ODD_COLUMNS, more=ODD, first=ODD_FIRST, later=ODD_LATER, vacuumed=True),
    "odd-partitions-with-vectors": Feature(
        columns=ODD_COLUMNS, more=ODD + properties(enableDeletionVectors="true"), first=[*ODD_FIRST, *ODD_DELETES], later=ODD_LATER, vacuumed=True
    ),
    "iceberg-compat": Feature(
        more="partitioned by (p) " + properties(enableIcebergCompatV2="true", columnMapping__mode="name"), later=[LATER[0], LATER[2]]
    ),
    "all-types": Feature(
        columns="id bigint, v string, a tinyint, b smallint, c int, d float, e boolean, f decimal(38,18), g date, h timestamp, i timestamp_ntz, j binary, k void",
        first=[
            "insert into {t} (id, v, a, b, c, d, e, f, g, h, i, j) select id, repeat('é', cast(id as int)), cast(-128 + id as tinyint), cast(-32768 + id as smallint), "
            "cast(-2147483648 + id as int), cast('NaN' as float), id % 2 = 0, cast('-9999999999.123456789012345678' as decimal(38,18)) + id, "
            "date '0001-01-01', timestamp '0001-01-01 00:00:00.000001', timestamp_ntz '9999-12-31 23:59:59.999999', x'00ff' from range(0, 40, 1, 4)",
            "insert into {t} (id) values (50)",
        ],
        later=["insert into {t} (id) values (51)", LATER[2]],
    ),
}  # fmt: skip
