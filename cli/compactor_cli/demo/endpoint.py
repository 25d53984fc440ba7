"""Starts and ends the demo's store, and gives this process (and what it starts) dummy credentials that fit no other."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from compactor.errors import ExecutionFailed, UsageError

REGION = "us-east-1"
BUCKET = "demo-lake"
_OURS = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
_START_S = 60


@contextmanager
def endpoint() -> Iterator[str]:
    """The URL of a fresh store with an empty bucket, ended on leaving. Raises UsageError when the extra `demo` is not installed."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise UsageError('The demo needs moto for its store: pip install "lakehouse-compactor[demo]".')
    with _own_environment(), _server() as port:
        url = f"http://127.0.0.1:{port}"
        _create_bucket(url)
        yield url


@contextmanager
def _own_environment() -> Iterator[None]:
    """Whatever the user's AWS configuration is, the demo must neither use nor need it."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        del os.environ[name]
    os.environ.update(_OURS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _server() -> Iterator[int]:
    command = [sys.executable, "-m", "compactor_cli.demo.s3_server"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline().strip()
        if not line.isdigit():
            raise ExecutionFailed("The demo's store did not start; run python -m compactor_cli.demo.s3_server to see why.")
        yield int(line)
    finally:
        child.stdin.close()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=_START_S)
        child.stdout.close()


def _create_bucket(url: str) -> None:
    import boto3

    boto3.client("s3", endpoint_url=url, region_name=REGION).create_bucket(Bucket=BUCKET)
