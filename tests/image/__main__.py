"""Builds the image and starts it once: `python -m image [--keep FOLDER]`, from tests/. Ends with 0 when all holds or nothing can be built.

Where the bases of the Dockerfile cannot be pulled, stand-ins are made (stand_ins.py), and said. Some minutes, and some gigabytes in FOLDER,
which is removed unless it was named.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from image import stand_ins
from image.engines import ROOT, Engine, engine
from image.started import checks

IMAGE = "localhost/lakehouse-compactor:check"


def bases(builder: Engine, folder: Path) -> Mapping[str, str] | str:
    """The build's arguments, or why there are none."""
    named = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)", ROOT.joinpath("Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    public = {name: f"docker.io/library/{image}" for name, image in named.items()}
    if all(builder.has(image) for image in public.values()):
        return public
    if (why := stand_ins.missing()) is not None:
        return f"{' and '.join(named.values())} cannot be pulled, and stand-ins cannot be made: {why}"
    print(
        f"{' and '.join(named.values())} cannot be pulled: building on stand-ins, made of Debian and this machine's Python and Rust.",
        flush=True,
    )
    made = {"PYTHON_IMAGE": "localhost/python-stand-in", "RUST_IMAGE": "localhost/rust-stand-in"}
    for name, make in (("PYTHON_IMAGE", stand_ins.python_base), ("RUST_IMAGE", stand_ins.rust_base)):
        if not builder.has(made[name]):
            root = make(folder / "bases")
            builder.add(made[name], root)
            shutil.rmtree(root)
    return made


def main(folder: Path) -> int:
    """Build and start."""
    builder = engine(folder)
    if builder is None:
        print("Skipped: neither docker, podman nor buildah works here.")
        return 0
    found = bases(builder, folder)
    if isinstance(found, str):
        print(f"Skipped: {found}.")
        return 0
    try:
        builder.build(IMAGE, found)
        with tempfile.TemporaryDirectory(prefix="compactor-image-") as work:
            for line in checks(builder, IMAGE, Path(work)):
                print(line, flush=True)
    except (subprocess.CalledProcessError, AssertionError) as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="where images are, and stay")
    kept = parser.parse_args().keep
    place = kept or Path(tempfile.mkdtemp(prefix="compactor-image-build-"))
    try:
        sys.exit(main(place.resolve()))
    finally:
        if kept is None:
            shutil.rmtree(place, ignore_errors=True)
