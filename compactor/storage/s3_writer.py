"""Writes one object to S3: one PutObject when it is small, else a multipart upload with a few parts in flight.

Nothing is visible before close(). Every failure aborts the upload, after the parts in flight have ended (a part that arrives after the
abort would be kept, and charged for, for ever). Peak memory of a writer: (IN_FLIGHT + 1) * PART_BYTES.

Bytes of other objects of the bucket become parts inside the store (UploadPartCopy) where they are at least as long as a part must be; what
is missing to fill the part before them is brought and sent. A store that has no such copies is asked once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import NamedTuple

from compactor.errors import StorageError
from compactor.storage.base import ObjectWriter, StoreCopy
from compactor.storage.obstore_reads import read_ranges
from compactor.storage.s3_connection import S3Connection
from compactor.storage.s3_errors import SDK_FAILURES, code_of, s3_error, status_of

PART_BYTES = 8 * 1024 * 1024
IN_FLIGHT = 4
MAX_PARTS = 10_000
LEAST_PART_BYTES = 5 * 1024 * 1024
COPIED_PART_BYTES = 256 * 1024 * 1024
COPIES_IN_FLIGHT = 8
_UNKNOWN_CODES = ("NotImplemented", "MethodNotAllowed", "InvalidRequest")


class Range(NamedTuple):
    """Bytes of an object."""

    start: int
    length: int


class S3Writer(ObjectWriter):
    """An ObjectWriter. `name` is the object's whole name in the bucket."""

    def __init__(self, connection: S3Connection, name: str, name_of: Callable[[str], str] | None = None) -> None:
        """name_of: the whole name of an object of the store, by its key; without it nothing is copied from others."""
        self._connection, self._name, self._name_of = connection, name, name_of
        self._uri = f"{connection.uri}/{name}"
        self._buffer = bytearray()
        self._size = 0
        self._upload_id: str | None = None
        self._parts: list[Future[str]] = []
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise StorageError(f"{self._uri} is already closed for writing.")
        view = memoryview(data).cast("B")
        taken = 0
        while taken < view.nbytes:
            if len(self._buffer) == PART_BYTES:
                self._send_part()
            room = PART_BYTES - len(self._buffer)
            self._buffer += view[taken : taken + room]
            taken += room
        self._size += view.nbytes
        return view.nbytes

    def spares_sending(self, length: int) -> bool:
        return self._connection.copies is not False and length - self._missing() >= LEAST_PART_BYTES

    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        if self.closed or self._name_of is None or not self.spares_sending(length):
            return None
        try:
            source = self._name_of(key)
        except StorageError:  # an object of another place
            return None
        if missing := self._missing():
            self._bring(source, start, missing)
            start, length = start + missing, length - missing
        if self._buffer:
            self._send_part()
        count = -(-length // COPIED_PART_BYTES)
        bounds = [start + length * i // count for i in range(count + 1)]
        for i in range(count):
            if not self._send_copy(source, bounds[i], bounds[i + 1] - bounds[i]):
                self._bring(source, start, length)
                return StoreCopy(size_bytes=0, requests=1)
        self._size += length
        return StoreCopy(size_bytes=length, requests=count)

    def _missing(self) -> int:
        """Bytes that the buffer lacks to be a part of its own; none when it is empty."""
        return max(0, LEAST_PART_BYTES - len(self._buffer)) if self._buffer else 0

    def _bring(self, source: str, start: int, length: int) -> None:
        """Append bytes of another object through this process."""
        for begin in range(start, start + length, PART_BYTES):
            wanted = min(PART_BYTES, start + length - begin)
            (data,) = read_ranges(self._connection.reads, source, f"{self._connection.uri}/{source}", [(begin, wanted)])
            self.write(data)

    def _send_copy(self, source: str, start: int, length: int) -> bool:
        """Have the store make a part of these bytes; whether it can do such things. Only the first copy of all is waited for."""
        upload_id, number = self._next_part(COPIES_IN_FLIGHT)
        copy = self._connection.uploads.submit(self._copy_part, upload_id, number, source, Range(start, length))
        if self._connection.copies is None:
            try:
                copy.result()
            except SDK_FAILURES as error:
                self._connection.copies = False if _unknown_to_the_store(error) else None
                if self._connection.copies is None:
                    self.abort()
                    raise s3_error(error, self._uri) from None
                return False
            self._connection.copies = True
        self._parts.append(copy)
        return True

    def _copy_part(self, upload_id: str, number: int, source: str, place: Range) -> str:
        reply = self._connection.client.upload_part_copy(
            **self._target(),
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": self._connection.bucket, "Key": source},
            CopySourceRange=f"bytes={place.start}-{place.start + place.length - 1}",
            **self._connection.copying(),
        )
        return str(reply["CopyPartResult"]["ETag"])

    def close(self) -> int:
        if self.closed:
            return self._size
        try:
            if self._upload_id is None:
                self._put_whole()
            else:
                if self._buffer:
                    self._send_part()
                self._complete()
            self.closed = True
        finally:
            self.abort()
        return self._size

    def abort(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._buffer = bytearray()
        for part in self._parts:
            part.cancel()
        wait(self._parts)
        if self._upload_id is not None:
            with contextlib.suppress(*SDK_FAILURES):
                self._connection.client.abort_multipart_upload(**self._target(), UploadId=self._upload_id, **self._connection.payer())

    def _target(self) -> dict[str, str]:
        return {"Bucket": self._connection.bucket, "Key": self._name}

    def _put_whole(self) -> None:
        try:
            self._connection.client.put_object(**self._target(), Body=self._buffer, **self._connection.placing())
        except SDK_FAILURES as error:
            raise s3_error(error, self._uri) from None

    def _send_part(self) -> None:
        """Hand the buffer to the upload threads, waiting while IN_FLIGHT parts are under way. A part that failed ends the whole."""
        upload_id, number = self._next_part(IN_FLIGHT)
        self._parts.append(self._connection.uploads.submit(self._upload, upload_id, number, self._buffer))
        self._buffer = bytearray()

    def _next_part(self, in_flight: int) -> tuple[str, int]:
        """The upload and the number of its next part, once fewer than `in_flight` are under way."""
        try:
            if self._upload_id is None:
                reply = self._connection.client.create_multipart_upload(**self._target(), **self._connection.placing())
                self._upload_id = str(reply["UploadId"])
                if reply["ResponseMetadata"].get("RetryAttempts"):
                    self._abort_others()
            if len(self._parts) >= MAX_PARTS:
                raise StorageError(f"{self._uri} would be larger than {MAX_PARTS * PART_BYTES} bytes, more than one upload can hold.")
            if len(self._parts) >= in_flight:
                self._parts[-in_flight].result()
        except SDK_FAILURES as error:
            if self._upload_id is None:
                self._abort_others()
            self.abort()
            raise s3_error(error, self._uri) from None
        except StorageError:
            self.abort()
            raise
        return self._upload_id, len(self._parts) + 1

    def _abort_others(self) -> None:
        """Abort uploads of this object that were begun without our hearing of it: nobody else writes to its name.

        Those that cannot be aborted cost money, and no more.
        """
        with contextlib.suppress(*SDK_FAILURES):
            found = self._connection.client.list_multipart_uploads(
                Bucket=self._connection.bucket, Prefix=self._name, **self._connection.payer()
            )
            for other in found.get("Uploads", ()):
                if other["Key"] == self._name and other["UploadId"] != self._upload_id:
                    self._connection.client.abort_multipart_upload(**self._target(), UploadId=other["UploadId"], **self._connection.payer())

    def _upload(self, upload_id: str, number: int, body: bytearray) -> str:
        reply = self._connection.client.upload_part(
            **self._target(), UploadId=upload_id, PartNumber=number, Body=body, **self._connection.opening()
        )
        return str(reply["ETag"])

    def _complete(self) -> None:
        try:
            parts = [{"ETag": part.result(), "PartNumber": number} for number, part in enumerate(self._parts, start=1)]
            self._connection.client.complete_multipart_upload(
                **self._target(), UploadId=self._upload_id, MultipartUpload={"Parts": parts}, **self._connection.opening()
            )
        except SDK_FAILURES as error:
            if not self._is_complete_after(error):
                raise s3_error(error, self._uri) from None

    def _is_complete_after(self, error: Exception) -> bool:
        """Whether the object is there although completing it failed: the first reply was lost, and the retry found no upload."""
        try:
            found = self._connection.client.head_object(**self._target(), **self._connection.opening())
        except SDK_FAILURES:
            return False
        return int(found["ContentLength"]) == self._size


def _unknown_to_the_store(error: Exception) -> bool:
    """Whether a store that resembles S3 says that it has no copies of ranges."""
    return status_of(error) in (405, 501) or (status_of(error) == 400 and code_of(error) in _UNKNOWN_CODES)
