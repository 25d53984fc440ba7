"""A small S3-compatible server on loopback that counts requests and fails as it is told, before or after the effect.

    with s3_server() as server:
        store = open_store(f"s3://{server.bucket('lake')}/t", server.options())
        server.fail(S3Fault(operation="PutObject", key="*.json", when="after", action=Reset()))   # the reply is lost
        ...
        assert server.count("GetObject") == 3
        assert server.requests[-1].headers["x-amz-acl"] == "private"

Speaks GET (ranges), HEAD, PUT with If-None-Match, DELETE, DeleteObjects, ListObjectsV2 (prefix, delimiter, start-after, pages),
HeadBucket, multipart uploads, and the AssumeRole of STS. Signatures are not checked. Objects whose storage class is GLACIER or
DEEP_ARCHIVE are archived; those with a customer's key are for requests with that key only, and others for requests without any. One event
loop in one thread: requests are handled one at a time, so that conditional puts are atomic.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import email.utils
import fnmatch
import itertools
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from compactor.model.storage import StorageOptions

REGION = "eu-central-1"
_ARCHIVED = {"GLACIER", "DEEP_ARCHIVE"}
_SSE = "x-amz-server-side-encryption"
_CUSTOMER_KEY = f"{_SSE}-customer-key-md5"
_KEPT_HEADERS = ("content-type", "x-amz-storage-class", _SSE, f"{_SSE}-aws-kms-key-id", f"{_SSE}-customer-algorithm", _CUSTOMER_KEY)


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an error."""

    status: int
    code: str = "Injected"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """Close the connection without an answer (RST)."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Announce the whole body, send only so many bytes of it, and close."""

    keep_bytes: int


Action = Status | Delay | Reset | Truncate


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Fault:
    """What to do to the nth matching request (1-based) and those after it, `times` in all. `when`: before or after the effect."""

    action: Action
    operation: str = "*"
    key: str = "*"
    nth: int = 1
    times: int | None = 1
    when: Literal["before", "after"] = "before"


@dataclass(slots=True)
class Request:
    """A request as it came, and the status it was answered with (None: it was not answered)."""

    operation: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    body_bytes_sent: int = 0


@dataclass(slots=True)
class StoredObject:
    """An object and the headers it was stored with."""

    data: bytes
    etag: str
    modified: float
    headers: dict[str, str]


class _Objects(dict[str, StoredObject]):
    """The objects of a bucket, with their keys in order: of code points, which is that of UTF-8 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[str] = []

    def __setitem__(self, key: str, stored: StoredObject) -> None:
        if key not in self:
            bisect.insort(self.ordered, key)
        super().__setitem__(key, stored)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self.ordered[bisect.bisect_left(self.ordered, key)]

    def after(self, key: str, *, beyond: str = "") -> Iterator[str]:
        """Keys behind `key`, or behind everything that starts with `beyond`, in their order. Whoever iterates changes nothing meanwhile."""
        start = (
            bisect.bisect_left(self.ordered, beyond[:-1] + chr(ord(beyond[-1]) + 1)) if beyond else bisect.bisect_right(self.ordered, key)
        )
        return (self.ordered[at] for at in range(start, len(self.ordered)))


@dataclass(slots=True)
class _Reply:
    status: int = 200
    body: bytes | memoryview = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # announced when it differs from what is sent (HEAD)


@dataclass(slots=True)
class _Upload:
    bucket: str
    key: str
    headers: dict[str, str]
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.reply = _error(status, code)


class S3Server:
    """The server's state and what tests say to it. Thread-safe by being simple: tests look at it when no request is under way."""

    def __init__(self, page_size: int = 1000) -> None:
        self.page_size = page_size
        self.buckets: dict[str, _Objects] = {}
        self.uploads: dict[str, _Upload] = {}
        self.requests: list[Request] = []
        self.endpoint_url = ""
        self.keep_bodies = False
        self.keep_requests = True
        self.undeletable: dict[str, str] = {}  # key -> error code that DeleteObjects answers for it
        self.role_expires = "2099-01-01T00:00:00Z"
        self._faults: list[tuple[S3Fault, itertools.count[int]]] = []
        self._numbers = itertools.count(1)

    def bucket(self, name: str) -> str:
        """Make a bucket (or keep it) and return its name."""
        self.buckets.setdefault(name, _Objects())
        return name

    def options(self) -> StorageOptions:
        """StorageOptions that reach this server, with time-outs short enough for tests."""
        return StorageOptions(endpoint_url=self.endpoint_url, region=REGION, path_style=True, connect_timeout_s=2.0, request_timeout_s=10.0)

    def fail(self, *faults: S3Fault) -> None:
        """Add faults; each counts matching requests from now on."""
        self._faults += [(fault, itertools.count(1)) for fault in faults]

    def reset(self) -> None:
        """Forget faults and requests; keep objects."""
        self._faults, self.requests = [], []

    def count(self, operation: str | None = None, key: str = "*") -> int:
        """How many requests came for an operation (None: any) and a key glob."""
        return sum(operation in (None, seen.operation) and fnmatch.fnmatchcase(seen.key, key) for seen in self.requests)

    def counts(self) -> Counter[str]:
        """Requests by operation."""
        return Counter(seen.operation for seen in self.requests)

    def handle(self, request: Request) -> tuple[_Reply | None, Action | None]:
        """The reply (None: reset the connection), with what is still to be done to it."""
        due = [fault for fault, seen in self._faults if _matches(fault, request) and _is_due(fault, next(seen))]
        for fault in due:
            if fault.when == "before" and isinstance(fault.action, Reset):
                return None, None
            if fault.when == "before" and isinstance(fault.action, Status):
                return _error(fault.action.status, fault.action.code, dict(fault.action.headers)), None
        try:
            reply = _OPERATIONS[request.operation](self, request)
        except _Refused as refused:
            reply = refused.reply
        later: Action | None = None
        for fault in due:
            if isinstance(fault.action, Reset):
                return None, None
            if isinstance(fault.action, Status):
                reply = _error(fault.action.status, fault.action.code, dict(fault.action.headers))
            else:
                later = fault.action
        return reply, later

    def _objects(self, request: Request) -> _Objects:
        if request.bucket not in self.buckets:
            raise _Refused(404, "NoSuchBucket")
        return self.buckets[request.bucket]

    def _found(self, request: Request) -> StoredObject:
        found = self._objects(request).get(request.key)
        if found is None:
            raise _Refused(404, "NoSuchKey")
        _check_key(request, found.headers)
        return found

    def _store(self, request: Request, data: bytes, headers: dict[str, str]) -> StoredObject:
        objects = self._objects(request)
        if request.headers.get("if-none-match") == "*" and request.key in objects:
            raise _Refused(412, "PreconditionFailed")
        etag = f'"{zlib.crc32(data):08x}{len(data):016x}{next(self._numbers):08x}"'
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        objects[request.key] = StoredObject(data=data, etag=etag, modified=_now(), headers=kept)
        return objects[request.key]

    def _list(self, request: Request) -> _Reply:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        token = request.query.get("continuation-token")
        after = unquote(token) if token else request.query.get("start-after", "")
        limit = min(self.page_size, int(request.query.get("max-keys", "1000")))
        objects = self._objects(request)
        lines: list[str] = []
        last, truncated = "", False
        for name, folder in _level(objects, prefix, delimiter, after):
            if len(lines) == limit:
                truncated = True
                break
            last = name + "\U0010fffd" if folder else name
            lines.append(_folder_xml(name) if folder else _object_xml(name, objects[name]))
        more = f"<NextContinuationToken>{quote(last)}</NextContinuationToken>" if truncated else ""
        encoding = f"<EncodingType>url</EncodingType><KeyCount>{len(lines)}</KeyCount>"
        if request.query.get("encoding-type") != "url":
            lines = [_plain(line) for line in lines]
            encoding = f"<KeyCount>{len(lines)}</KeyCount>"
        flag = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
        return _xml(f"<ListBucketResult>{flag}{encoding}{more}{''.join(lines)}</ListBucketResult>")

    def _get(self, request: Request) -> _Reply:
        found = self._found(request)
        if found.headers.get("x-amz-storage-class") in _ARCHIVED:
            raise _Refused(403, "InvalidObjectState")
        headers = _object_headers(found)
        if "range" not in request.headers:
            return _Reply(body=found.data, headers=headers)
        first, last = _range(request.headers["range"], len(found.data))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(found.data)}"
        return _Reply(status=206, body=memoryview(found.data)[first : last + 1], headers=headers)

    def _head(self, request: Request) -> _Reply:
        found = self._found(request)
        return _Reply(headers=_object_headers(found), length=len(found.data))

    def _head_bucket(self, request: Request) -> _Reply:
        self._objects(request)
        return _Reply(headers={"x-amz-bucket-region": REGION})

    def _put(self, request: Request) -> _Reply:
        return _Reply(headers={"ETag": self._store(request, request.body, request.headers).etag})

    def _delete(self, request: Request) -> _Reply:
        objects = self._objects(request)
        if request.key in objects:
            del objects[request.key]
        return _Reply(status=204)

    def _delete_many(self, request: Request) -> _Reply:
        objects, errors = self._objects(request), ""
        for element in ElementTree.fromstring(request.body).iter():
            if element.tag.endswith("Key"):
                key = element.text or ""
                if code := self.undeletable.get(key):
                    errors += f"<Error><Key>{escape(key)}</Key><Code>{code}</Code></Error>"
                elif key in objects:
                    del objects[key]
        return _xml(f"<DeleteResult>{errors}</DeleteResult>")

    def _create_upload(self, request: Request) -> _Reply:
        self._objects(request)
        name = f"upload-{next(self._numbers)}"
        self.uploads[name] = _Upload(bucket=request.bucket, key=request.key, headers=dict(request.headers))
        return _xml(
            f"<InitiateMultipartUploadResult><Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
        )

    def _list_uploads(self, request: Request) -> _Reply:
        self._objects(request)
        prefix = request.query.get("prefix", "")
        found = [(name, upload.key) for name, upload in self.uploads.items() if upload.key.startswith(prefix)]
        when = "<Initiated>2026-01-01T00:00:00.000Z</Initiated>"
        lines = [f"<Upload><Key>{escape(key)}</Key><UploadId>{name}</UploadId>{when}</Upload>" for name, key in found]
        return _xml(f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{''.join(lines)}</ListMultipartUploadsResult>")

    def _upload(self, request: Request) -> _Upload:
        upload = self.uploads.get(request.query.get("uploadId", ""))
        if upload is None:
            raise _Refused(404, "NoSuchUpload")
        return upload

    def _upload_part(self, request: Request) -> _Reply:
        etag = f'"{zlib.crc32(request.body):08x}-{next(self._numbers)}"'
        _check_key(request, self._upload(request).headers)
        self._upload(request).parts[int(request.query["partNumber"])] = (etag, request.body)
        return _Reply(headers={"ETag": etag})

    def _upload_part_copy(self, request: Request) -> _Reply:
        upload = self._upload(request)
        bucket, _, key = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        source = self.buckets.get(bucket, {}).get(key)
        if source is None:
            raise _Refused(404, "NoSuchKey")
        _check_key(request, upload.headers)
        _check_key(request, source.headers, prefix="x-amz-copy-source")
        first, last = map(int, request.headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-"))
        if last >= len(source.data):
            raise _Refused(416, "InvalidRange")
        data = bytes(source.data[first : last + 1])
        etag = f'"{zlib.crc32(data):08x}-{next(self._numbers)}"'
        upload.parts[int(request.query["partNumber"])] = (etag, data)
        return _xml(f"<CopyPartResult><ETag>{escape(etag)}</ETag></CopyPartResult>")

    def _complete(self, request: Request) -> _Reply:
        upload = self._upload(request)
        listed = [element for element in ElementTree.fromstring(request.body).iter() if element.tag.endswith("PartNumber")]
        numbers = [int(element.text or "0") for element in listed]
        if any(number not in upload.parts for number in numbers):
            raise _Refused(400, "InvalidPart")
        if any(len(upload.parts[number][1]) < 5 * 1024 * 1024 for number in numbers[:-1]):
            raise _Refused(400, "EntityTooSmall")
        stored = self._store(request, b"".join(upload.parts[number][1] for number in numbers), upload.headers)
        del self.uploads[request.query["uploadId"]]
        return _xml(
            f"<CompleteMultipartUploadResult><Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            f"<ETag>{escape(stored.etag)}</ETag></CompleteMultipartUploadResult>"
        )

    def _abort(self, request: Request) -> _Reply:
        self._upload(request)
        del self.uploads[request.query["uploadId"]]
        return _Reply(status=204)

    def _create_bucket(self, request: Request) -> _Reply:
        self.bucket(request.bucket)
        return _Reply()

    def _assume_role(self, request: Request) -> _Reply:
        """STS, for tests of roles: the keys that it hands out are numbered."""
        number = next(self._numbers)
        keys = f"<AccessKeyId>ASIAROLE{number}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>"
        keys += "<SessionToken>role-token</SessionToken>"
        inner = f"<AssumeRoleResult><Credentials>{keys}<Expiration>{self.role_expires}</Expiration></Credentials></AssumeRoleResult>"
        return _xml(f"<AssumeRoleResponse>{inner}</AssumeRoleResponse>")

    def _not_implemented(self, request: Request) -> _Reply:
        raise _Refused(501, "NotImplemented")


_OPERATIONS = {
    "ListObjectsV2": S3Server._list,
    "GetObject": S3Server._get,
    "HeadObject": S3Server._head,
    "HeadBucket": S3Server._head_bucket,
    "PutObject": S3Server._put,
    "DeleteObject": S3Server._delete,
    "DeleteObjects": S3Server._delete_many,
    "CreateMultipartUpload": S3Server._create_upload,
    "ListMultipartUploads": S3Server._list_uploads,
    "UploadPart": S3Server._upload_part,
    "UploadPartCopy": S3Server._upload_part_copy,
    "CompleteMultipartUpload": S3Server._complete,
    "AbortMultipartUpload": S3Server._abort,
    "CreateBucket": S3Server._create_bucket,
    "AssumeRole": S3Server._assume_role,
    "Unknown": S3Server._not_implemented,
}


def _check_key(request: Request, headers: dict[str, str], prefix: str = "x-amz") -> None:
    """The key that a request comes with, by its digest, must be that of the object."""
    if request.headers.get(prefix + _CUSTOMER_KEY.removeprefix("x-amz")) != headers.get(_CUSTOMER_KEY):
        raise _Refused(400, "InvalidRequest")


def _operation(method: str, bucket: str, key: str, query: dict[str, str]) -> str:
    multipart = "uploadId" in query
    if not bucket and method == "POST":
        return "AssumeRole"
    if not key and method == "GET" and "uploads" in query:
        return "ListMultipartUploads"
    if not key:
        named = {"GET": "ListObjectsV2", "HEAD": "HeadBucket", "PUT": "CreateBucket"}
        return "DeleteObjects" if method == "POST" and "delete" in query else named.get(method, "Unknown")
    if method == "POST":
        return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload" if multipart else "Unknown"
    single = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
    parts = {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload"}
    return parts.get(method, "Unknown") if multipart else single.get(method, "Unknown")


def _level(objects: _Objects, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, bool]]:
    """Keys that start with `prefix`, behind `after`; with a delimiter folders (True) stand for what is in them."""
    last, beyond = after, ""
    if prefix > after:
        if prefix in objects:
            yield prefix, False
        last = prefix
    while True:
        for key in objects.after(last, beyond=beyond):
            if not key.startswith(prefix):
                return
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                beyond = key[: cut + len(delimiter)]
                break
            yield key, False
        else:
            return
        if not after.startswith(beyond):
            yield beyond, True


def _matches(fault: S3Fault, request: Request) -> bool:
    return fault.operation in ("*", request.operation) and fnmatch.fnmatchcase(request.key, fault.key)


def _is_due(fault: S3Fault, number: int) -> bool:
    return number >= fault.nth and (fault.times is None or number < fault.nth + fault.times)


def _range(header: str, size: int) -> tuple[int, int]:
    start, _, end = header.removeprefix("bytes=").partition("-")
    if not start:
        return max(0, size - int(end)), size - 1
    if int(start) >= size:
        raise _Refused(416, "InvalidRange")
    return int(start), min(int(end), size - 1) if end else size - 1


def _now() -> float:
    return email.utils.parsedate_to_datetime(email.utils.formatdate(usegmt=True)).timestamp()


def _object_headers(found: StoredObject) -> dict[str, str]:
    return {
        "ETag": found.etag,
        "Last-Modified": email.utils.formatdate(found.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        **found.headers,
    }


def _object_xml(key: str, found: StoredObject) -> str:
    stamp = email.utils.parsedate_to_datetime(email.utils.formatdate(found.modified, usegmt=True)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{quote(key)}</Key><LastModified>{stamp}</LastModified><ETag>{escape(found.etag)}</ETag>"
        f"<Size>{len(found.data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _folder_xml(folder: str) -> str:
    return f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>"


def _plain(line: str) -> str:
    for tag in ("Key", "Prefix"):
        start, end = line.find(f"<{tag}>"), line.find(f"</{tag}>")
        if start >= 0:
            start += len(tag) + 2
            return line[:start] + escape(unquote(line[start:end])) + line[end:]
    return line


def _xml(text: str) -> _Reply:
    body = '<?xml version="1.0" encoding="UTF-8"?>\n' + text.replace(">", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', 1)
    return _Reply(body=body.encode(), headers={"Content-Type": "application/xml"})


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> _Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>'
    return _Reply(status=status, body=body.encode(), headers={"Content-Type": "application/xml", **(headers or {})})


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, Request] | None:
    """The method and the request, or None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    body = await _read_body(reader, headers)
    parts = urlsplit(target)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    operation = _operation(method, bucket, key, query)
    if operation == "UploadPart" and "x-amz-copy-source" in headers:
        operation = "UploadPartCopy"
    return method, Request(operation=operation, bucket=bucket, key=key, query=query, headers=headers, body=body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _read_chunks(reader)
    else:
        size = int(headers.get("content-length", "0"))
        body = await reader.readexactly(size) if size else b""
    if "aws-chunked" not in headers.get("content-encoding", "") and "x-amz-decoded-content-length" not in headers:
        return body
    inner = asyncio.StreamReader()
    inner.feed_data(body)
    inner.feed_eof()
    return await _read_chunks(inner)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while (await reader.readline()).strip():  # trailers, up to the empty line
        pass
    return b"".join(chunks)


async def _serve(server: S3Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, until it is closed."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while read := await _read_request(reader, writer):
            method, request = read
            reply, later = server.handle(request)
            if not server.keep_bodies:
                request.body = b""
            if server.keep_requests:
                server.requests.append(request)
            if reply is None:
                _reset(writer)
                return
            if isinstance(later, Delay):
                await asyncio.sleep(later.seconds)
            keep = later.keep_bytes if isinstance(later, Truncate) else None
            await _send(writer, method, request, reply, keep)
            if keep is not None:
                break
    writer.close()


async def _send(writer: asyncio.StreamWriter, method: str, request: Request, reply: _Reply, keep: int | None) -> None:
    length = reply.length if reply.length is not None else len(reply.body)
    headers = {"Date": email.utils.formatdate(usegmt=True), "Content-Length": str(length), "Connection": "keep-alive", **reply.headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} X\r\n{text}\r\n".encode("latin-1"))
    body = b"" if method == "HEAD" else reply.body
    body = body if keep is None else body[:keep]
    request.status, request.body_bytes_sent = reply.status, len(body)
    if body:
        writer.write(body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def s3_server(page_size: int = 1000) -> Iterator[S3Server]:
    """A running server on a free port of loopback; its thread ends on leaving."""
    server, loop, ready = S3Server(page_size), asyncio.new_event_loop(), threading.Event()

    async def run(stop: asyncio.Event) -> None:
        listener = await asyncio.start_server(lambda r, w: _serve(server, r, w), "127.0.0.1", 0, limit=64 * 1024 * 1024)
        server.endpoint_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        listener.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(stop)), name="s3-server", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
