"""Fetches what the Spark suite needs: pyspark into `.venv-spark`, Delta's jars by Maven into a folder of the user's cache.

    python tests/spark/prepare.py       exit 0 when all is there, 3 with one line of why when it cannot be had here

What is there already is not fetched again. Needs Java 17 or newer, Maven and a way to its repository.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ENVIRONMENT = REPOSITORY / ".venv-spark"
PYTHON = ENVIRONMENT / "bin" / "python"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
CANNOT = 3
JAVA = 17


def jars_folder() -> Path:
    """Where the jars are, named by what was asked for."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    asked = hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:12]
    return cache / "lakehouse-compactor" / f"spark-jars-{asked}"


def missing_tool() -> str | None:
    """A sentence about the first tool that is not here."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            return f"The Spark suite needs {tool}, which is not installed."
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < JAVA:
        return f"The Spark suite needs Java {JAVA} or newer."
    return None


def prepare() -> str | None:
    """Fetch; None when all is there, else why not."""
    if (why := missing_tool()) is not None:
        return why
    stamp = ENVIRONMENT / f".{hashlib.sha256((HERE / 'requirements.txt').read_bytes()).hexdigest()[:12]}"
    if not stamp.is_file():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        command = [sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)]
        install = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "-r", str(HERE / "requirements.txt")]
        if not (_ran(command, 120) and _ran(install, 900)):
            return "The Spark suite needs pyspark, which could not be installed."
        stamp.touch()
    folder = jars_folder()
    if not folder.is_dir():
        partly = folder.with_suffix(".partly")
        shutil.rmtree(partly, ignore_errors=True)
        target = f"-DoutputDirectory={partly}"
        if not _ran(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), COPY, "-DincludeScope=runtime", target], 300):
            return "The Spark suite needs Delta's jars, which Maven could not fetch."
        partly.rename(folder)
    return None


def _ran(command: list[str], seconds: float) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=seconds, check=False).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


if __name__ == "__main__":
    problem = prepare()
    if problem is not None:
        print(f"skipped: {problem}")
        sys.exit(CANNOT)
