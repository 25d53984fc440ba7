"""Which package of native kernels is used, and what is said where none is."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from compactor.rewriting import native

ROOT = Path(__file__).parents[3]


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For looking once more in other surroundings; afterwards everything is as it was."""
    before = dict(vars(native))
    yield monkeypatch
    vars(native).update(before)


def test_without_the_package_the_reason_is_that_it_is_not_there(again: pytest.MonkeyPatch) -> None:
    """No package, no kernels, no error."""
    again.setitem(sys.modules, "compactor_native", None)
    found = importlib.reload(native)
    assert (found.KERNELS, found.STATUS) == (None, "not used: it is not installed")


def test_a_package_that_cannot_be_loaded_is_named_with_its_error(again: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library built for another machine is passed over, and the reason kept."""
    (tmp_path / "compactor_native.py").write_text("raise ImportError('libc is too old')")
    again.syspath_prepend(tmp_path)
    again.delitem(sys.modules, "compactor_native", raising=False)
    found = importlib.reload(native)
    assert (found.KERNELS, found.STATUS) == (None, "not used: it cannot be loaded (libc is too old)")


def test_a_package_of_another_interface_is_left_alone(again: pytest.MonkeyPatch) -> None:
    """Functions whose arguments may have changed are not called."""
    other = ModuleType("compactor_native")
    vars(other).update(INTERFACE=native.INTERFACE + 1, __version__="9.0")
    again.setitem(sys.modules, "compactor_native", other)
    found = importlib.reload(native)
    assert found.KERNELS is None
    assert f"9.0 has interface {native.INTERFACE + 1}, needed is {native.INTERFACE}" in found.STATUS


def test_both_sides_name_one_interface() -> None:
    """The number in the Rust sources is the one that Python asks for, and the stub covers what is exported."""
    border = (ROOT / "native/src/border.rs").read_text(encoding="utf-8")
    assert re.findall(r"const INTERFACE: u32 = (\d+);", border) == [str(native.INTERFACE)]
    stub = (ROOT / "native/compactor_native.pyi").read_text(encoding="utf-8")
    [exported] = re.findall(r"use super::\{(.*?)\};", border)
    assert all(re.search(rf"^(class|def) {name.strip()}\b", stub, re.MULTILINE) for name in exported.split(","))
