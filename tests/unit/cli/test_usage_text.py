"""Predictions beside what came of them, and the journal, as text to be reviewed as a diff."""

from __future__ import annotations

from support import cli_values

from compactor.model.run import Run, RunRecord, RunStatus
from compactor.model.usage import Economy, Prices, Usage
from compactor_cli.render.run import run_lines
from compactor_cli.render.runs import runs_lines
from compactor_cli.render.usage import money, surroundings

MIB = 2**20
PRICES = Prices(
    name="x",
    currency="USD",
    get_per_1000=0.0004,
    put_per_1000=0.005,
    storage_per_gb_month=0.023,
    cross_region_per_gb=0.02,
    vcpu_hour=0.04048,
)
ECONOMY = Economy(prices=PRICES, crosses_regions=True, retention_s=172_800.0)
PREDICTED = ECONOMY.priced(
    Usage(
        input_files=1801,
        input_bytes=720 * MIB,
        output_files=5,
        output_bytes=714 * MIB,
        requests=3700,
        seconds=12.4,
        peak_memory_bytes=128 * MIB,
        read_requests=3600,
        write_requests=100,
        task_s=40.0,
    ),
    held_bytes=720 * MIB,
)
RUN = cli_values.run(
    why="Many are small.",
    predicted=PREDICTED,
    actual=Usage(input_files=1801, output_files=5, input_bytes=720 * MIB, output_bytes=700 * MIB, requests=3712, seconds=14.0),
)
COMPARED = """\

             PREDICTED   ACTUAL
  files in       1,801    1,801
  files out          5        5
  bytes in     720 MiB  720 MiB
  bytes out    714 MiB  700 MiB
  requests       3,700    3,712
  time          12.4 s   14.0 s
  memory       128 MiB      0 B
  cost       0.034 USD        -
  group 2 was dropped (input-vanished): day=null/a.parquet was removed by version 8."""
RUNS = """\
ENDED (UTC)          STATUS     VERSION  FILES      BYTES                TIME  PREDICTED  COST  BY         RUN    WHY
2026-01-01 00:00:00  committed        8  -1,801 +5  -720 MiB +700 MiB  12.3 s     12.4 s     -  tool on m  run-1  Many are small.
-                    failed           -  -0 +0      -0 B +0 B            0 ms          -     -  -          run-2  The store was away."""


def test_predicted_beside_actual() -> None:
    """Every figure has its counterpart; without a price list there is no cost."""
    assert "\n".join(run_lines(RUN, None)[-11:]) == COMPARED


def test_runs_without_figures_show_none() -> None:
    """A run of an older journal, or from the log alone."""
    assert not any("PREDICTED" in line for line in run_lines(cli_values.run(), None))


def test_surroundings() -> None:
    """Held until vacuum, over a region's border, and the cost of all of it; only what there is."""
    assert surroundings(PREDICTED) == [
        ("held", "720 MiB of replaced files for 2 d, until vacuum"),
        ("across regions", "about 1.4 GiB"),
        ("cost", "about 0.034 USD"),
    ]
    assert surroundings(Usage(held_bytes=5)) == []


def test_money() -> None:
    """Two decimals for real money, two digits for small change, never a false zero."""
    told = [money(Economy(prices=PRICES).priced(Usage(task_s=hours * 3600), 0)) for hours in (0, 0.001, 1, 1000)]
    assert told == ["0.00 USD", "0.00004 USD", "0.04 USD", "40.48 USD"]
    assert money(Usage()) == "-"


def test_the_journal_as_text() -> None:
    """One line a run, failed ones with their reason."""
    failed = Run(run_id="run-2", table="t", status=RunStatus.FAILED, version=7, reason="The store was away.", exit_code=5)
    records = [RunRecord(run=RUN, ended_ms=1_767_225_600_000, by="tool on m"), RunRecord(run=failed, ended_ms=0)]
    assert "\n".join(runs_lines(records)) == RUNS
    assert runs_lines([]) == ["No run of ours has written anything here."]
