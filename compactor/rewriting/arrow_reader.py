"""Fingerprints of files as Arrow reads them, decoded to tables: any file that can be read, whatever has to be done to its rows."""

from __future__ import annotations

from collections.abc import Sequence

from compactor.model.fingerprint import Fingerprint
from compactor.rewriting.budget import Budget
from compactor.rewriting.fingerprint import Fingerprinter
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.opened import Opened
from compactor.rewriting.problems import named
from compactor.rewriting.transcode import transcode


def rows_of(opened: Opened, budget: Budget, meter: MemoryMeter | None = None, row_groups: Sequence[int] | None = None) -> Fingerprint:
    """The surviving rows of a file. row_groups: only of these, ascending (None: all). Raises FileProblem that names it, StorageError."""
    fingerprinter = Fingerprinter()
    wanted = range(opened.file.metadata.num_row_groups) if row_groups is None else row_groups
    for span in _spans(wanted):
        for fragment in named(opened.input, transcode(opened, span, budget)):
            fingerprinter.add(fragment.rows)
            if meter is not None:
                meter.sample()
    return fingerprinter.result()


def _spans(row_groups: Sequence[int]) -> list[range]:
    """Ascending numbers as ranges."""
    spans: list[range] = []
    for i in row_groups:
        if spans and spans[-1].stop == i:
            spans[-1] = range(spans[-1].start, i + 1)
        else:
            spans.append(range(i, i + 1))
    return spans
