"""What the figures have to reach, each held against a comparison. Pure.

Speed counts beyond interpreter start and imports, at proof `counts`, by medians; readers count by processor time.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.benchmarks.choice import PREFIX, label
from tests.benchmarks.figures import BASE, Comparison, Figures

MIB = 1024 * 1024
LEAST_MEMORY = 300 * MIB
PROOF_LIMIT = 1.6
TRANSCODE = {"D1": 1.0, "D2": 1.0, "D3": 1.0, "D6": 1.0}
FUSE = {"D1": 5.0, "D2": 5.0, "D3": 6.0, "D6": 5.0}
COPIED = {"D5": (BASE, 20.0), "D4": ("duckdb", 15.0)}
COPY_LIMIT = 1.5
READERS = 1.05
FUSE_SIZE = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing that is wanted, and what was found. met: None where there is nothing to hold against it."""

    about: str
    wanted: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return "not measured" if self.met is None else "met" if self.met else "MISSED"

    def __str__(self) -> str:
        return f"{self.about}: {self.found} (wanted: {self.wanted}) — {self.verdict}"


def bars(comparison: Comparison) -> Iterator[Bar]:
    """Everything that is wanted of a data set."""
    name = comparison.name
    for engine, wanted in (("transcode", TRANSCODE.get(name)), ("fuse", FUSE.get(name))):
        if wanted is not None:
            yield from _speed(comparison, engine, wanted)
    if name in COPIED:
        yield from _copied(comparison, *COPIED[name])
    if name == "D1":
        yield from _proof(comparison)
    if name in FUSE:
        yield from _size(comparison)
    for one in comparison.figures.values():
        if one.is_ours and one.proof == "counts":
            yield from _memory(comparison, one)
    yield from _fixed_point(comparison)
    yield from _readers(comparison)


def _speed(comparison: Comparison, engine: str, wanted: float) -> Iterator[Bar]:
    one = comparison.by(engine)
    about, asked = f"{comparison.name} {engine} against {BASE}", f"at least ×{wanted:g}"
    ratio = None if one is None else comparison.faster(one, BASE)
    if ratio is None:
        yield Bar(
            about=about, wanted=asked, found=comparison.left_out.get(f"{PREFIX}:{engine}:counts", "there is no such engine"), met=None
        )
    else:
        yield Bar(about=about, wanted=asked, found=f"×{ratio:.2f}", met=ratio >= wanted)


def _copied(comparison: Comparison, than: str, wanted: float) -> Iterator[Bar]:
    one, copy, flushed = comparison.by("auto"), *map(comparison.figures.get, ("copy", "copy-flushed"))
    ratio = None if one is None else comparison.faster(one, than)
    if one is not None and ratio is not None:
        limits = {one.engine: comparison.faster(one, than) for one in (copy, flushed) if one is not None}
        slower = ", ".join(f"{engine} itself: ×{limit:.2f}" for engine, limit in limits.items() if limit is not None and limit < wanted)
        beside = f" ({slower})" if slower else ""
        asked = f"at least ×{wanted:g}"
        yield Bar(about=f"{comparison.name} against {than}", wanted=asked, found=f"×{ratio:.2f}{beside}", met=ratio >= wanted)
    if one is not None:
        yield from _paid_off(comparison, one)
    for limit, what in ((copy, "a byte copy"), (flushed, "a byte copy that is flushed to the disk, as its outputs are")):
        if one is not None and limit is not None:
            times = one.seconds / limit.seconds
            wanted_copy = f"at most ×{COPY_LIMIT:g} of its time"
            yield Bar(about=f"{comparison.name} against {what}", wanted=wanted_copy, found=f"×{times:.2f}", met=times <= COPY_LIMIT)


def _paid_off(comparison: Comparison, one: Figures) -> Iterator[Bar]:
    """How often the result must be read until what copying saved is spent: by the query that costs most more than on transcode's."""
    transcode, dear = comparison.by("transcode"), comparison.readers.get(f"{PREFIX}:stitch:counts")
    if transcode is None or dear is None or (cheap := comparison.readers.get(transcode.engine)) is None:
        return
    queries = next(iter(cheap.values()))
    more = {query: statistics.median(dear[reader][query] - cheap[reader][query] for reader in cheap) for query in queries}
    worst = max(more, key=lambda query: more[query])
    saved = transcode.processor_s - one.processor_s
    if more[worst] > 0 and saved > 0:
        found = f"{saved / more[worst]:,.0f} ({worst})"
        yield Bar(about=f"{comparison.name} reads until transcode had been cheaper", wanted="no limit", found=found, met=None)


def _proof(comparison: Comparison) -> Iterator[Bar]:
    counts, full = comparison.by("auto"), comparison.by("auto", "full")
    if counts is not None and full is not None:
        times = full.seconds / counts.seconds
        about = f"{comparison.name} proof full by proof counts"
        yield Bar(about=about, wanted=f"at most ×{PROOF_LIMIT:g} of its time", found=f"×{times:.2f}", met=times <= PROOF_LIMIT)


def _size(comparison: Comparison) -> Iterator[Bar]:
    fuse, transcode = comparison.by("fuse"), comparison.by("transcode")
    if fuse is not None and transcode is not None:
        times = fuse.bytes / transcode.bytes
        about = f"{comparison.name} size of fuse's result by transcode's"
        yield Bar(about=about, wanted=f"at most ×{FUSE_SIZE:g}", found=f"×{times:.3f}", met=times <= FUSE_SIZE)


def _memory(comparison: Comparison, one: Figures) -> Iterator[Bar]:
    base = comparison.figures.get(BASE)
    if base is None:
        return
    most = max(LEAST_MEMORY, base.peak_bytes / 2)
    about = f"{comparison.name} memory of {label(one.engine)}"
    wanted = f"at most {most / MIB:.0f} MiB, the larger of 300 MiB and half of {BASE}'s"
    yield Bar(about=about, wanted=wanted, found=f"{one.peak_bytes / MIB:.0f} MiB", met=one.peak_bytes <= most)


def _fixed_point(comparison: Comparison) -> Iterator[Bar]:
    runs = [one for one in comparison.figures.values() if one.amplification is not None]
    if runs:
        again, most = max(one.again_bytes for one in runs), max(one.amplification or 0.0 for one in runs)
        found = f"{again:,} bytes by a second run, amplification {most:.2f}"
        about = f"{comparison.name} fixed point"
        yield Bar(about=about, wanted="0 bytes, amplification at most 1", found=found, met=not again and most <= 1)


def _readers(comparison: Comparison) -> Iterator[Bar]:
    """Each engine's result against deltalake's, and that of merged pages against what decoding and encoding makes."""
    merged, decoded = f"{PREFIX}:fuse:counts", f"{PREFIX}:transcode:counts"
    pairs = [(engine, BASE, BASE) for engine in comparison.readers if engine.startswith(PREFIX)]
    before = comparison.readers.get("before")
    for engine, other, name in [*pairs, (merged, decoded, "transcode")]:
        costs, base = comparison.readers.get(engine), comparison.readers.get(other)
        if costs is None or base is None:
            continue
        worst, ratio = _dearest(costs, base)
        beside = f", before ×{_ratio(before, base, worst):.2f}" if before is not None and ratio > READERS else ""
        found = f"×{ratio:.2f} ({worst}{beside})"
        about = f"{comparison.name} readers of the result of {label(engine)}"
        yield Bar(about=about, wanted=f"at most ×{READERS:g} of what {name}'s costs", found=found, met=ratio <= READERS)


_Costs = Mapping[str, Mapping[str, float]]


def _dearest(costs: _Costs, base: _Costs) -> tuple[str, float]:
    """The query that costs most by what it costs of `base`. Beside one that misses stands what the same query cost before: a copied row
    group costs what it did."""
    ratios = {query: _ratio(costs, base, query) for query in next(iter(base.values()))}
    worst = max(ratios, key=lambda query: ratios[query])
    return worst, ratios[worst]


def _ratio(costs: _Costs, base: _Costs, query: str) -> float:
    """The median of the readers' ratios for a query, as one reader's figure is noisy."""
    return statistics.median(costs[reader][query] / base[reader][query] for reader in base)
