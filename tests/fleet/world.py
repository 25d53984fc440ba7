"""A fleet of tables under a seed: who writes how much and when. Vectorised; nothing of the product is in here.

Rates and sizes of files are log-normal over several orders of magnitude, writes follow the hours of each table's own day, and once a week
some tables are backfilled with as much work as a fixed part of the fleet's daily budget.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MIB = 1024 * 1024
TARGET = 256 * MIB
WORTH_FILES = 16
"""Files too many before a run is worth it; the same for everybody."""
_SECONDS_A_RUN = 20.0
_SECONDS_A_FILE = 0.03
_BYTES_A_SECOND = 60.0 * MIB
_BACKFILLED = 0.01
_WEEK_H = 168


def takes(files: Floats, size: Floats) -> Floats:
    """CPU hours of a run that reads so many files and bytes."""
    hours: Floats = (_SECONDS_A_RUN + files * _SECONDS_A_FILE + size / _BYTES_A_SECOND) / 3600
    return hours


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """rate: files a day; file_bytes: of one; phase: hour of the day at which writes begin to rise. budget: CPU hours a day."""

    rate: Floats
    file_bytes: Floats
    phase: Floats
    budget: float

    def __len__(self) -> int:
        return int(self.rate.size)


def fleet(seed: int, tables: int, ample: float) -> Fleet:
    """A fleet, with a budget of `ample` times what its regular writes take when every table is run as soon as it is worth it."""
    chance = np.random.default_rng(seed)
    rate = np.clip(np.exp(chance.normal(np.log(12), 1.8, tables)), 0.05, 20_000)
    file_bytes = np.clip(np.exp(chance.normal(np.log(4 * MIB), 1.6, tables)), 32 * 1024, 180 * MIB)
    runs = rate / (1.5 * WORTH_FILES)
    regular = takes(rate, rate * file_bytes) + (runs - 1) * _SECONDS_A_RUN / 3600
    return Fleet(rate=rate, file_bytes=file_bytes, phase=chance.uniform(0, 24, tables), budget=float(regular.sum()) * ample)


class Writes:
    """What is written in each step; the same for everybody who is compared."""

    def __init__(self, fleet: Fleet, seed: int, step_h: int, backfill: float) -> None:
        """`backfill`: work that is written once a week, in days of the budget."""
        self._fleet, self._step_h, self._backfill = fleet, step_h, backfill
        self._chance = np.random.default_rng([seed, 1])

    def files(self, hour: int) -> Floats:
        """Files that each table gets in the step that begins at `hour`. To be called once for each step, in order."""
        now = self._fleet
        tide = np.maximum(0.1, 1 + 0.9 * np.sin((hour % 24 - now.phase) / 24 * 2 * np.pi))
        written = self._chance.poisson(now.rate * self._step_h / 24 * tide).astype(np.float64)
        if hour % _WEEK_H >= _WEEK_H - self._step_h:
            written += self._backfilled()
        return written

    def _backfilled(self) -> Floats:
        now = self._fleet
        month = np.where(self._chance.random(len(now)) < _BACKFILLED, 30 * now.rate, 0.0)
        hours = float(np.where(month > 0, takes(month, month * now.file_bytes), 0).sum())
        scale = self._backfill * now.budget / hours if hours else 0.0
        return np.minimum(np.ceil(month * scale), 50_000)
