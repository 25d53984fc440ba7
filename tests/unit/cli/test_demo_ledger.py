"""The demo's judge is worth something only if its ledger notices every kind of damage."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from compactor.errors import ProofFailed
from compactor_cli.demo.judge import compare
from compactor_cli.demo.ledger import EMPTY, ledger_of
from compactor_cli.demo.stream import Writer


def events(rows: int = 1000) -> pa.Table:
    return Writer("http://127.0.0.1:9")._events(rows, range(3))


def test_order_and_batches_do_not_matter() -> None:
    """Shuffled and cut into pieces, the same rows have the same ledger."""
    table = events()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    pieces = EMPTY
    for batch in shuffled.to_batches(max_chunksize=77):
        pieces += ledger_of(batch)
    compare(ledger_of(table), pieces)


def _changed(table: pa.Table, column: str, row: int, other: int) -> pa.Table:
    values = table[column].to_pylist()
    values[row], values[other] = values[other], values[row]
    return table.set_column(
        table.schema.get_field_index(column), table.schema.field(column), pa.array(values, table.schema.field(column).type)
    )


def _shifted(table: pa.Table, column: str) -> pa.Table:
    values = table[column].to_pylist()
    values[0], values[1] = values[0] + 1, values[1] - 1  # a plain sum would not notice
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), pa.array(values, pa.int64()))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda table: table.slice(1), "999 read"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "1,001 read"),
        (lambda table: pa.concat_tables([table.slice(2), table.slice(2, 1), table.slice(2, 1)]), "event_id"),
        (lambda table: _changed(table, "event_id", 0, 1), "(whole rows)"),
        (lambda table: _changed(table, "amount", 5, 900), "(whole rows)"),
        (lambda table: _shifted(table, "user_id"), "checksum of user_id"),
        (lambda table: table.set_column(4, "kind", pa.array(["view"] * table.num_rows)), "kind"),
    ],
)
def test_damage_is_noticed(damage: object, named: str) -> None:
    """A row lost, doubled, replaced by another, values swapped between rows, a column overwritten: each is named."""
    table = events()
    assert callable(damage)
    with pytest.raises(ProofFailed) as caught:
        compare(ledger_of(table), ledger_of(damage(table)))
    assert named in str(caught.value)
