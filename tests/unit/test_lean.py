"""What processes that are ours alone do without. Each claim is held in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEAN = "import os\nfrom compactor.ambient.lean import choose_allocator, collect_seldom, leave_pandas\n"


def said(code: str, **surroundings: str) -> str:
    """What a fresh interpreter prints."""
    inherited = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    environment = {**inherited, "PYTHONPATH": str(ROOT), **surroundings}
    done = subprocess.run([sys.executable, "-c", LEAN + code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_arrow_allocates_as_c_programs_do_where_nobody_has_chosen() -> None:
    """The choice reaches Arrow itself, which looks at the surroundings when it is loaded, and not only what Python asks of it."""
    code = "choose_allocator(os.environ)\nimport pyarrow as pa\nprint(pa.default_memory_pool().backend_name)"
    assert said(code) == "system"


def test_an_arrow_that_is_loaded_already_is_told() -> None:
    """At least what Python asks for is allocated so."""
    assert said("import pyarrow as pa\nchoose_allocator(os.environ)\nprint(pa.default_memory_pool().backend_name)") == "system"


def test_the_choice_of_the_surroundings_stands() -> None:
    """Whoever names an allocator gets it."""
    code = "print(choose_allocator(os.environ))\nimport pyarrow as pa\nprint(pa.default_memory_pool().backend_name)"
    assert said(code, ARROW_DEFAULT_MEMORY_POOL="mimalloc").split() == ["False", "mimalloc"]


def test_pandas_is_not_loaded_and_arrays_are_made_of_lists() -> None:
    """The first array of a list neither loads pandas nor fails, and who imports pandas later gets it."""
    first = "leave_pandas()\nimport pyarrow as pa, sys\nprint(len(pa.array([1, 2])), 'pandas' in sys.modules)\n"
    code = f"{first}import pandas\nprint(pandas.__name__)"
    assert said(code).split() == ["2", "False", "pandas"]


def test_workers_make_arrays_of_lists_from_the_first_one_on() -> None:
    """Without pandas nothing of Arrow fails, not even once."""
    from compactor.execution.processes import BOOT

    prelude = BOOT.partition("from compactor.execution")[0].replace("sys.path[:] = sys.argv[4:]; ", "")
    assert said(f"{prelude}\nimport pyarrow as pa\nprint(len(pa.array([1])), 'pandas' in sys.modules)") == "1 False"


def test_garbage_is_looked_for_seldom_and_still_found() -> None:
    """A run makes many objects that all stay; a service runs for months."""
    code = "import gc\nclass Own: pass\ncollect_seldom()\nprint(gc.isenabled(), gc.get_threshold()[0] >= 50_000)\n"
    cycles = "import weakref\none = Own()\nseen = weakref.ref(one)\none.me = one\ndel one\n"
    more = "kept = [[] for _ in range(1_250_000)]\nprint(seen())"
    assert said(code + cycles + more).split() == ["True", "True", "None"]
