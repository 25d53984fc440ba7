"""The house's rules on imports and surroundings hold, and each check can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import architecture as a

import compactor

Rule = Callable[[a.Sources], Iterator[str]]
ROOT = Path(__file__).parents[2]
RULES: list[Rule] = [a.who_imports_whom, a.homes, a.purity, a.surroundings, a.workers_load_little, a.data_is_data, a.form]


@pytest.fixture(scope="module")
def sources() -> dict[str, a.Source]:
    return a.read(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule, sources: dict[str, a.Source]) -> None:
    """No module of the library or the command line breaks the rule."""
    assert sorted(rule(sources)) == []


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (a.who_imports_whom, "compactor.model.x", "from compactor.planning import plan"),
        (a.who_imports_whom, "compactor.planning.x", "from compactor.storage.base import ObjectStore"),
        (a.who_imports_whom, "compactor.planning.x", "def f():\n    import compactor.tables.delta.log"),
        (a.who_imports_whom, "compactor.rewriting.x", "from compactor.storage import open_store"),
        (a.who_imports_whom, "compactor.tables.x", "from compactor.rewriting.footer import read"),
        (a.who_imports_whom, "compactor.execution.x", "from compactor.rewriting.rewrite import rewrite"),
        (a.who_imports_whom, "compactor.execution.worker", "from compactor.tables.base import Table"),
        (a.who_imports_whom, "compactor.coordination.x", "from compactor.execution.local import LocalExecutor"),
        (a.who_imports_whom, "compactor.pipeline", "from compactor.tables.delta.table import DeltaTable"),
        (a.who_imports_whom, "compactor.service.x", "import compactor_cli.output"),
        (a.homes, "compactor.pipeline", "import ray"),
        (a.homes, "compactor.execution.local", "def f():\n    from ray import get"),
        (a.homes, "compactor.rewriting.x", "import obstore.store"),
        (a.homes, "compactor.rewriting.x", "import compactor_native"),
        (a.homes, "compactor.tables.base", "import deltalake"),
        (a.homes, "compactor.storage.s3", "import boto3"),
        (a.homes, "compactor.settings", "import typer"),
        (a.homes, "compactor.storage.x", "from time import sleep"),
        (a.homes, "compactor.storage.x", "import random"),
        (a.homes, "compactor.ambient.system", "import secrets"),
        (a.purity, "compactor.planning.x", "import os"),
        (a.purity, "compactor.planning.x", "from concurrent.futures import Future"),
        (a.purity, "compactor.tables.delta.conflicts", "from compactor.ambient.system import SystemClock"),
        (a.surroundings, "compactor.storage.x", "from datetime import datetime\nx = datetime.now()"),
        (a.surroundings, "compactor.storage.x", "import datetime\nx = datetime.date.today()"),
        (a.surroundings, "compactor.planning.x", "import uuid\nx = uuid.uuid4()"),
        (a.surroundings, "compactor.planning.x", "from uuid import uuid4\nx = uuid4()"),
        (a.surroundings, "compactor.tables.x", "import os\nx = os.urandom(4)"),
        (a.surroundings, "compactor.tables.x", "import os\nx = os.environ['HOME']"),
        (a.surroundings, "compactor.planning.x", "from os import environ\nx = environ"),
        (a.data_is_data, "compactor.planning.x", "import pickle"),
        (a.data_is_data, "compactor.coordination.x", "def f(data):\n    from marshal import loads\n    return loads(data)"),
        (a.data_is_data, "compactor.settings", "x = eval('1')"),
        (a.data_is_data, "compactor_cli.x", "import os\nos.system('true')"),
        (a.form, "compactor.x", "x = 1"),
        (a.form, "compactor.x", '"""Long."""\n' + "x = 1\n" * 400),
    ],
)
def test_each_rule_can_fail(rule: Rule, module: str, text: str, sources: dict[str, a.Source]) -> None:
    """A module that breaks the rule is named by it."""
    broken = {**sources, module: a.parse(text, frozenset(sources))}
    assert any(breach.startswith(module) for breach in rule(broken))


def test_a_worker_that_would_load_the_log_is_noticed(sources: dict[str, a.Source]) -> None:
    """An import at the top of a module that workers load, however far down, is followed."""
    deep = {**sources, "compactor.storage.keys": a.parse("import compactor.tables.delta.log", frozenset(sources))}
    assert any("loads compactor.tables.delta.log" in breach for breach in a.workers_load_little(deep))
    lazy = {**sources, "compactor.storage.keys": a.parse("def f():\n    import compactor.tables.delta.log", frozenset(sources))}
    assert not list(a.workers_load_little(lazy))


def test_every_worker_entry_exists(sources: dict[str, a.Source]) -> None:
    """The worker rule looks at modules that are there."""
    assert set(a.WORKER_ENTRIES) <= set(sources)
    assert len(a.loads(sources, "compactor.execution.worker")) > 10


def test_the_facade_is_pinned() -> None:
    """What the library promises by name changes only together with this list."""
    assert sorted(compactor.__all__) == sorted(FACADE)
    for name in FACADE:
        assert getattr(compactor, name) is not None


FACADE = (
    *("load", "assess", "plan", "run", "history", "scan", "Settings", "load_settings", "__version__"),
    *("write_plan", "read_plan", "diff_plans", "explain", "runs", "verify", "clean", "doctor", "installation", "vacuum"),
    *("CompactorError", "UsageError", "SettingsError", "TableRefused", "NotATable", "ConflictGaveUp", "StorageError", "AccessDenied"),
    *("ObjectMissing", "BucketMissing", "ObjectArchived", "CredentialsMissing", "WrongRegion", "StorageUnavailable"),
    *("TableCorrupt", "ExecutionFailed", "ProofFailed", "Interrupted"),
)
