"""S3 notifications from an SQS queue.

    take ──► notices ──► the caller records that these tables have changed ──► done: the messages are deleted
                 └─ neither logs nor test events: deleted at once; not understood: left to the queue's own redrive to its dead letters

A message is deleted only after its effect is recorded, so that a crash in between costs a second look and never a missed one. A queue
without a redrive policy gets messages that cannot be understood back for ever: after a few receipts they are put aside here, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compactor.model.storage import StorageOptions
from compactor.service.config import Events
from compactor.service.notices import Notice, read_message
from compactor.storage.aws import aws_session, boto_options
from compactor.storage.s3_errors import SDK_FAILURES, s3_error

BATCH = 10
"""Messages of a request, at most."""
_GIVE_UP_AFTER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Messages that were taken. notices: newest version by table. receipts: to be handed to `done` once the notices are recorded.

    dropped: messages that concern no log, already deleted. puzzling: messages that cannot be understood, each in a sentence.
    """

    notices: Mapping[str, int] = field(default_factory=dict)
    receipts: tuple[str, ...] = ()
    dropped: int = 0
    puzzling: tuple[str, ...] = ()

    @property
    def messages(self) -> int:
        """How many were there in all."""
        return len(self.receipts) + self.dropped + len(self.puzzling)


class Queue:
    """One queue. Raises StorageError, CredentialsMissing from every method."""

    def __init__(self, events: Events, client: Any | None = None) -> None:
        self._events = events
        self._name = f"the queue {events.queue_url}"
        self._made = client

    def take(self, *, wait_s: int = 0) -> Taken:
        """At most ten messages; with `wait_s` up to that long for the first (20 at most)."""
        try:
            reply = self._client.receive_message(
                QueueUrl=self._events.queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=min(wait_s, 20),
                AttributeNames=["ApproximateReceiveCount"],
            )
        except SDK_FAILURES as error:
            raise s3_error(error, self._name) from None
        return self._sorted(reply.get("Messages", []))

    def done(self, receipts: Sequence[str]) -> None:
        """Delete messages whose effects are recorded. One that cannot be deleted comes again, and does no harm."""
        for start in range(0, len(receipts), BATCH):
            batch = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts[start : start + BATCH])]
            try:
                self._client.delete_message_batch(QueueUrl=self._events.queue_url, Entries=batch)
            except SDK_FAILURES as error:
                raise s3_error(error, self._name) from None

    def _sorted(self, messages: Iterable[Mapping[str, Any]]) -> Taken:
        notices: dict[str, int] = {}
        receipts: list[str] = []
        idle: list[str] = []
        puzzling: list[str] = []
        dropped = 0
        for message in messages:
            found = read_message(message["Body"])
            if found.wrong is not None:
                puzzling.append(f"A message of {self._name} is passed over: {found.wrong}.")
                if int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)) > _GIVE_UP_AFTER:
                    idle.append(message["ReceiptHandle"])
            elif found.notices:
                receipts.append(message["ReceiptHandle"])
                _note(notices, found.notices)
            else:
                dropped += 1
                idle.append(message["ReceiptHandle"])
        self.done(idle)
        return Taken(notices=notices, receipts=tuple(receipts), dropped=dropped, puzzling=tuple(puzzling))

    @property
    def _client(self) -> Any:
        if self._made is None:
            arguments = boto_options(StorageOptions(request_timeout_s=60.0), service="sqs")
            if self._events.endpoint_url:
                arguments["endpoint_url"] = self._events.endpoint_url
            if self._events.region:
                arguments["region_name"] = self._events.region
            self._made = aws_session(StorageOptions(), self._name).client("sqs", **arguments)
        return self._made


def _note(newest: dict[str, int], notices: Iterable[Notice]) -> None:
    for notice in notices:
        newest[notice.table] = max(newest.get(notice.table, -1), notice.version)
