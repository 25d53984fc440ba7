"""`compactor demo`: the main job, end to end, on a store on loopback."""

from __future__ import annotations

from compactor_cli.session import conduct
from compactor_cli.signals import Signals


def demo() -> int:
    """Show the main job on a store on loopback: thousands of small files, a plan, a compaction on Ray beside a writer, and the proof."""
    return conduct(_demo, as_json=False)


def _demo(_signals: Signals) -> int:
    from compactor_cli.demo.story import tell

    return tell()
