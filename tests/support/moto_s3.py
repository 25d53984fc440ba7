"""AWS in this process (moto) for tests: a server on loopback, dummy keys, buckets with their StorageOptions.

moto's PutObject checks and stores without a lock, so that two exclusive creations can both succeed; a lock around it makes the answers
right. A race on moto is still no proof, only a test of what we do with the answers.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from compactor.model.storage import StorageOptions

REGION = "eu-central-1"
DUMMY_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_NAMES = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket made for one test. `options` reach it from our adapters; other clients take `endpoint_url` and the dummy keys."""

    name: str
    endpoint_url: str
    options: StorageOptions

    @property
    def uri(self) -> str:
        return f"s3://{self.name}"


@dataclass(slots=True)
class MotoS3:
    """The running server."""

    endpoint_url: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str = "s3") -> Any:
        """A boto3 client of the server, for arranging and for looking."""
        import boto3

        if service not in self._clients:
            self._clients[service] = boto3.client(
                service, endpoint_url=self.endpoint_url, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
            )
        return self._clients[service]

    def bucket(self, name: str | None = None) -> Bucket:
        """A new bucket with a name of its own."""
        name = name or f"bucket-{next(_NAMES)}"
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        options = StorageOptions(endpoint_url=self.endpoint_url, region=REGION, path_style=True)
        return Bucket(name=name, endpoint_url=self.endpoint_url, options=options)


@contextmanager
def moto_server() -> Iterator[MotoS3]:
    """A moto server on a free port of loopback, ended on leaving."""
    from moto.server import ThreadedMotoServer

    _make_puts_atomic()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield MotoS3(endpoint_url=f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    finally:
        server.stop()


@functools.cache
def _make_puts_atomic() -> None:
    from moto.s3.responses import S3Response

    lock = threading.RLock()

    def locked(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return method(*args, **kwargs)

        return call

    for name in ("put_object", "_key_response_post", "copy_object"):
        if method := getattr(S3Response, name, None):
            setattr(S3Response, name, locked(method))
