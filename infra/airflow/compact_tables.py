"""Compacts tables every hour, one task a table, by the command line. A DAG for Airflow 3; workers need `compactor` on their path.

What the exit code says decides: the task succeeds, is tried again, or fails at once, and who is told. Each try has a name of its own, under
which `compactor runs URI` finds it. A try whose end nobody saw may be repeated: what is compacted already is left alone.
"""

from __future__ import annotations

import logging
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

TABLES = ["s3://example-lake/tables/events", "s3://example-lake/tables/orders"]
OPTIONS = ["--region", "eu-central-1", "--min-age", "15m", "--rivals", "refuse", "--lease", "on"]

DONE, AGAIN, TICKET, PAGE = "done", "again", "ticket", "page"
EXIT_CODES = {
    0: (DONE, "done, or nothing to do"),
    1: (TICKET, "a bug of the compactor: report it"),
    2: (TICKET, "wrong usage or settings: correct what the sentence names"),
    3: (TICKET, "the table was refused: its owner makes the choice that the sentence names, or it leaves this list"),
    4: (AGAIN, "gave up on conflicts, nothing committed"),
    5: (AGAIN, "storage unavailable"),
    6: (PAGE, "the table is corrupt: repair the file that the sentence names"),
    7: (AGAIN, "execution failed: a cluster, a worker, memory, a deadline"),
    8: (PAGE, "the proof failed: nothing of that group was committed, report it"),
    130: (AGAIN, "interrupted"),
    143: (AGAIN, "interrupted"),
}
"""What to do, and why. AGAIN becomes a ticket when no try is left; so does a code that is not here, as of a process that was killed."""


def judge(code: int, table: str) -> None:
    """Raises what Airflow tries again, or what it does not."""
    act, why = EXIT_CODES.get(code, (AGAIN, "killed, or not started"))
    if act == DONE:
        return
    sentence = f"{PAGE if act == PAGE else TICKET}: {table}: exit code {code}, {why}"
    raise AirflowException(sentence) if act == AGAIN else AirflowFailException(sentence)


def alert(context: Any) -> None:
    """Airflow calls this when a task has failed for good; put your notifier here. The exception's text begins with `page` or `ticket`."""
    logging.getLogger("alerts").critical("%s", context.get("exception"))


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1, tags=["lakehouse"])
def compact_tables() -> None:
    @task(retries=4, retry_delay=timedelta(minutes=10), retry_exponential_backoff=True, on_failure_callback=alert, max_active_tis_per_dag=4)
    def compact(table: str) -> None:
        now = get_current_context()["ti"]
        name = f"{now.run_id}.{now.map_index}.{now.try_number}"
        command = ["compactor", "run", table, "--json", "--run-id", name, *OPTIONS]
        with subprocess.Popen(command) as process:
            try:
                code = process.wait()
            except BaseException:
                process.terminate()  # it ends at the next safe place; killed, it would leave more to clean up
                process.wait(60)
                raise
        judge(code, table)

    compact.expand(table=TABLES)


compact_tables()
