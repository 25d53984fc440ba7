"""The allocator of a process that is the command's own."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compactor_cli import allocator

CHOSEN = "ARROW_DEFAULT_MEMORY_POOL"


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of allocators that Arrow was told to use."""
    told: list[str] = []
    monkeypatch.setattr(pa, "set_memory_pool", lambda pool: told.append(pool.backend_name))
    monkeypatch.delenv(CHOSEN, raising=False)
    return told


@pytest.mark.skipif("jemalloc" not in pa.supported_memory_backends(), reason="this Arrow is built without jemalloc")
def test_jemalloc_is_taken_where_nobody_has_chosen(pools: list[str]) -> None:
    """Less is held at once than by Arrow's own choice."""
    allocator.choose_allocator()
    assert pools == ["jemalloc"]


def test_the_choice_of_the_surroundings_stands(pools: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names an allocator gets it."""
    monkeypatch.setenv(CHOSEN, "mimalloc")
    allocator.choose_allocator()
    assert pools == []


def test_an_arrow_without_jemalloc_is_no_failure(pools: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then Arrow's own choice stays."""

    def missing() -> pa.MemoryPool:
        raise NotImplementedError

    monkeypatch.setattr(pa, "jemalloc_memory_pool", missing)
    allocator.choose_allocator()
    assert pools == []
