"""The DynamoDB arbiter against moto: entries as Spark's S3DynamoDBLogStore leaves them at each step, races, lost replies, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from support.moto_s3 import DUMMY_ENVIRONMENT, REGION, MotoS3

import compactor
from compactor.ambient.system import system_ambient
from compactor.errors import TableCorrupt, TableRefused
from compactor.model.run import Run, RunStatus
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.storage.base import Created, Exists, ObjectStore, PutUnknown
from compactor.storage.faults import FaultyStore
from compactor.tables.delta.arbiter.dynamodb import LIFE_S, DynamoDB
from compactor.tables.delta.log import entry_key


@dataclass(frozen=True, kw_only=True)
class Place:
    """A table of eight appends on S3, and a DynamoDB table."""

    moto: MotoS3
    uri: str
    store: ObjectStore
    table: str
    settings: Settings

    @property
    def client(self) -> Any:
        return self.moto.client("dynamodb")

    @property
    def options(self) -> dict[str, str]:
        keys = {name: value for name, value in DUMMY_ENVIRONMENT.items() if name.startswith("AWS_")}
        return {**keys, "AWS_ENDPOINT_URL": self.moto.endpoint_url, "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true"}

    def arbiter(self, wrap: Callable[[Any], Any] = lambda client: client) -> DynamoDB:
        return DynamoDB(table_name=self.table, client=lambda: wrap(self.client), ambient=system_ambient())

    def items(self) -> dict[str, dict[str, str]]:
        found = self.client.scan(TableName=self.table)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in item.items()} for item in found]
        return {item["fileName"]: item for item in plain}

    def spark_commits(self, version: int, *, upto: int, complete: bool = False, scheme: str = "s3a") -> bytes:
        """What Spark's writer leaves when it dies after a step: 1 temporary object, 2 item, 3 entry; `complete` for step 4."""
        info = {"commitInfo": {"operation": "WRITE", "engineInfo": "Apache-Spark/4.0.0 Delta-Lake/4.0.0"}}
        data = json.dumps(info).encode()
        file = f"{version:020d}.json"
        temporary = f".tmp/{file}.11111111-2222-4333-8444-555555555555"
        self.store.put(f"_delta_log/{temporary}", data)
        if upto >= 2:
            path = self.uri.replace("s3://", f"{scheme}://")
            words = {"tablePath": path, "fileName": file, "tempPath": temporary, "complete": str(complete).lower()}
            self.client.put_item(TableName=self.table, Item={name: {"S": value} for name, value in words.items()})
        if upto >= 3:
            self.store.put(entry_key(version), data)
        return data

    def run(self, **changes: object) -> Run:
        return compactor.run(self.uri, settings=self.settings.model_copy(update=changes))


@pytest.fixture
def place(moto_s3: MotoS3) -> Iterator[Place]:
    bucket = moto_s3.bucket()
    name = f"log-{bucket.name}"
    client = moto_s3.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "tablePath", "KeyType": "HASH"}, {"AttributeName": "fileName", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("tablePath", "fileName")],
        BillingMode="PAY_PER_REQUEST",
    )
    settings = Settings(
        executor="serial",
        arbiter="dynamodb",
        dynamodb_table=name,
        dynamodb_region=REGION,
        dynamodb_endpoint=moto_s3.endpoint_url,
        endpoint_url=moto_s3.endpoint_url,
        region=REGION,
        path_style=True,
    )
    uri = f"{bucket.uri}/t"
    place = Place(moto=moto_s3, uri=uri, store=open_store(uri, settings.storage()), table=name, settings=settings)
    for number in range(8):
        write_deltalake(uri, pa.table({"n": [number]}), mode="append", storage_options=place.options)
    yield place


def test_a_run_commits_by_the_protocol(place: Place) -> None:
    """The item names the table as Spark does, its temporary object holds the entry's bytes, and it is complete with a time to live."""
    run = place.run()
    assert (run.status, run.version) == (RunStatus.COMMITTED, 8), run.reason
    item = place.items()[f"{8:020d}.json"]
    assert item["tablePath"] == place.uri.replace("s3://", "s3a://")
    assert item["tempPath"].startswith(f".tmp/{8:020d}.json.")
    assert item["complete"] == "true"
    assert int(item["expireTime"]) > system_ambient().clock.now_ms() // 1000 + LIFE_S - 600
    assert bytes(place.store.get(f"_delta_log/{item['tempPath']}")) == bytes(place.store.get(entry_key(8)))
    assert DeltaTable(place.uri, storage_options=place.options).to_pyarrow_table().sort_by("n")["n"].to_pylist() == list(range(8))


@pytest.mark.parametrize(("upto", "complete"), [(2, False), (3, False), (3, True)], ids=["item", "entry", "complete"])
def test_a_commit_of_spark_is_completed_before_the_log_is_read(place: Place, upto: int, complete: bool) -> None:
    """Whatever step Spark's writer died at after its commit point, its version counts, and ours follows it."""
    data = place.spark_commits(8, upto=upto, complete=complete)
    run = place.run()
    assert (run.status, run.version) == (RunStatus.COMMITTED, 9), run.reason
    assert bytes(place.store.get(entry_key(8))) == data
    assert place.items()[f"{8:020d}.json"]["complete"] == "true"


def test_a_commit_of_spark_before_its_point_does_not_count(place: Place) -> None:
    """A temporary object without an item is nothing: the version is ours."""
    place.spark_commits(8, upto=1)
    assert place.run().version == 8


def test_a_claim_loses_to_an_item(place: Place) -> None:
    """A version that has an item is taken, though its entry is not there yet; the loser completes it, so that it can be judged."""
    data = place.spark_commits(8, upto=2)
    assert place.arbiter().claim(place.store, 8, b"{}") == Exists()
    assert bytes(place.store.get(entry_key(8))) == data


class Losing:
    """A client whose replies to some calls are lost, after they took effect."""

    def __init__(self, client: Any, *operations: str, before: bool = False) -> None:
        self._client, self._operations, self._before = client, list(operations), before

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            lost = name in self._operations
            if lost:
                self._operations.remove(name)
            if lost and self._before:
                raise OSError("reset")
            reply = getattr(self._client, name)(**arguments)
            if lost:
                raise OSError("reset")
            return reply

        return call


def test_a_lost_reply_to_the_item_is_resolved(place: Place) -> None:
    """The item says by its temporary object that it is ours; a request that never arrived leaves the version open."""
    assert isinstance(place.arbiter(lambda client: Losing(client, "put_item")).claim(place.store, 8, b'{"txn":{}}'), Created)
    assert bytes(place.store.get(entry_key(8))) == b'{"txn":{}}'
    assert isinstance(place.arbiter(lambda client: Losing(client, "put_item", before=True)).claim(place.store, 9, b"{}"), PutUnknown)
    assert place.store.head(entry_key(9)) is None
    assert isinstance(place.arbiter().claim(place.store, 9, b"{}"), Created)


def test_nothing_is_given_up_after_the_commit_point(place: Place) -> None:
    """The entry cannot be put now: it is committed all the same, and the next reader of the log completes it."""
    store = FaultyStore(place.store, ["create _delta_log/* every before error"])
    assert isinstance(place.arbiter().claim(store, 8, b'{"txn":{}}'), Created)
    assert place.store.head(entry_key(8)) is None
    place.arbiter().recover(place.store)
    assert bytes(place.store.get(entry_key(8))) == b'{"txn":{}}'
    assert place.items()[f"{8:020d}.json"]["complete"] == "true"


def test_a_foreign_entry_is_told(place: Place) -> None:
    """An entry that a conditional put slipped in between the steps is not taken for the committed one when it is seen in time."""
    place.spark_commits(8, upto=2)

    class Slipping(FaultyStore):
        def head(self, key: str) -> None:
            return None

    store = Slipping(place.store, [])
    place.store.put(entry_key(8), b'{"foreign":{}}')
    with pytest.raises(TableCorrupt, match="two arbiters"):
        place.arbiter().recover(store)


def test_a_version_follows_only_one_that_is_there(place: Place) -> None:
    """The version before must exist; bytes that are lost are named."""
    with pytest.raises(TableCorrupt, match="missing"):
        place.arbiter().claim(place.store, 10, b"{}")
    place.spark_commits(8, upto=2)
    place.store.delete([f"_delta_log/{place.items()[f'{8:020d}.json']['tempPath']}"])
    with pytest.raises(TableCorrupt, match="gone"):
        place.arbiter().recover(place.store)


def test_two_spellings_are_refused(place: Place) -> None:
    """Items under s3a:// and s3:// mean two sets of writers; one spelling is followed, whichever it is."""
    place.spark_commits(8, upto=3, complete=True, scheme="s3")
    assert place.run().version == 9
    assert place.items()[f"{9:020d}.json"]["tablePath"] == place.uri
    place.spark_commits(10, upto=3, complete=True, scheme="s3a")
    with pytest.raises(TableRefused, match="under"):
        place.arbiter().recover(place.store)
    assert place.run().status is RunStatus.REFUSED


def test_the_other_arbiter_is_refused_where_this_one_is_in_use(place: Place) -> None:
    """Items, or temporary objects, of a table that is to be committed to by conditional put: refused, and nothing is written."""
    place.spark_commits(8, upto=3, complete=True)
    temporary = place.items()[f"{8:020d}.json"]["tempPath"]
    before = [item.key for item in place.store.list("")]
    assert "DynamoDB" in (place.run(arbiter="conditional-put", dynamodb_table=None).reason or "")
    place.store.delete([f"_delta_log/{temporary}"])
    run = place.run(arbiter="conditional-put")
    assert (run.status, run.exit_code) == (RunStatus.REFUSED, 3)
    assert "--arbiter dynamodb" in (run.reason or "")
    assert [item.key for item in place.store.list("")] == [key for key in before if not key.endswith(temporary)]


def test_a_table_that_is_missing_is_said(place: Place, tmp_path: Any) -> None:
    """A wrong name of the DynamoDB table, or a table that is not on S3, ends the run with one sentence and nothing written."""
    run = place.run(dynamodb_table="no-such-table")
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 5)
    assert "no-such-table" in (run.reason or "")
    write_deltalake(str(tmp_path / "t"), pa.table({"n": [1]}))
    refused = compactor.run(str(tmp_path / "t"), settings=place.settings)
    assert refused.status is RunStatus.REFUSED
