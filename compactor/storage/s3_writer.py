"""Writes one object to S3: one PutObject when it is small, else a multipart upload with a few parts in flight.

Nothing is visible before close(). Every failure aborts the upload, after the parts in flight have ended (a part that arrives after the
abort would be kept, and charged for, for ever). Peak memory of a writer: (IN_FLIGHT + 1) * PART_BYTES.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, wait

from compactor.errors import StorageError
from compactor.storage.base import ObjectWriter
from compactor.storage.s3_connection import S3Connection
from compactor.storage.s3_errors import SDK_FAILURES, s3_error

PART_BYTES = 8 * 1024 * 1024
IN_FLIGHT = 4
MAX_PARTS = 10_000


class S3Writer(ObjectWriter):
    """An ObjectWriter. `name` is the object's whole name in the bucket."""

    def __init__(self, connection: S3Connection, name: str) -> None:
        self._connection, self._name = connection, name
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

    def close(self) -> int:
        if self.closed:
            return self._size
        try:
            if self._upload_id is None:
                self._put_whole()
            else:
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
        try:
            if self._upload_id is None:
                reply = self._connection.client.create_multipart_upload(**self._target(), **self._connection.placing())
                self._upload_id = str(reply["UploadId"])
            if len(self._parts) >= MAX_PARTS:
                raise StorageError(f"{self._uri} would be larger than {MAX_PARTS * PART_BYTES} bytes, more than one upload can hold.")
            if len(self._parts) >= IN_FLIGHT:
                self._parts[-IN_FLIGHT].result()
        except SDK_FAILURES as error:
            self.abort()
            raise s3_error(error, self._uri) from None
        except StorageError:
            self.abort()
            raise
        number = len(self._parts) + 1
        self._parts.append(self._connection.uploads.submit(self._upload, self._upload_id, number, self._buffer))
        self._buffer = bytearray()

    def _upload(self, upload_id: str, number: int, body: bytearray) -> str:
        reply = self._connection.client.upload_part(
            **self._target(), UploadId=upload_id, PartNumber=number, Body=body, **self._connection.payer()
        )
        return str(reply["ETag"])

    def _complete(self) -> None:
        try:
            parts = [{"ETag": part.result(), "PartNumber": number} for number, part in enumerate(self._parts, start=1)]
            self._connection.client.complete_multipart_upload(
                **self._target(), UploadId=self._upload_id, MultipartUpload={"Parts": parts}, **self._connection.payer()
            )
        except SDK_FAILURES as error:
            if not self._is_complete_after(error):
                raise s3_error(error, self._uri) from None

    def _is_complete_after(self, error: Exception) -> bool:
        """Whether the object is there although completing it failed: the first reply was lost, and the retry found no upload."""
        try:
            found = self._connection.client.head_object(**self._target(), **self._connection.payer())
        except SDK_FAILURES:
            return False
        return int(found["ContentLength"]) == self._size
