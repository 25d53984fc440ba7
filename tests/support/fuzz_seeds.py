"""Files to begin with for the fuzzers of native/fuzz: small ones by every writer that is here, Spark where `make test-spark` has been.

    python -m support.fuzz_seeds FOLDER [--without-spark]

Each has a few columns, so that what is changed lies where something happens; every kind of file comes with every group of columns in turn.
The folder is made anew, the same for the same versions of the writers; what a writer does not manage is said.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import random
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.modules import module_at
from support.parquet_writers import Kind, kinds
from support.spark import Spark

SPARK = Path(__file__).resolve().parents[1] / "spark"
ROWS, PAGE_BYTES = 28, 40
GROUPS = 6
"""How many groups of columns there are, a file of each kind for two of them."""
REPEATING = 12


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="fuzz_seeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without-spark", action="store_true", help="do not start Spark, even where it is")
    told = parser.parse_args()
    folder = told.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        spark = None if told.without_spark else stack.enter_context(session(Path(work)))
        made = sum(seed(kind, i, Path(work), folder) for i, kind in enumerate(kinds(spark))) + repeating(folder)
    print(f"{made} files to begin with{'' if spark else ', none by Spark, which is not here'}", flush=True)


def seed(kind: Kind, i: int, work: Path, folder: Path) -> int:
    """The files of a kind, made in `work` and moved to `folder`; how many there are."""
    made = 0
    for group in (i % GROUPS, (i + 2) % GROUPS):
        rows = kind.held(columns(group))
        if not rows.num_columns:
            continue
        path = work / f"{kind.name}-{group}.parquet"
        try:
            kind.write(rows, path, PAGE_BYTES)
        except Exception as error:  # noqa: BLE001 - a version of a writer that cannot do it is no reason to fuzz nothing
            print(f"{kind.name} writes no columns of group {group}: {' '.join(str(error).split())[:200]}")
        else:
            shutil.move(path, folder / path.name)
            made += 1
    return made


def repeating(folder: Path) -> int:
    """Files whose dictionaries are nearly their columns, with some values again, as Snappy leaves them; how many there are."""
    for number in range(REPEATING):
        chance = random.Random(number)
        values = list(range(100 * number, 100 * number + 60))
        for _ in range(1 + 4 * number):
            at = chance.randrange(1, len(values))
            values.insert(at, values[chance.randrange(at)])
        rows = {
            "key": pa.array([3_000_000 + 7 * value for value in values], pa.int64()),
            "day": pa.array(values, pa.int32()),
            "x": pa.array([None if value % 31 == 5 else value * 0.37 for value in values], pa.float64()),
            "d15": pa.array([Decimal(value * 1013) for value in values], pa.decimal128(15, 2)),
            "name": pa.array([f"name {value * 7919:06d}" for value in values]),
        }
        few = {name: rows[name] for name in chance.sample(sorted(rows), 2)}
        pq.write_table(pa.table(few), folder / f"repeating-{number}.parquet", compression="snappy")
    return REPEATING


@contextlib.contextmanager
def session(work: Path) -> Iterator[Spark | None]:
    """Spark's session where it is here already; nothing is fetched for it."""
    prepare = module_at("spark_prepare", SPARK / "prepare.py")
    if not prepare.PYTHON.exists() or prepare.missing_tool() is not None or not prepare.jars_folder().is_dir():
        yield None
        return
    with Spark(prepare.PYTHON, SPARK / "server.py", prepare.jars_folder(), work) as spark:
        yield spark


def columns(group: int) -> pa.Table:
    """Some rows of a group of columns, with nulls, values that repeat and values that do not."""
    n = range(ROWS)
    midnight = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    point = pa.struct([("x", pa.int32()), ("tags", pa.list_(pa.field("element", pa.string())))])
    held: list[dict[str, pa.Array]] = [
        {
            "id": pa.array(n, pa.int64()),
            "small": pa.array([None if i % 5 == 0 else i % 3 - 1 for i in n], pa.int16()),
            "day": pa.array([None if i % 9 == 0 else i % 4 for i in n], pa.int32()).cast(pa.date32()),
        },
        {
            "x": pa.array([None if i % 7 == 0 else [0.5, -0.0, float("nan"), 1e9][i % 4] for i in n], pa.float64()),
            "f": pa.array([i / 8 for i in n], pa.float32()),
            "at": pa.array([None if i % 6 == 0 else midnight + datetime.timedelta(seconds=i) for i in n], pa.timestamp("us", "UTC")),
        },
        {
            "s": pa.array([None if i % 4 == 0 else "wörter"[: i % 7] for i in n]),
            "raw": pa.array([None if i % 8 == 0 else bytes([i, 255]) * (i % 3) for i in n], pa.binary()),
        },
        {
            "ok": pa.array([None if i % 5 == 0 else i % 3 == 0 for i in n]),
            "d9": pa.array([None if i % 4 == 0 else Decimal(i - 9) for i in n], pa.decimal128(9, 2)),
            "d18": pa.array([Decimal(i % 5) for i in n], pa.decimal128(18, 0)),
            "d30": pa.array([None if i % 6 == 0 else Decimal(10) ** 20 * i for i in n], pa.decimal128(30, 4)),
        },
        {
            "tags": pa.array([None if i % 5 == 0 else [None if j == 2 else i + j for j in range(i % 4)] for i in n], pa.list_(pa.int32())),
            "m": pa.array([None if i % 7 == 0 else [(f"k{j}", i) for j in range(i % 3)] for i in n], pa.map_(pa.string(), pa.int32())),
            "p": pa.array([None if i % 6 == 0 else {"x": i, "tags": ["t"] * (i % 3)} for i in n], point),
        },
        {
            # nearly a dictionary's values in their order: some come again
            "key": pa.array([1_000_000 + 7 * (i if i % 6 else i // 2) for i in n], pa.int64()),
            "price": pa.array([None if i == 11 else Decimal(90_000 + 13 * (i if i % 5 else i // 3)) for i in n], pa.decimal128(15, 2)),
            "name": pa.array([f"name {i * 7919:06d}" for i in n]),
        },
    ]
    return pa.table(held[group])


if __name__ == "__main__":
    main()
