"""How much a table needs a run, against what the run takes. Pure; one array operation for all tables at a time.

What readers suffer from a table is its excess of requests over the time it lasts: the area under the excess since the last run. A table
that is run when that area reaches a fixed price has, of all rhythms of equal cost, the least suffering on average; the area grows with the
square of the time, so nothing that is in excess waits for ever. Multiplied once more by the time waited it keeps the longest waits short
too, at hardly any loss (`make simulate-fleet` compares). What a run takes is its share in the scarcest bound of the day's budget.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_LEAST_SHARE = 1e-12


def score(suffered: Floats, waited_s: Floats, share: Floats, priority: Floats) -> Floats:
    """The higher, the sooner. suffered: requests of a scan too many, times seconds. share: of the day's budget that a run takes."""
    needs: Floats = priority * suffered * waited_s / np.maximum(share, _LEAST_SHARE)
    return needs


def share_of_budget(gb_hours: Floats, money: Floats, gb_hours_per_day: float | None, money_per_day: float | None) -> Floats:
    """What each run takes of the scarcest bound; its money where there is no bound, for what is cheap comes first even then."""
    shares = [used / bound for used, bound in ((gb_hours, gb_hours_per_day), (money, money_per_day)) if bound]
    scarcest: Floats = np.maximum.reduce(shares) if shares else np.where(money > 0, money, gb_hours)
    return scarcest


def suffered_after(suffered: Floats, excess: Floats, seconds: float) -> Floats:
    """The area after some more time at this excess; a table without excess starts anew."""
    area: Floats = np.where(excess > 0, suffered + excess * seconds, 0.0)
    return area
