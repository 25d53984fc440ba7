"""Prometheus metrics of a service, fed by its events and by those of its runs. Names are part of the interface: dashboards rest on them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from compactor.model.events import CommitRetried, Event, GroupLost, LeaseChanged, LeaseState
from compactor.model.run import Run, RunStatus
from compactor.service.events import Appeared, Problem, RoundEnded, RunBegun, RunFinished, ServiceEvent, Vanished
from compactor.service.ledger import Spend
from compactor.service.overview import Overview
from compactor.service.schedule import Hold

_ENDS_OF_LEASES = (LeaseState.RETURNED, LeaseState.LOST)
_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800)


class Metrics:
    """`service` and `run` are sinks; `page` is what a scrape gets."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._make_run_metrics()
        self._make_fleet_metrics()

    def _make_run_metrics(self) -> None:
        self._runs = self._counter("compactor_runs", "Runs that ended, by how.", "status")
        for status in RunStatus:
            self._runs.labels(status.value)
        self._begun = self._counter("compactor_runs_begun", "Runs that were begun, by what put them there.", "why")
        self._files = self._counter("compactor_run_files", "Files of committed groups, in (read) and out (written).", "direction")
        self._bytes = self._counter("compactor_run_bytes", "Bytes of committed groups, in (read) and out (written).", "direction")
        self._dropped = self._counter("compactor_groups_dropped", "Groups that were not committed, by why.", "reason")
        self._groups = self._counter("compactor_groups_committed", "Groups that were committed.")
        self._masked = self._counter("compactor_rows_masked", "Rows that others deleted meanwhile, deleted in outputs too.")
        self._retried = self._counter("compactor_commits_retried", "Commits judged again: another writer took the version.")
        self._leases = self._counter(
            "compactor_leases", "What became of tables' leases: taken, taken-over, refused, returned, lost.", "state"
        )
        for state in LeaseState:
            self._leases.labels(state.value)
        self._leases_held = self._gauge("compactor_leases_held", "Leases of tables that runs of this replica hold.")
        self._seconds = self._histogram("compactor_run_seconds", "Length of runs.")
        self._tasks = self._counter("compactor_task_seconds", "Seconds of all tasks, predicted by plans and actual.", "kind")
        self._memory = self._gauge("compactor_run_peak_memory_bytes", "The largest task of the newest run that said.")
        self._requests = self._counter("compactor_run_requests", "Requests for data files by runs.", "kind")
        self._gb_hours = self._counter("compactor_spend_gb_hours", "GB-hours of memory that runs took.")
        self._money = self._counter("compactor_spend_money", "What runs cost by the price list, in its currency.")
        self._lag = self._histogram("compactor_lag_seconds", "How long tables were worth a run before it began.")

    def _make_fleet_metrics(self) -> None:
        self._tables = self._gauge("compactor_tables", "Tables, by why they are left alone or what they do.", "state")
        self._came = self._counter("compactor_tables_found", "Tables that appeared.")
        self._went = self._counter("compactor_tables_vanished", "Tables that vanished.")
        self._excess = self._gauge("compactor_excess_files", "Files that runs would save.")
        self._longest = self._gauge("compactor_longest_wait_seconds", "The longest that any table has been worth a run.")
        self._running = self._gauge("compactor_runs_running", "Runs at work in this replica.")
        self._elsewhere = self._gauge("compactor_runs_elsewhere", "Tables that other replicas hold.")
        self._replicas = self._gauge("compactor_replicas", "Replicas that live, this one included.")
        self._rounds = self._histogram("compactor_round_seconds", "Length of rounds.")
        self._looked = self._counter("compactor_tables_looked", "Looks at tables' logs.")
        self._loaded = self._counter("compactor_tables_loaded", "Tables that were loaded because their log did not tell enough.")
        self._written = self._counter("compactor_written_bytes", "Bytes that others wrote, as far as logs were followed.")
        self._problems = self._gauge("compactor_problems", "Problems that stand.")
        self._told = self._counter("compactor_problems_told", "Problems that were told, by kind.", "code")
        self._budget = self._gauge("compactor_budget_left", "What is left of the day's bounds; absent bounds are not shown.", "bound")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str) -> Histogram:
        return Histogram(name, about, buckets=_SECONDS, registry=self.registry)

    def service(self, event: ServiceEvent) -> None:
        """Count an event of the service."""
        match event:
            case RunBegun():
                self._begun.labels(event.why).inc()
                self._lag.observe(event.waited_s)
            case RunFinished():
                self._finished(event.run, event.spend)
            case RoundEnded():
                self._round(event)
            case Appeared():
                self._came.inc()
            case Vanished():
                self._went.inc()
            case Problem():
                self._told.labels(event.code.partition(" ")[0]).inc()
            case _:
                pass

    def run(self, _table: str, event: Event) -> None:
        """Count what only events of runs tell."""
        match event:
            case CommitRetried():
                self._retried.inc()
            case GroupLost():
                self._dropped.labels(event.dropped.reason).inc()
            case LeaseChanged():
                self._lease(event.state)
            case _:
                pass

    def _lease(self, state: LeaseState) -> None:
        self._leases.labels(state.value).inc()
        if state is not LeaseState.REFUSED:
            self._leases_held.inc(-1 if state in _ENDS_OF_LEASES else 1)

    def page(self, overview: Overview) -> bytes:
        """The exposition, with what stands at this moment."""
        self._running.set(len(overview.running))
        self._elsewhere.set(sum(view.code == Hold.RUNNING and uri not in overview.running for uri, view in overview.tables.items()))
        self._replicas.set(1 + len(overview.replicas))
        self._problems.set(len(overview.problems))
        left = overview.ledger.left_today(overview.budget)
        for bound, value in (("gb_hours_per_day", left.gb_hours), ("money_per_day", left.money)):
            if value != float("inf"):
                self._budget.labels(bound).set(value)
        return generate_latest(self.registry)

    def _finished(self, run: Run, spend: Spend) -> None:
        self._runs.labels(run.status.value).inc()
        self._groups.inc(run.groups_committed)
        self._masked.inc(run.masked_rows)
        for counter, amounts in ((self._files, (run.files_removed, run.files_added)), (self._bytes, (run.bytes_removed, run.bytes_added))):
            counter.labels("in").inc(amounts[0])
            counter.labels("out").inc(amounts[1])
        self._seconds.observe(run.seconds)
        self._gb_hours.inc(spend.gb_hours)
        self._money.inc(spend.money)
        if run.peak_memory_bytes:
            self._memory.set(run.peak_memory_bytes)
        if run.predicted is not None and run.actual is not None:
            self._tasks.labels("predicted").inc(run.predicted.task_s)
            self._tasks.labels("actual").inc(run.actual.task_s)
            self._requests.labels("read").inc(run.actual.read_requests)
            self._requests.labels("write").inc(run.actual.write_requests)

    def _round(self, event: RoundEnded) -> None:
        self._rounds.observe(event.seconds)
        self._looked.inc(event.looked)
        self._loaded.inc(event.loaded)
        self._written.inc(event.written_bytes)
        self._excess.set(event.excess_files)
        self._longest.set(event.longest_wait_s)
        counts = dict(event.holds)
        for hold in Hold:
            self._tables.labels(hold.value).set(counts.get(hold.value, 0))
