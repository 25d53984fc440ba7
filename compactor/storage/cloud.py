"""Google Cloud Storage and Azure Blob Storage, through obstore, which takes credentials from the environment of each process.

`create` goes through a store that never retries. obstore says "already exists" for every 409 and 412, and Azure has 409s that mean
something else, so "exists" is only said after the object was seen. obstore lists below folders only; a prefix that ends inside a name is
listed from its folder and filtered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError

from compactor.errors import StorageUnavailable
from compactor.model.storage import StorageOptions
from compactor.storage.base import Created, CreateOutcome, Exists, Listing, ObjectMeta, PutUnknown
from compactor.storage.cloud_connection import CloudConnection, connect_cloud
from compactor.storage.cloud_writer import IN_FLIGHT, PART_BYTES, CloudWriter
from compactor.storage.http_probe import date_header_ms
from compactor.storage.keys import check_folder, check_key, order
from compactor.storage.obstore_reads import FAILURES, describe, meta_of, obstore_error, read_ranges, read_whole
from compactor.storage.uris import Location

_PAGE = 1000
_ABOVE_ALL = "\U0010fffd"


def open_cloud(location: Location, options: StorageOptions) -> CloudStore:
    """The store at a gs:// or Azure location. Raises what connecting raises."""
    return CloudStore(connect_cloud(location, options), location.path)


class CloudStore:
    """The objects of a bucket below `path`."""

    def __init__(self, connection: CloudConnection, path: str) -> None:
        self._connection = connection
        self._root = f"{path}/" if path else ""
        self._uri = f"{connection.uri}/{path}" if path else connection.uri
        storage_class = connection.options.storage_class
        self._attributes: Any = {"Storage-Class": storage_class} if storage_class else None

    @property
    def uri(self) -> str:
        return self._uri

    def get(self, key: str) -> bytes | memoryview:
        return read_whole(self._connection.retrying, self._name(key), f"{self._uri}/{key}")

    def read_soon(self, key: str) -> bool:
        return False

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        return read_ranges(self._connection.retrying, self._name(key), f"{self._uri}/{key}", ranges)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        name, uri = self._name(key), f"{self._uri}/{key}"
        try:
            reply = obstore.put(self._connection.once, name, bytes(data), mode="create", use_multipart=False, attributes=self._attributes)
        except AlreadyExistsError:
            if self.head(key) is not None:
                return Exists()
            return PutUnknown(why=f"The store reported a conflict about {uri}, but nothing is there.")
        except FAILURES as error:
            known = obstore_error(error, uri)
            if isinstance(known, StorageUnavailable):
                return PutUnknown(why=f"It is not known whether {uri} was created: {known}")
            raise known from None
        return Created(etag=reply.get("e_tag"))

    def put(self, key: str, data: bytes) -> None:
        name = self._name(key)
        try:
            obstore.put(self._connection.retrying, name, bytes(data), use_multipart=False, attributes=self._attributes)
        except FAILURES as error:
            raise obstore_error(error, f"{self._uri}/{key}") from None

    def open_writer(self, key: str) -> CloudWriter:
        name = self._name(key)

        def start() -> Any:
            return obstore.open_writer(
                self._connection.retrying, name, attributes=self._attributes, buffer_size=PART_BYTES, max_concurrency=IN_FLIGHT
            )

        return CloudWriter(start, f"{self._uri}/{key}")

    def head(self, key: str) -> ObjectMeta | None:
        return describe(self._connection.retrying, self._name(key), key, f"{self._uri}/{key}")

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        wanted = self._root + prefix
        after = max(self._root + start_after if start_after else "", _just_before(wanted), key=order)
        found = self._below(wanted.rpartition("/")[0], after)
        if not self._connection.ordered:
            found = iter(sorted(found, key=lambda meta: order(meta.key)))
        for meta in found:
            name = self._root + meta.key
            if name.startswith(wanted) and order(name) > order(after):
                yield meta
            elif order(name) > order(wanted + _ABOVE_ALL):
                return

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        check_folder(prefix, self._uri)
        try:
            found = obstore.list_with_delimiter(self._connection.retrying, (self._root + prefix).rstrip("/") or None)
        except FAILURES as error:
            raise obstore_error(error, f"{self._uri}/{prefix}".rstrip("/")) from None
        folders = sorted((f"{name.rstrip('/')}/"[len(self._root) :] for name in found["common_prefixes"]), key=order)
        objects = sorted((meta_of(item, item["path"][len(self._root) :]) for item in found["objects"]), key=lambda meta: order(meta.key))
        return Listing(folders=tuple(folders), objects=tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        batch: list[str] = []
        for key in keys:
            batch.append(self._name(key))
            if len(batch) == _PAGE:
                self._delete(batch)
                batch = []
        self._delete(batch)

    def now_ms(self) -> int:
        return date_header_ms(self._connection.date_url, self._connection.options.connect_timeout_s, self._uri)

    def _name(self, key: str) -> str:
        return self._root + check_key(key, self._uri)

    def _below(self, folder: str, after: str) -> Iterator[ObjectMeta]:
        try:
            pages = obstore.list(self._connection.retrying, folder or None, offset=after or None, chunk_size=_PAGE)
            for page in pages:
                for item in page:
                    yield meta_of(item, item["path"][len(self._root) :])
        except FAILURES as error:
            raise obstore_error(error, f"{self._connection.uri}/{folder}".rstrip("/")) from None

    def _delete(self, names: Sequence[str]) -> None:
        """In bulk; one by one when one of them was missing, which some stores take for an error that ends the whole."""
        try:
            if names:
                obstore.delete(self._connection.retrying, list(names))
        except FileNotFoundError:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._delete_one(name)
        except FAILURES as error:
            raise obstore_error(error, self._uri) from None

    def _delete_one(self, name: str) -> None:
        try:
            obstore.delete(self._connection.retrying, name)
        except FileNotFoundError:
            raise
        except FAILURES as error:
            raise obstore_error(error, f"{self._connection.uri}/{name}") from None


def _just_before(prefix: str) -> str:
    """A name after which a listing may start and still show everything that starts with `prefix`; empty when there is no such hint."""
    if not prefix or prefix.endswith("/"):
        return ""
    last = ord(prefix[-1]) - 1
    return prefix[:-1] + chr(last) + _ABOVE_ALL if 0x21 <= last < 0xD800 else ""
