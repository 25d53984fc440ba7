"""Which footers are worth reading before planning: a pure choice. The reading is rewriting/footer.py's.

Where only a footer shows whether a file may be rewritten, all candidates are looked at. Elsewhere only oversized files that would be split
(their row groups tell how much memory a split needs, and their rows where the log does not) and files that would be rewritten and are large
enough to hold a row group that is copied as it is. Small files are never surveyed; a worker reads their footers together with their data.
"""

from __future__ import annotations

import numpy as np

from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.model.survey import Survey
from compactor.planning.classify import UNDECIDED, Classes, Setting
from compactor.planning.columns import Bools, FileColumns, Int64s, file_columns
from compactor.planning.cost import Assumptions
from compactor.planning.grouping import make_groups
from compactor.planning.plan import judge

DEFAULT_CAP = 256


def to_survey(
    snapshot: Snapshot,
    policy: Policy,
    target_bytes: int,
    cap: int = DEFAULT_CAP,
    *,
    every: bool = False,
    assumed: Assumptions | None = None,
) -> Int64s:
    """Rows of Snapshot.files whose footers should be read: the largest first, at most `cap`, ties in planning order.

    every: each file that might be planned, without a cap, because only its footer shows whether it may be. assumed: as for `plan`, which
    would want other files otherwise.
    Raises UsageError when the policy's `where` does not fit the table.
    """
    files = file_columns(snapshot.files, {})
    assumed = assumed or Assumptions()
    setting = Setting(
        policy=policy, target_bytes=target_bytes, now_ms=snapshot.store_now_ms, compression=assumed.compression, busy=snapshot.busy
    )
    classes = judge(snapshot, Survey(), files, setting)
    if every:
        return files.row[np.flatnonzero(classes.reason == UNDECIDED)]
    candidates = np.flatnonzero((classes.split & (classes.reason == UNDECIDED)) | _to_copy(files, classes, setting, assumed))
    largest = np.argsort(-files.size_bytes[candidates], kind="stable")
    return files.row[candidates[largest][:cap]]


def _to_copy(files: FileColumns, classes: Classes, setting: Setting, assumed: Assumptions) -> Bools:
    """Files that would be planned and whose row groups may be large enough to be copied as they are."""
    choice = assumed.engine
    if choice.mode not in ("auto", "stitch"):
        return np.zeros(len(files), dtype=np.bool_)
    large: Bools = (classes.reason == UNDECIDED) & (files.size_bytes >= choice.copied_bytes) & (files.deleted_rows == 0)
    if not large.any():
        return large
    _, reason = make_groups(files, classes, setting.policy, setting.target_bytes)
    planned: Bools = large & (reason == UNDECIDED)
    return planned
