"""When a table is tried again after a run of it did not end well. Pure. It is always tried again: waits grow, and end at a bound.

Runs that lost to other writers wait in minutes, because writers pause; failures wait longer; a table that was refused is looked at again at
least once a day, and at once when its log or the rules for it have changed.
"""

from __future__ import annotations

from compactor.model.run import RunStatus

_FIRST_S = {RunStatus.CONFLICT: 120.0, RunStatus.FAILED: 300.0, RunStatus.REFUSED: 3600.0}
_LONGEST_S = {RunStatus.CONFLICT: 7200.0, RunStatus.FAILED: 21_600.0, RunStatus.REFUSED: 86_400.0}


def retry_after_s(status: RunStatus, times: int) -> float:
    """Seconds to wait after the run that was the `times`th in a row not to end well; 0 for one that did."""
    if status not in _FIRST_S or times < 1:
        return 0.0
    return float(min(_LONGEST_S[status], _FIRST_S[status] * 2.0 ** min(times - 1, 30)))
