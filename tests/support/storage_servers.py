"""Servers of object stores that are not ours, on loopback: what `make test-storage` fetched (tests/conformance/prepare_servers.py), started
and ended here.

    with started("versitygw", binary, folder) as server:
        with pytest.MonkeyPatch.context() as environment:
            uri, options = server.place(environment)         # a bucket of its own, with the keys in the environment
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactor.model.storage import StorageOptions

NAMES: Sequence[str] = tuple(os.environ.get("TEST_STORAGE", "").split())
"""Those that `make test-storage` has fetched; none without it."""
WHY_NOT = "servers of object stores are asked by `make test-storage`"
REGION = "us-east-1"
_KEY, _SECRET = "testing", "testing-secret"
_AZURE_ACCOUNT = "devstoreaccount1"
_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every Azurite, as its documentation gives it."""
_READY_S = 60.0
_NUMBERS = itertools.count(1)
_BINARIES = {"versitygw": "bin/versitygw", "minio": "bin/minio", "azurite": "node_modules/azurite/dist/src/blob/main.js"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageServer:
    """One that listens."""

    name: str
    endpoint_url: str

    @property
    def azure(self) -> bool:
        """Whether it speaks Azure's protocol instead of S3's."""
        return self.name == "azurite"

    def place(self, environment: Any) -> tuple[str, StorageOptions]:
        """An empty bucket or container: its URI, and how to reach it. `environment` is a MonkeyPatch, which gets the keys."""
        name = f"bucket-{next(_NUMBERS)}"
        if self.azure:
            environment.setenv("AZURE_STORAGE_ACCOUNT_NAME", _AZURE_ACCOUNT)
            environment.setenv("AZURE_STORAGE_ACCOUNT_KEY", _AZURE_KEY)
            self._make_container(name)
            return f"az://{name}", StorageOptions(endpoint_url=f"{self.endpoint_url}/{_AZURE_ACCOUNT}")
        environment.setenv("AWS_ACCESS_KEY_ID", _KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
        environment.delenv("AWS_SESSION_TOKEN", raising=False)
        self._client().create_bucket(Bucket=name)
        return f"s3://{name}", StorageOptions(endpoint_url=self.endpoint_url, region=REGION, path_style=True)

    def _client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint_url, region_name=REGION, aws_access_key_id=_KEY, aws_secret_access_key=_SECRET)

    def _make_container(self, name: str) -> None:
        import base64
        import hashlib
        import hmac
        import urllib.request
        from email.utils import formatdate

        date = formatdate(usegmt=True)
        resource = f"/{_AZURE_ACCOUNT}/{_AZURE_ACCOUNT}/{name}\nrestype:container"
        signed = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-12-02\n{resource}"
        digest = base64.b64encode(hmac.new(base64.b64decode(_AZURE_KEY), signed.encode(), hashlib.sha256).digest()).decode()
        request = urllib.request.Request(
            f"{self.endpoint_url}/{_AZURE_ACCOUNT}/{name}?restype=container",
            method="PUT",
            headers={
                "x-ms-date": date,
                "x-ms-version": "2021-12-02",
                "Authorization": f"SharedKey {_AZURE_ACCOUNT}:{digest}",
                "Content-Length": "0",
            },
        )
        urllib.request.urlopen(request, timeout=30).close()


def cache_folder() -> Path:
    """Where what is fetched is kept, by `make test-storage`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "lakehouse-compactor" / "storage-servers"


def binary_of(name: str) -> Path:
    """What is started for it; whether it is there is another question."""
    return cache_folder() / _BINARIES[name]


@contextmanager
def started(name: str, binary: Path, folder: Path) -> Iterator[StorageServer]:
    """The server, with its data in `folder`, once it listens; ended by its id on leaving."""
    port = _free_port()
    command, environment = _command(name, binary, folder, port)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        _await(port, process)
        yield StorageServer(name=name, endpoint_url=f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(name: str, binary: Path, folder: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    if name == "azurite":
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
        return ["node", str(binary), *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)], {}
    if name == "minio":
        address = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{_free_port()}"]
        return [str(binary), "server", *address, str(folder)], {"MINIO_ROOT_USER": _KEY, "MINIO_ROOT_PASSWORD": _SECRET}
    return [str(binary), "--port", f"127.0.0.1:{port}", "posix", str(folder)], {"ROOT_ACCESS_KEY": _KEY, "ROOT_SECRET_KEY": _SECRET}


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + _READY_S
    while time.monotonic() < ends_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen on {port}.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
