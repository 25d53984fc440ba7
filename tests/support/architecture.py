"""The rules of who may import whom and who may touch the surroundings, checked on parsed sources.

A rule is a function from the sources (module name -> Source) to sentences, one for each breach. Homes and allowances are the tables at the
top: an exception is made there, in the open, or not at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PURE_BASE = ("compactor.model", "compactor.errors", "compactor.units")
STORE_PORTS = ("compactor.storage.base", "compactor.storage.unfinished")
PORTS = (
    *("compactor.storage.base", "compactor.tables.base", "compactor.execution.base"),
    *("compactor.ambient.ports", "compactor.ambient.stopwatch"),
)
AMBIENT_PARTS = ("compactor.ambient.ports", "compactor.ambient.cores", "compactor.ambient.inline", "compactor.ambient.stopwatch")

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "compactor.model": PURE_BASE,
    "compactor.errors": PURE_BASE,
    "compactor.units": PURE_BASE,
    "compactor.run_report": PURE_BASE,
    "compactor.ambient": (*PURE_BASE, "compactor.ambient"),
    "compactor.storage": (*PURE_BASE, "compactor.ambient", "compactor.storage"),
    "compactor.planning": (*PURE_BASE, "compactor.planning"),
    "compactor.rewriting": (*PURE_BASE, *AMBIENT_PARTS, "compactor.storage.base", "compactor.storage.sure", "compactor.rewriting"),
    "compactor.execution": (*PURE_BASE, "compactor.ambient", "compactor.storage", "compactor.execution"),
    "compactor.execution.reading": (*PURE_BASE, "compactor.ambient.ports", "compactor.storage.base", "compactor.rewriting"),
    "compactor.execution.worker": (*PURE_BASE, "compactor.ambient.ports", "compactor.storage.base", "compactor.rewriting"),
    "compactor.tables": (*PURE_BASE, "compactor.ambient", "compactor.storage", "compactor.tables"),
    "compactor.coordination": (*PURE_BASE, *STORE_PORTS, "compactor.ambient.ports", "compactor.coordination"),
    "compactor.early": (*PURE_BASE, *PORTS),
    "compactor.takeover": (*PURE_BASE, *PORTS, "compactor.coordination"),
    "compactor.ports": (*PURE_BASE, *PORTS, "compactor.planning", "compactor.coordination"),
    "compactor.lookout": (*PURE_BASE, *PORTS, "compactor.planning", "compactor.coordination", "compactor.ports"),
    "compactor.acting": (
        *(*PURE_BASE, *PORTS, "compactor.ambient.interrupts"),
        *("compactor.planning", "compactor.coordination", "compactor.run_report", "compactor.lookout", "compactor.ports"),
    ),
    "compactor.pipeline": (
        *(*PURE_BASE, *PORTS),
        *(
            "compactor.planning",
            "compactor.coordination",
            "compactor.run_report",
            "compactor.takeover",
            "compactor.early",
            "compactor.acting",
            "compactor.ports",
        ),
    ),
}
"""What a module may import of ours, by the longest matching name; modules that are not here (the façade, wiring, service, …) may import all
but the command line."""

HOMES: Mapping[str, tuple[str, ...]] = {
    "ray": ("compactor.execution.on_ray", "compactor.execution.ray_pass", "compactor.execution.ray_session"),
    "obstore": ("compactor.storage",),
    "deltalake": ("compactor.tables.delta", "compactor_cli.demo"),
    "boto3": ("compactor.storage.aws", "compactor_cli.demo"),
    "moto": ("compactor_cli.demo",),
    "compactor_native": ("compactor.rewriting.native",),
    "typer": ("compactor_cli",),
    "rich": ("compactor_cli",),
    "starlette": ("compactor.service.http",),
    "uvicorn": ("compactor.service.http.server",),
    "prometheus_client": ("compactor.service.telemetry.metrics",),
    "opentelemetry": ("compactor.service.telemetry.traces",),
    "pydantic": ("compactor.settings",),
    "pydantic_settings": ("compactor.settings",),
    "pyroaring": ("compactor.model.positions", "compactor.rewriting.row_filter", "compactor.tables.delta"),
    "xxhash": ("compactor.rewriting.checksum",),
    "time": ("compactor.ambient.system",),
    "random": ("compactor.ambient",),
    "secrets": (),
}
"""The only modules that may import a library, or what takes time and chance from the machine."""

PURE = (
    "compactor.model",
    "compactor.errors",
    "compactor.units",
    "compactor.run_report",
    "compactor.planning",
    "compactor.tables.delta.conflicts",
)
IMPURE = (
    *("os", "time", "random", "secrets", "socket", "ssl", "http", "urllib", "threading", "multiprocessing", "subprocess", "asyncio"),
    *("concurrent", "tempfile", "shutil", "signal", "ray", "obstore", "boto3", "botocore", "deltalake", "compactor.ambient.system"),
)

ENVIRONMENT_HOMES = (
    "compactor.settings",
    "compactor.execution.ray_session",
    "compactor.execution.processes",
    "compactor.storage.aws",
    "compactor.storage.s3_connection",
    "compactor.storage.cloud_connection",
    "compactor_cli",
)

WORKER_ENTRIES = (
    "compactor.execution.worker",
    "compactor.execution.processes",
    "compactor.execution.on_ray",
    "compactor.execution.ray_pass",
    "compactor.execution.ray_session",
    "compactor.storage.local",
    "compactor.storage.s3",
    "compactor.storage.cloud",
)
"""Modules that worker processes and clusters load, by themselves or lazily."""
WORKER_MAY_LOAD = (*PURE_BASE, "compactor.ambient", "compactor.storage", "compactor.rewriting", "compactor.execution")

LOADERS = ("pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "yaml")
RUNNERS = frozenset({"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "os.system", "os.popen"})

LONGEST_MODULE = 400


@dataclass(frozen=True, slots=True)
class Import:
    """One import of `module`; `lazy` when it only happens inside a function, `typing` when only type checkers see it."""

    module: str
    lazy: bool
    typing: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed module."""

    text: str
    tree: ast.Module
    imports: tuple[Import, ...]


Sources = Mapping[str, Source]


def parse(text: str, modules: frozenset[str]) -> Source:
    """One module. `from a import b` counts as an import of `a.b` where that is one of `modules`."""
    tree = ast.parse(text)
    return Source(text, tree, tuple(_imports(tree, modules)))


def read(root: Path) -> dict[str, Source]:
    """The sources of the library and of the command line."""
    texts = {}
    for base, package in ((root, "compactor"), (root / "cli", "compactor_cli")):
        for file in sorted((base / package).rglob("*.py")):
            name = ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
            texts[name] = file.read_text()
    return {name: parse(text, frozenset(texts)) for name, text in texts.items()}


def within(module: str, names: tuple[str, ...]) -> bool:
    """Whether `module` is one of `names` or below one."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def who_imports_whom(sources: Sources) -> Iterator[str]:
    """Rules 1 and 2: nouns import nouns; stages meet in the model, in ports and in the pipeline; nothing imports the command line."""
    for name, source in sources.items():
        longest = max((key for key in ALLOWED if within(name, (key,))), key=len, default=None)
        for used in source.imports:
            if within(used.module, ("compactor_cli",)) and not within(name, ("compactor_cli",)):
                yield f"{name} imports the command line ({used.module})"
            if longest is None or not within(used.module, ("compactor",)) or used.module == "compactor":
                continue
            if not within(used.module, ALLOWED[longest]):
                yield f"{name} imports {used.module}, which {longest} may not"


def homes(sources: Sources) -> Iterator[str]:
    """Rule 4, and the bans on time and chance: each library is imported in its home only."""
    for name, source in sources.items():
        for used in source.imports:
            top = used.module.split(".")[0]
            if top in HOMES and not within(name, HOMES[top]):
                yield f"{name} imports {used.module}; its home is {' or '.join(HOMES[top]) or 'nowhere'}"


def purity(sources: Sources) -> Iterator[str]:
    """Rule 3: pure modules import no clock, chance, system, threads, network or cluster."""
    for name, source in sources.items():
        if within(name, PURE):
            yield from (f"{name} is pure and imports {used.module}" for used in source.imports if within(used.module, IMPURE))


def surroundings(sources: Sources) -> Iterator[str]:
    """Rule 6: no wall clock, no fresh ids, no environment outside their homes."""
    for name, source in sources.items():
        for node in ast.walk(source.tree):
            said = _dotted(node)
            if said.endswith((".now", ".utcnow", ".today")) and "date" in said:
                yield f"{name}:{node.lineno} asks the wall clock ({said})"  # type: ignore[attr-defined]
            if said in {"uuid.uuid1", "uuid.uuid4", "os.urandom", "uuid1", "uuid4"} and not within(name, ("compactor.ambient.system",)):
                yield f"{name}:{node.lineno} makes its own ids ({said})"  # type: ignore[attr-defined]
            if said in {"os.environ", "os.getenv", "os.putenv", "environ"} and not within(name, ENVIRONMENT_HOMES):
                yield f"{name}:{node.lineno} reads the environment ({said})"  # type: ignore[attr-defined]


def workers_load_little(sources: Sources) -> Iterator[str]:
    """Rule 5: what a worker loads by loading its entry stays within the model, storage, rewriting and execution."""
    for entry in WORKER_ENTRIES:
        for module in loads(sources, entry):
            if within(module, ("compactor", "compactor_cli")) and module != "compactor" and not within(module, WORKER_MAY_LOAD):
                yield f"a worker that loads {entry} loads {module}"


def loads(sources: Sources, entry: str) -> set[str]:
    """Our modules that importing `entry` imports, packages above them included, lazy imports excluded."""
    seen: set[str] = set()
    ahead = [entry] if entry in sources else []
    while ahead:
        module = ahead.pop()
        if module in seen or module not in sources:
            continue
        seen.add(module)
        ahead.extend(used.module for used in sources[module].imports if not used.lazy and not used.typing)
        ahead.append(module.rpartition(".")[0])
    return seen


def data_is_data(sources: Sources) -> Iterator[str]:
    """What is read from files, stores and settings is never run: nothing unpickles, evaluates, or loads YAML as objects."""
    for name, source in sources.items():
        for used in source.imports:
            if within(used.module, LOADERS):
                yield f"{name} imports {used.module}, which runs what it reads"
        for node in ast.walk(source.tree):
            said = _dotted(node.func) if isinstance(node, ast.Call) else ""
            if said in RUNNERS:
                yield f"{name}:{node.lineno} runs text as code ({said})"  # type: ignore[attr-defined]


def form(sources: Sources) -> Iterator[str]:
    """Every module that holds anything says what it does, and none is too long to be read."""
    for name, source in sources.items():
        if source.text.strip() and not ast.get_docstring(source.tree):
            yield f"{name} has no docstring"
        lines = len(source.text.splitlines())
        if lines > LONGEST_MODULE:
            yield f"{name} has {lines} lines, more than {LONGEST_MODULE}"


def _imports(tree: ast.Module, modules: frozenset[str]) -> Iterator[Import]:
    def visit(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, lazy, typing) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                for alias in child.names:
                    full = f"{base}.{alias.name}"
                    yield Import(full if full in modules else base, lazy, typing)
            elif isinstance(child, ast.If) and _dotted(child.test).endswith("TYPE_CHECKING"):
                yield from visit(ast.Module(body=child.body, type_ignores=[]), lazy, True)
                yield from visit(ast.Module(body=child.orelse, type_ignores=[]), lazy, typing)
            else:
                inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from visit(child, lazy or inner, typing)

    return visit(tree, False, False)


def _dotted(node: ast.AST) -> str:
    """`a.b.c` for such an expression, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""
