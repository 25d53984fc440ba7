"""Engines at work on the inputs of one task: each row group is chosen for, and what was chosen is counted, with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace

from compactor.model.engine import Copies, DecodedBecause, together
from compactor.model.rewrite import RewriteJob
from compactor.rewriting.budget import Budget
from compactor.rewriting.choose import ASKED, Against, Candidate, Engine, Span, choose
from compactor.rewriting.division import Division, weight_of
from compactor.rewriting.fragment import Fragment
from compactor.rewriting.opened import Opened
from compactor.rewriting.stitch import Look, Stitcher
from compactor.rewriting.transcode import transcode


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """One input, its row groups spread over engines."""

    opened: Opened
    look: Look
    spans: Sequence[Span]
    stitcher: Stitcher

    def fragments(self, budget: Budget) -> Iterator[Fragment]:
        """All fragments of the input, in the order of its rows. Raises what engines raise."""
        for span in self.spans:
            match span.engine:
                case Engine.TRANSCODE:
                    yield from transcode(self.opened, span.row_groups, budget)
                case Engine.STITCH:
                    yield from self.stitcher.fragments(self.opened, self.look, span.row_groups, budget)


class Engines:
    """Chooses for one input after the other."""

    def __init__(self, job: RewriteJob, division: Division) -> None:
        """division: of rows over the outputs, as far as rows were given to them when an input is asked about. Is not changed."""
        self._choice, self._division = job.engine, division
        self._stitcher = Stitcher(job.read, job.write, job.engine)
        self._used: set[Engine] = set()
        self.merged = Copies()
        self._because: tuple[DecodedBecause, ...] = ()

    @property
    def name(self) -> str:
        """The engines that were at work, joined by a plus; transcode when there was nothing to do."""
        return "+".join(sorted(self._used or {Engine.TRANSCODE}))

    def decoded(self) -> tuple[DecodedBecause, ...]:
        """Why row groups were not copied, the most bytes first."""
        return self._because

    def fused(self, sizes_bytes: Sequence[int]) -> None:
        """Inputs of these sizes were merged."""
        self._used.add(Engine.FUSE)
        self.merged += Copies(merged_files=len(sizes_bytes), merged_bytes=sum(sizes_bytes))

    def decoded_whole(self, count: int, size_bytes: int, against: Against) -> None:
        """So many row groups, of inputs of this size, were decoded for this reason."""
        self._used.add(Engine.TRANSCODE)
        self._note(Span(engine=Engine.TRANSCODE, row_groups=range(count), against=against), size_bytes)

    def decoded_because(self, against: Against | None) -> Against | None:
        """The reason that will be given for inputs that are not merged for `against` and too small to be copied; None: they may be."""
        return ASKED if self._choice.mode == "transcode" else against

    def spans(self, opened: Opened, against: Against | None = None) -> Spans:
        """What each row group of an input is taken by. against: why the input is not merged with others. Raises StorageError."""
        look = self._stitcher.look(opened)
        if against is not None:
            look = replace(look, candidates=tuple(self._not_merged(candidate, against) for candidate in look.candidates))
        spans = choose(look.candidates, self._choice, self._fits(opened) if look.file is not None else None)
        for span in spans:
            self._used.add(span.engine)
            self._note(span, sum(look.candidates[i].size_bytes for i in span.row_groups))
        return Spans(opened=opened, look=look, spans=spans, stitcher=self._stitcher)

    def _not_merged(self, candidate: Candidate, against: Against) -> Candidate:
        """A row group that is not merged is decoded for that reason, unless `auto` copies it for being large."""
        copied = self._choice.mode == "auto" and candidate.size_bytes >= self._choice.copied_bytes
        return candidate if copied else replace(candidate, against=against)

    def _fits(self, opened: Opened) -> Callable[[int, bool], bool]:
        """Whether each row group in order may be copied for all that outputs should be even, if those before go as was answered."""
        ahead = copy(self._division)
        ahead.next_file(weight_of(opened.input), opened.surviving)

        def fits(index: int, wanted: bool) -> bool:
            rows = int(opened.file.metadata.row_group(index).num_rows)
            if wanted and (not rows or ahead.fits_whole(rows)):
                if rows:
                    ahead.take_whole(rows)
                return True
            while rows:
                rows -= ahead.take(rows)[0]
            return False

        return fits

    def _note(self, span: Span, size_bytes: int) -> None:
        if span.against is not None:
            against, count = span.against, len(span.row_groups)
            because = DecodedBecause(code=against.code, why=against.why, row_groups=count, bytes=size_bytes)
            self._because = together((*self._because, because))
