"""Which footers are worth reading before planning: a pure choice. The reading is rewriting/footer.py's.

Where only a footer shows whether a file may be rewritten, all candidates are looked at. Elsewhere only oversized files that would be split:
their row groups tell how much memory a split needs, and their rows where the log
does not. Small files are never surveyed; a worker reads their footers together with their data.
"""

from __future__ import annotations

import numpy as np

from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.model.survey import Survey
from compactor.planning.classify import UNDECIDED, Setting
from compactor.planning.columns import Int64s, file_columns
from compactor.planning.plan import judge

DEFAULT_CAP = 256


def to_survey(
    snapshot: Snapshot, policy: Policy, target_bytes: int, cap: int = DEFAULT_CAP, *, every: bool = False, compression: float = 1.0
) -> Int64s:
    """Rows of Snapshot.files whose footers should be read: the largest first, at most `cap`, ties in planning order.

    every: each file that might be planned, without a cap, because only its footer shows whether it may be. compression: as for `plan`,
    which would want other files otherwise.
    Raises UsageError when the policy's `where` does not fit the table.
    """
    files = file_columns(snapshot.files, {})
    setting = Setting(policy=policy, target_bytes=target_bytes, now_ms=snapshot.store_now_ms, compression=compression, busy=snapshot.busy)
    classes = judge(snapshot, Survey(), files, setting)
    if every:
        return files.row[np.flatnonzero(classes.reason == UNDECIDED)]
    candidates = np.flatnonzero(classes.split & (classes.reason == UNDECIDED))
    largest = np.argsort(-files.size_bytes[candidates], kind="stable")
    return files.row[candidates[largest][:cap]]
