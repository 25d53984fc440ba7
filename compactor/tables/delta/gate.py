"""May this snapshot be compacted? Features, schema, properties, paths, and who else writes the table: all reasons against, and warnings.

Nothing is written before this has said yes. It reads the log's commits for their writers' names, and nothing else.
"""

from __future__ import annotations

from compactor.errors import TableRefused
from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectStore
from compactor.tables.base import Gate, Refusal, TableWarning
from compactor.tables.delta.engines import duplicates_rows, is_spark, retained_engines
from compactor.tables.delta.features import gate_features
from compactor.tables.delta.log import LOG, list_log
from compactor.tables.delta.materialised import materialised_refusals
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.paths import object_key, suspicious_rows
from compactor.tables.delta.state import DeltaState
from compactor.tables.delta.writing import property_refusals

RIVALS = "rivals"
"""Code of the warning about writers that are known to damage compacted tables."""
_UNIFORM = "delta.universalFormat.enabledFormats"
_MANIFEST = "delta.compatibility.symlinkFormatManifest.enabled"


def gate(store: ObjectStore, options: DeltaOptions, snapshot: Snapshot) -> Gate:
    """Every refusal and warning for this snapshot. Raises StorageError when the log cannot be read."""
    state = snapshot.state
    assert isinstance(state, DeltaState)
    refusals = [*gate_features(state.protocol, state.metadata), *property_refusals(state.metadata)]
    refusals += [*materialised_refusals(snapshot, state.metadata), *([] if options.external_paths else _path_refusals(snapshot))]
    warnings: list[TableWarning] = []
    if snapshot.properties.get(_MANIFEST, "false").lower() == "true":
        warnings.append(
            TableWarning(code="stale-manifest", message=f"{snapshot.table.uri} has symlink manifests; a compaction does not update them.")
        )
    if formats := snapshot.properties.get(_UNIFORM, "").strip():
        message = f"The {formats} metadata of {snapshot.table.uri} lags behind a compaction until an engine that writes it commits again."
        warnings.append(TableWarning(code="stale-uniform", message=message))
    if not refusals:
        _judge_writers(store, options, snapshot, state, refusals, warnings)
    return Gate(refusals=tuple(refusals), warnings=tuple(warnings))


def _path_refusals(snapshot: Snapshot) -> list[Refusal]:
    """The first file outside the table's root, if there is one."""
    paths = snapshot.files["path"]
    for row in suspicious_rows(paths).tolist():
        try:
            object_key(paths[row].as_py(), snapshot.table.uri)
        except TableRefused as refused:
            return [Refusal(reason=refused.reason, why=str(refused))]
    return []


def _judge_writers(
    store: ObjectStore, options: DeltaOptions, snapshot: Snapshot, state: DeltaState, refusals: list[Refusal], warnings: list[TableWarning]
) -> None:
    uri, on_s3, on_disk = snapshot.table.uri, store.uri.startswith("s3://"), "://" not in store.uri
    if on_s3 and options.arbiter != "dynamodb" and next(iter(store.list(f"{LOG}.tmp/")), None) is not None:
        why = f"{uri} is committed to through DynamoDB (its log has a .tmp folder), so another arbiter would lose commits of its writers."
        refusals.append(Refusal(reason="arbiter:dynamodb", why=why))
    engines = state.engines
    if (on_s3 and options.arbiter is None) or on_disk or options.rivals == "refuse":
        engines = retained_engines(store, list_log(store), engines)
    spark = next((engine for engine in engines if is_spark(engine)), None)
    if spark is not None and on_s3 and options.arbiter is None:
        why = (
            f"{uri} is also written by {spark}, whose default log store on S3 may overwrite a version that another writer has just taken: "
            "pass --arbiter conditional-put if every writer of the table creates log entries conditionally or Spark no longer writes it, "
            "else stop those writers first."
        )
        refusals.append(Refusal(reason="arbiter:unclear", why=why))
    if spark is not None and on_disk:
        message = (
            f"{uri} is also written by {spark}, which does not create log entries exclusively on a disk; do not let both write at once."
        )
        warnings.append(TableWarning(code="spark-on-disk", message=message))
    for engine in filter(duplicates_rows, engines):
        message = (
            f"{uri} is also written by {engine}: overwrites, whole-table deletes and OPTIMIZEs of deltalake 1.6.4 to 1.6.6 "
            "that land after a compaction can double rows or bring deleted ones back. Appends do no harm; have another version do the rest."
        )
        if options.rivals == "refuse":
            refusals.append(Refusal(reason=RIVALS, why=message))
        else:
            warnings.append(TableWarning(code=RIVALS, message=message))
