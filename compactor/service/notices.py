"""What an S3 notification says about tables: whose log has a new entry. Pure; sqs.py fetches messages and deletes them.

Read are bodies as S3 puts them into SQS itself, as SNS wraps them, and as EventBridge sends them. Keys are URL-encoded in the first two,
and plain in the third. Only new entries of a log (`_delta_log/<20 digits>.json`) matter; everything else is dropped here, so that a bucket
may be subscribed as a whole. Order and number say nothing: a message names a table that may have changed, and the log says what did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

_ENTRY = re.compile(r"(?P<table>.*?)/?_delta_log/(?P<version>\d{20})\.json")
_CREATED = ("ObjectCreated:", "s3:ObjectCreated:", "Object Created")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A log entry that has appeared."""

    table: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a message says. test: S3 sends such a one when notifications are set up. wrong: why it cannot be understood, else None."""

    notices: tuple[Notice, ...] = ()
    test: bool = False
    wrong: str | None = None


def read_message(body: str) -> Read:
    """The notices of a message; never raises."""
    try:
        document = json.loads(body)
        if isinstance(document, dict) and isinstance(document.get("Message"), str) and "TopicArn" in document:
            document = json.loads(document["Message"])
        if not isinstance(document, dict):
            return Read(wrong="it is not an object")
        if document.get("Event") == "s3:TestEvent":
            return Read(test=True)
        if "Records" not in document and "detail-type" not in document:
            return Read(wrong="it is no notification of S3")
        found = _bridged(document) if "detail-type" in document else _records(document["Records"])
        return Read(notices=tuple(dict.fromkeys(found)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Read(wrong=f"it cannot be read ({type(error).__name__})")


def _records(records: list[dict[str, Any]]) -> Iterator[Notice]:
    for record in records:
        if record["eventName"].startswith(_CREATED):
            yield from _notice(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))


def _bridged(document: dict[str, Any]) -> Iterator[Notice]:
    if document["detail-type"] in _CREATED:
        yield from _notice(document["detail"]["bucket"]["name"], document["detail"]["object"]["key"])


def _notice(bucket: str, key: str) -> Iterator[Notice]:
    match = _ENTRY.fullmatch(key)
    if match is not None:
        folder = match["table"]
        yield Notice(table=f"s3://{bucket}/{folder}" if folder else f"s3://{bucket}", version=int(match["version"]))
