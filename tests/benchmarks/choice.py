"""Which engines and levels of proof of ours there are, as the ordinary settings tell: none is named here, so that new ones appear."""

from __future__ import annotations

from typing import get_args

PREFIX = "compactor"


def engines() -> list[str]:
    """The values of the setting `engine`; `auto` alone where there is no such setting."""
    from compactor.settings import Settings

    field = Settings.model_fields.get("engine")
    return ["auto"] if field is None else [str(value) for value in get_args(field.annotation) if isinstance(value, str)]


def flags(engine: str, proof: str) -> dict[str, object]:
    """The settings that choose an engine and a level of proof."""
    from compactor.settings import Settings

    chosen = {"engine": engine} if "engine" in Settings.model_fields else {}
    return {**chosen, "proof": proof, "min_input_files": 2}


def ours() -> list[str]:
    """Every engine of ours at `counts`, and the one that is chosen by default at `full`."""
    return [*(f"{PREFIX}:{engine}:counts" for engine in engines()), f"{PREFIX}:auto:full"]


def label(engine: str) -> str:
    """An engine's name as the report has it."""
    if not engine.startswith(PREFIX):
        return engine
    _, name, proof = engine.split(":")
    return f"{PREFIX} {name}, {proof}"
