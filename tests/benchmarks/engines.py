"""One run of one engine in this process: `python -m tests.benchmarks.engines ENGINE TABLE CODEC TARGET_BYTES`.

Prints one JSON object: seconds of the run beyond interpreter start and imports, processor seconds, files and bytes of the result.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial


def deltalake_compact(uri: str, codec: str, target_bytes: int) -> Callable[[], None]:
    """The incumbent, ready to go."""
    from deltalake import DeltaTable, WriterProperties

    def go() -> None:
        DeltaTable(uri).optimize.compact(target_size=target_bytes, writer_properties=WriterProperties(compression=codec.upper()))

    return go


def compactor_run(uri: str, codec: str, target_bytes: int, proof: str = "counts") -> Callable[[], None]:
    """Ours, ready to go; the codec is the table's property. `counts` proves no more than the incumbent does."""
    import compactor
    from tests.benchmarks.startup import import_run

    import_run()
    settings = compactor.load_settings(flags={"target_size": str(target_bytes), "min_input_files": 2, "proof": proof}, env={})

    def go() -> None:
        run = compactor.run(uri, settings=settings)
        assert run.status == "committed", run

    return go


ENGINES: dict[str, Callable[[str, str, int], Callable[[], None]]] = {
    "deltalake": deltalake_compact,
    "counts": compactor_run,
    "full": partial(compactor_run, proof="full"),
}
"""The incumbent, and ours at both levels of proof."""


def rewritten_again(uri: str, target_bytes: int) -> int:
    """Bytes that another run of ours rewrites, right after one with the same settings."""
    import compactor

    settings = compactor.load_settings(flags={"target_size": str(target_bytes), "min_input_files": 2, "proof": "counts"}, env={})
    run = compactor.run(uri, settings=settings)
    assert run.status in ("committed", "nothing-to-do"), run
    return run.bytes_removed


def processor_s() -> float:
    """Processor seconds of this process and of those children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(engine: str, uri: str, codec: str, target_bytes: str) -> None:
    go = ENGINES[engine](uri, codec, int(target_bytes))
    before_s, started = processor_s(), time.perf_counter()
    go()
    print(json.dumps({"seconds": time.perf_counter() - started, "processor_s": processor_s() - before_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
