"""The S3 adapter, for AWS and for stores that speak its protocol.

`create` is one PutObject with `If-None-Match: *`, sent once. 412 means that an object is there; a refusal (4xx) stored nothing and is
raised; anything else (5xx, 409 ConditionalRequestConflict, throttling, a lost connection) is PutUnknown, because the object may be there.
"""

from __future__ import annotations

import email.utils
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compactor.errors import AccessDenied, StorageError, StorageUnavailable
from compactor.model.storage import StorageOptions
from compactor.storage.base import Created, CreateOutcome, Exists, Listing, ObjectMeta, PutUnknown
from compactor.storage.keys import check_folder, check_key
from compactor.storage.obstore_reads import describe, read_ranges, read_whole
from compactor.storage.s3_connection import S3Connection, connect
from compactor.storage.s3_errors import SDK_FAILURES, code_of, s3_error, status_of, stored_nothing
from compactor.storage.s3_writer import S3Writer
from compactor.storage.unfinished import Unfinished
from compactor.storage.uris import Location

_DELETE_BATCH = 1000
_DELETE_ROUNDS = 4


def open_s3(location: Location, options: StorageOptions) -> S3ObjectStore:
    """The store at an s3:// location. Raises what connecting raises."""
    return S3ObjectStore(connect(location.bucket, options), location.path)


class S3ObjectStore:
    """The objects of a bucket below `path`."""

    def __init__(self, connection: S3Connection, path: str) -> None:
        self._connection = connection
        self._root = f"{path}/" if path else ""
        self._uri = f"{connection.uri}/{path}" if path else connection.uri

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def options(self) -> StorageOptions:
        """The options in force, with the region that was discovered: what to send to workers, so that they need not discover it."""
        return self._connection.options

    def get(self, key: str) -> bytes | memoryview:
        return read_whole(self._connection.reads, self._name(key), f"{self._uri}/{key}")

    def read_soon(self, key: str) -> bool:
        return False

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        return read_ranges(self._connection.reads, self._name(key), f"{self._uri}/{key}", ranges)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        name, placing = self._name(key), self._connection.placing()
        try:
            reply = self._connection.once.put_object(Bucket=self._connection.bucket, Key=name, Body=bytes(data), IfNoneMatch="*", **placing)
        except SDK_FAILURES as error:
            if status_of(error) == 412:
                return Exists()
            if stored_nothing(error):
                raise s3_error(error, f"{self._uri}/{key}") from None
            return PutUnknown(why=f"It is not known whether {self._uri}/{key} was created ({code_of(error) or type(error).__name__}).")
        return Created(etag=reply.get("ETag"))

    def put(self, key: str, data: bytes) -> None:
        name, placing = self._name(key), self._connection.placing()
        try:
            self._connection.client.put_object(Bucket=self._connection.bucket, Key=name, Body=bytes(data), **placing)
        except SDK_FAILURES as error:
            raise s3_error(error, f"{self._uri}/{key}") from None

    def open_writer(self, key: str) -> S3Writer:
        return S3Writer(self._connection, self._name(key), self._name)

    def head(self, key: str) -> ObjectMeta | None:
        return describe(self._connection.reads, self._name(key), key, f"{self._uri}/{key}")

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        arguments = {"StartAfter": self._root + start_after} if start_after else {}
        for page in self._pages(prefix, arguments):
            for item in page.get("Contents", ()):
                yield self._meta(item)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        check_folder(prefix, self._uri)
        folders: list[str] = []
        objects: list[ObjectMeta] = []
        for number, page in enumerate(self._pages(prefix, {"Delimiter": "/"}), start=1):
            folders += [item["Prefix"][len(self._root) :] for item in page.get("CommonPrefixes", ())]
            objects += [self._meta(item) for item in page.get("Contents", ())]
            if number == max_pages and page.get("IsTruncated"):
                return Listing(folders=tuple(folders), objects=tuple(objects), complete=False)
        return Listing(folders=tuple(folders), objects=tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        batch: list[str] = []
        for key in keys:
            batch.append(self._name(key))
            if len(batch) == _DELETE_BATCH:
                self._delete(batch)
                batch = []
        if batch:
            self._delete(batch)

    def now_ms(self) -> int:
        """The Date header of a HEAD on the bucket, which S3 sends even with a refusal."""
        try:
            reply = self._connection.client.head_bucket(Bucket=self._connection.bucket)
        except SDK_FAILURES as error:
            reply = getattr(error, "response", None)
            if reply is None:
                raise s3_error(error, self._uri) from None
        date = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            raise StorageUnavailable(f"The store of {self._uri} does not tell its time (no Date header).")
        return int(email.utils.parsedate_to_datetime(date).timestamp() * 1000)

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """See storage/unfinished.py: multipart uploads that were neither completed nor aborted. Their size is not known (0)."""
        arguments = {"Bucket": self._connection.bucket, "Prefix": self._root + prefix, **self._connection.payer()}
        while True:
            try:
                page = self._connection.client.list_multipart_uploads(**arguments)
            except SDK_FAILURES as error:
                raise s3_error(error, f"{self._uri}/{prefix}".rstrip("/")) from None
            for item in page.get("Uploads", ()):
                if item["Key"].startswith(self._root + prefix):
                    yield Unfinished(
                        key=item["Key"][len(self._root) :],
                        started_ms=int(item["Initiated"].timestamp() * 1000),
                        size_bytes=0,
                        discard=functools.partial(self._abort, item["Key"], item["UploadId"]),
                    )
            if not page.get("IsTruncated"):
                return
            arguments |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _abort(self, name: str, upload_id: str) -> None:
        try:
            self._connection.client.abort_multipart_upload(
                Bucket=self._connection.bucket, Key=name, UploadId=upload_id, **self._connection.payer()
            )
        except SDK_FAILURES as error:
            if code_of(error) != "NoSuchUpload":
                raise s3_error(error, f"{self._connection.uri}/{name}") from None

    def _name(self, key: str) -> str:
        return self._root + check_key(key, self._uri)

    def _meta(self, item: Any) -> ObjectMeta:
        modified_ms = int(item["LastModified"].timestamp()) * 1000  # as a HEAD says it: MinIO lists fractions of a second, too
        return ObjectMeta(key=item["Key"][len(self._root) :], size_bytes=item["Size"], modified_ms=modified_ms, etag=item.get("ETag"))

    def _pages(self, prefix: str, arguments: dict[str, str]) -> Iterator[Any]:
        """Pages of up to 1000 names, each asked for when the one before is used up."""
        arguments = {"Bucket": self._connection.bucket, "Prefix": self._root + prefix, **arguments, **self._connection.payer()}
        while True:
            try:
                page = self._connection.client.list_objects_v2(**arguments)
            except SDK_FAILURES as error:
                raise s3_error(error, f"{self._uri}/{prefix}".rstrip("/")) from None
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _delete(self, names: Sequence[str]) -> None:
        """One batch; names that the store was too busy for are tried again."""
        for attempt in range(_DELETE_ROUNDS):
            self._connection.clock.sleep(0.2 * (2**attempt) if attempt else 0)
            failed = self._delete_once(names)
            if not failed:
                return
            names = failed
        raise StorageUnavailable(f"The store did not delete {len(names)} objects below {self._uri}, for example {names[0]}.")

    def _delete_once(self, names: Sequence[str]) -> Sequence[str]:
        """The names that may be tried again. Raises for any that may not."""
        request = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        try:
            reply = self._connection.client.delete_objects(Bucket=self._connection.bucket, Delete=request, **self._connection.payer())
        except SDK_FAILURES as error:
            raise s3_error(error, self._uri) from None
        errors = [item for item in reply.get("Errors", ()) if item.get("Code") not in ("NoSuchKey", "404")]
        for item in errors:
            if item.get("Code") == "AccessDenied":
                raise AccessDenied(f"{self._connection.uri}/{item['Key']} may not be deleted: grant s3:DeleteObject to the role or user.")
            if item.get("Code") not in ("InternalError", "SlowDown", "ServiceUnavailable"):
                raise StorageError(f"{self._connection.uri}/{item['Key']} could not be deleted ({item.get('Code')}).")
        return [item["Key"] for item in errors]
