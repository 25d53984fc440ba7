"""Figures of short runs: imports, help, few files, nothing to do. Each is measured in a fresh process:
`python -m tests.benchmarks.startup FIGURE [TABLE]` prints one JSON object.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time

RUN_MODULES = (
    "compactor_cli.main",
    "compactor_cli.commands.run",
    "compactor.verbs",
    "compactor.tables.delta.table",
    "compactor.storage.local",
    "compactor.execution.local",
    "compactor.execution.splitting",
    "compactor.execution.worker",
    "compactor.planning.plan",
    "compactor.tables.delta.commit",
    "compactor.tables.delta.checkpoint",
    "compactor.tables.delta.rivals",
    "pyarrow.dataset",
    "numpy.ma",
)
FORBIDDEN_IN_HELP = ("ray", "pyarrow", "deltalake")


def import_run() -> None:
    """Everything that a run of a local table imports."""
    for name in RUN_MODULES:
        importlib.import_module(name)


def imports() -> dict[str, object]:
    started = time.perf_counter()
    import_run()
    return {
        "seconds": time.perf_counter() - started,
        "heavy": sorted(name for name in ("ray", "deltalake", "boto3") if name in sys.modules),
    }


def help_text() -> dict[str, object]:
    """`compactor run --help` beyond the start of the interpreter, and which forbidden modules it loads."""
    code = "import sys; sys.argv[0] = 'compactor'\nfrom compactor_cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([m for m in {FORBIDDEN_IN_HELP!r} if m in sys.modules], file=sys.stderr)"
    plain, full = _seconds("pass"), _seconds(code, "run", "--help")
    return {"seconds": full[0] - plain[0], "heavy": json.loads(full[1].splitlines()[-1].replace("'", '"'))}


def _seconds(code: str, *arguments: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stderr


def run(uri: str) -> dict[str, object]:
    """`compactor run URI` beyond imports, through the façade that the command calls."""
    import compactor
    from compactor.ambient.lean import leave_pandas

    import_run()
    leave_pandas()  # as the command does
    started = time.perf_counter()
    done = compactor.run(uri, settings=compactor.load_settings(env={}))
    return {"seconds": time.perf_counter() - started, "status": str(done.status), "reason": done.reason}


def main(figure: str, *arguments: str) -> None:
    figures = {"imports": imports, "help": help_text, "run": run}
    print(json.dumps(figures[figure](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
