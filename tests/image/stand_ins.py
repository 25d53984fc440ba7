"""Bases for the image where those that the Dockerfile names cannot be pulled: Debian from its mirror, with this machine's Python or Rust.

They have what the real ones have where the Dockerfile looks: `python` and `pip` in /usr/local, or `cargo` there and a C compiler. What was
built on them shows that the Dockerfile works, and is not to be deployed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_LIBRARIES = "ca-certificates,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8,libuuid1,libncursesw6,libexpat1"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def missing() -> str | None:
    """Why they cannot be made here."""
    if shutil.which("mmdebstrap") is None:
        return "mmdebstrap is not installed"
    if sys.base_prefix == "/usr":
        return "this machine's Python is the system's own, which does not fit into /usr/local"
    if shutil.which("cargo") is None:
        return "there is no Rust toolchain"
    return None


def python_base(folder: Path) -> Path:
    """Debian 12 with this Python in /usr/local, and nothing else that is installed beside it but pip."""
    root = _debian(folder / "python", _LIBRARIES)
    source, place = Path(sys.base_prefix), root / "usr/local"
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns("site-packages", "test", "idlelib", "tkinter", "__pycache__", "*.a")
    shutil.copytree(source / "lib", place / "lib", dirs_exist_ok=True, symlinks=True, ignore=ignored)
    shutil.copy(source / "bin" / name, place / "bin" / name)
    for command in (["/sbin/ldconfig"], [f"/usr/local/bin/{name}", "-m", "ensurepip"]):
        subprocess.run(["chroot", root, *command], check=True, stdout=subprocess.DEVNULL)
    for link in ("python", "python3"):
        (place / "bin" / link).symlink_to(name)
    return root


def rust_base(folder: Path) -> Path:
    """Debian 12 with a C compiler, and this Rust toolchain in /usr/local."""
    root = _debian(folder / "rust", "ca-certificates,gcc,libc6-dev")
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    shutil.copytree(sysroot, root / "usr/local", dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("doc", "man", "src"))
    return root


def _debian(root: Path, packages: str) -> Path:
    """The smallest Debian 12, which trusts whom this machine trusts."""
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", root], check=True)
    if Path("/", _CERTIFICATES).is_file():
        shutil.copyfile(Path("/", _CERTIFICATES), root / _CERTIFICATES)
        root.joinpath("etc/pip.conf").write_text(f"[global]\ncert = /{_CERTIFICATES}\n")
    return root
