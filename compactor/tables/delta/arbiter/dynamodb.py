"""Arbitration by a DynamoDB table, as Spark's S3DynamoDBLogStore does it: for tables that its writers commit to.

    step 1    the version before is there, and its entry is completed if its writer did not
    step 2.1  the entry's bytes are put under `_delta_log/.tmp/<file>.<uuid>`
    step 2.2  an item for the file is put if there is none: this is the commit
    step 3    the bytes are put as `_delta_log/<file>`, if absent
    step 4    the item is marked complete, with a time to live

Whatever step a writer dies at, the next one completes it (`recover`), before it reads the log or commits the version after. After step 2.2
nothing is given up, and the temporary object is never deleted: somebody else may be about to copy it. Items are keyed by the table's URI as
the writers spell it (`s3a://` or `s3://`); items under both spellings mean that two sets of writers do not see each other: refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from compactor.ambient.ports import Ambient
from compactor.errors import AccessDenied, ObjectMissing, StorageError, StorageUnavailable, TableCorrupt, TableRefused
from compactor.storage.base import Created, CreateOutcome, Exists, ObjectStore, PutUnknown
from compactor.tables.delta.log import LOG, entry_key

LIFE_S = 86_400
"""How long a completed item is kept at least; Spark's default."""
_TRIES = 3
_KNOWN_FAILURES = frozenset({"AccessDeniedException", "UnrecognizedClientException", "ResourceNotFoundException", "ValidationException"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One version as DynamoDB has it. `temporary`: key of its bytes below the log's folder."""

    table_path: str
    file: str
    temporary: str
    complete: bool

    @property
    def key(self) -> str:
        return f"{LOG}{self.file}"

    @property
    def temporary_key(self) -> str:
        return f"{LOG}{self.temporary}"


class DynamoDB:
    """See the module. `client` is made when it is first needed."""

    def __init__(self, *, table_name: str, client: Callable[[], Any], ambient: Ambient) -> None:
        self._table_name, self._open, self._ambient = table_name, client, ambient
        self._client: Any = None

    def claim(self, store: ObjectStore, version: int, data: bytes) -> CreateOutcome:
        """See arbiter/base.py: steps 0 to 4. An item of ours that cannot be completed now is still a commit, and is Created."""
        if store.head(entry_key(version)) is not None:
            return Exists()
        path = self._path(store)
        self._before(store, path, version)
        file = entry_key(version).removeprefix(LOG)
        item = _Item(table_path=path, file=file, temporary=f".tmp/{file}.{self._ambient.ids.new()}", complete=False)
        store.put(item.temporary_key, data)
        claimed = self._put_if_absent(store, item)
        if isinstance(claimed, Created):
            try:
                self._complete(store, item)
            except StorageError:
                pass  # what is left undone here, the next reader or writer of the log completes
            except TableCorrupt as error:
                return PutUnknown(why=str(error))  # the log's entry tells whose the version is
        return claimed

    def recover(self, store: ObjectStore) -> None:
        """Complete the newest entry if its writer did not. Before every reading of the log. Raises StorageError, TableRefused."""
        newest = self._newest(store, self._path(store))
        if newest is not None and not newest.complete:
            self._complete(store, newest)

    def has_entries(self, store: ObjectStore) -> bool:
        """Whether writers of the table at the root of `store` commit through DynamoDB. Raises StorageError."""
        return any(self._newest(store, path) is not None for path in _spellings(store))

    def _path(self, store: ObjectStore) -> str:
        """The table's key in DynamoDB: the spelling that has items, else as Spark jobs spell it."""
        if not store.uri.startswith("s3://"):
            raise TableRefused(f"{store.uri} is not on S3, where alone a DynamoDB table arbitrates.", reason="arbiter:not-s3")
        used = [path for path in _spellings(store) if self._newest(store, path) is not None]
        if len(used) > 1:
            raise TableRefused(
                f"{store.uri} has entries in the DynamoDB table {self._table_name} under {used[0]} and under {used[1]}: its writers do not "
                "see each other's commits. Let all of them use one spelling first.",
                reason="arbiter:two-spellings",
            )
        return used[0] if used else _spellings(store)[0]

    def _before(self, store: ObjectStore, path: str, version: int) -> None:
        """Step 1. Raises TableCorrupt when the version before is missing although it is complete, or was never committed."""
        if version == 0:
            return
        item = self._get(store, path, entry_key(version - 1).removeprefix(LOG))
        if item is not None and not item.complete:
            self._complete(store, item)
        elif store.head(entry_key(version - 1)) is None:
            raise TableCorrupt(f"The log entry {store.uri}/{entry_key(version - 1)} is missing although version {version} is to follow.")

    def _complete(self, store: ObjectStore, item: _Item) -> None:
        """Steps 3 and 4, for whoever wrote the item. Raises StorageError, TableCorrupt when its bytes are lost."""
        for attempt in range(_TRIES):
            try:
                if self._copy(store, item):
                    self._mark(store, item)
                    return
            except StorageUnavailable:
                if attempt == _TRIES - 1:
                    raise
            self._ambient.clock.sleep(self._ambient.randomness.uniform(0.0, 0.1 * 2**attempt))
        raise StorageUnavailable(f"It is not known whether {store.uri}/{item.key} was completed from its DynamoDB entry.")

    def _copy(self, store: ObjectStore, item: _Item) -> bool:
        """Step 3: whether the entry is there now. Raises TableCorrupt when another entry is in its place."""
        if store.head(item.key) is not None:
            return True
        try:
            data = bytes(store.get(item.temporary_key))
        except ObjectMissing as error:
            if store.head(item.key) is not None:
                return True
            raise TableCorrupt(f"The commit {store.uri}/{item.key} is in DynamoDB, but its bytes ({item.temporary}) are gone.") from error
        match store.create(item.key, data):
            case Created():
                return True
            case Exists():
                if bytes(store.get(item.key)) != data:
                    raise TableCorrupt(f"{store.uri}/{item.key} is not what its DynamoDB entry says: two arbiters are in use.")
                return True
            case PutUnknown():
                return False

    def _put_if_absent(self, store: ObjectStore, item: _Item) -> CreateOutcome:
        """Step 2.2."""
        try:
            self._call("put_item", store, Item=_words(item), ConditionExpression="attribute_not_exists(fileName)")
        except _ConditionFailed:
            return self._whose(store, item, Exists())
        except StorageUnavailable as error:
            return self._whose(store, item, PutUnknown(why=str(error)))
        return Created()

    def _whose(self, store: ObjectStore, item: _Item, otherwise: CreateOutcome) -> CreateOutcome:
        """After a reply that was lost, or to a repetition: the item says by its temporary object whose it is."""
        try:
            found = self._get(store, item.table_path, item.file)
        except StorageError:
            return PutUnknown(why=f"It is not known whether {store.uri}/{item.key} was committed through DynamoDB.")
        if found is None:
            return otherwise
        if found.temporary == item.temporary:
            return Created()
        with suppress(StorageError, TableCorrupt):  # so that whoever looks for the winner in the log finds it
            if not found.complete:
                self._complete(store, found)
        return Exists()

    def _mark(self, store: ObjectStore, item: _Item) -> None:
        """Step 4."""
        expires = str(self._ambient.clock.now_ms() // 1000 + LIFE_S)
        self._call("put_item", store, Item=_words(item, complete=True) | {"expireTime": {"N": expires}})

    def _get(self, store: ObjectStore, path: str, file: str) -> _Item | None:
        key = {"tablePath": {"S": path}, "fileName": {"S": file}}
        return _item(self._call("get_item", store, Key=key, ConsistentRead=True).get("Item"))

    def _newest(self, store: ObjectStore, path: str) -> _Item | None:
        found = self._call(
            "query",
            store,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
            KeyConditionExpression="tablePath = :path",
            ExpressionAttributeValues={":path": {"S": path}},
        )
        return _item(next(iter(found.get("Items", ())), None))

    def _call(self, operation: str, store: ObjectStore, **arguments: Any) -> Mapping[str, Any]:
        """One call. Raises _ConditionFailed, AccessDenied and StorageError (nothing was stored), StorageUnavailable (not known)."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._client is None:
            self._client = self._open()
        name = f"the DynamoDB table {self._table_name}, which arbitrates commits to {store.uri}"
        try:
            reply: Mapping[str, Any] = getattr(self._client, operation)(TableName=self._table_name, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ConditionalCheckFailedException":
                raise _ConditionFailed(f"{name} has that item.") from None
            if code == "AccessDeniedException":
                raise AccessDenied(f"Access to {name} was denied: grant dynamodb:GetItem, PutItem and Query.") from None
            if code in _KNOWN_FAILURES:
                raise StorageError(f"A request to {name} was refused ({code}).") from None
            raise StorageUnavailable(f"A request to {name} failed ({code}).") from None
        except (BotoCoreError, OSError) as error:
            raise StorageUnavailable(f"A request to {name} was not answered ({type(error).__name__}).") from None
        return reply


class _ConditionFailed(StorageError):
    """An item for that version is there."""


def _spellings(store: ObjectStore) -> tuple[str, str]:
    """How writers may spell the table, the usual one of Spark jobs first; without a slash at the end."""
    rest = store.uri.partition("://")[2].rstrip("/")
    return f"s3a://{rest}", f"s3://{rest}"


def _words(item: _Item, *, complete: bool = False) -> dict[str, dict[str, str]]:
    return {
        "tablePath": {"S": item.table_path},
        "fileName": {"S": item.file},
        "tempPath": {"S": item.temporary},
        "complete": {"S": "true" if complete else "false"},
    }


def _item(words: Mapping[str, Mapping[str, str]] | None) -> _Item | None:
    if words is None:
        return None
    plain = {name: str(next(iter(value.values()))) for name, value in words.items()}
    complete = plain.get("complete") == "true"
    return _Item(table_path=plain["tablePath"], file=plain["fileName"], temporary=plain["tempPath"], complete=complete)
