"""S3 notifications: whose log has a new entry, however the message came, and what says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactor.service.notices import Notice, Read, read_message

ENTRY = "_delta_log/00000000000000000007.json"
NOTICE = (Notice(table="s3://lake/raw/a b+c", version=7),)


def record(key: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"eventName": name, "s3": {"bucket": {"name": "lake"}, "object": {"key": key, "size": 1}}}


def records(*items: dict[str, Any]) -> str:
    return json.dumps({"Records": list(items)})


@pytest.mark.parametrize(
    "body",
    [
        records(record(f"raw/a+b%2Bc/{ENTRY}")),
        records(record(f"raw/a%20b%2Bc/{ENTRY}", "ObjectCreated:CompleteMultipartUpload"), record(f"raw/a+b%2Bc/{ENTRY}")),
        json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": records(record(f"raw/a+b%2Bc/{ENTRY}"))}),
        json.dumps({"detail-type": "Object Created", "detail": {"bucket": {"name": "lake"}, "object": {"key": f"raw/a b+c/{ENTRY}"}}}),
    ],
    ids=["direct", "twice", "sns", "eventbridge"],
)
def test_new_entries(body: str) -> None:
    """The table and the version, with the key as it is really spelled."""
    assert read_message(body) == Read(notices=NOTICE)


@pytest.mark.parametrize(
    "key",
    [
        "raw/a/part-0.parquet",
        "raw/a/_delta_log/00000000000000000010.checkpoint.parquet",
        "raw/a/_delta_log/00000000000000000010.crc",
        "raw/a/_delta_log/_last_checkpoint",
        "raw/a/_delta_log/_commits/00000000000000000007.4f0c.json",
        "raw/a/_delta_log/.tmp/00000000000000000007.json.9e",
        "raw/a/_compactor/intents/x.json",
    ],
)
def test_other_keys_say_nothing(key: str) -> None:
    """Data files, checkpoints, staged commits and our own records are dropped."""
    assert read_message(records(record(key))) == Read()


def test_deletes_say_nothing() -> None:
    """Logs are cleaned up without news in it."""
    assert read_message(records(record(f"raw/a/{ENTRY}", "ObjectRemoved:Delete"))) == Read()


def test_a_table_at_the_root_of_its_bucket() -> None:
    """It has no folder."""
    assert read_message(records(record(ENTRY))).notices == (Notice(table="s3://lake", version=7),)


def test_test_events() -> None:
    """S3 sends one when notifications are set up."""
    assert read_message('{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"lake"}') == Read(test=True)


PUZZLES = ["", "{", "[]", "1", '"x"', "{}", '{"Records": 3}', '{"Records": [{}]}', '{"detail-type": "Object Created"}']
JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@pytest.mark.parametrize("body", PUZZLES)
def test_what_cannot_be_understood(body: str) -> None:
    """It is told as that, and never raises."""
    assert read_message(body).wrong


@given(st.text() | JSON.map(json.dumps))
def test_no_body_raises(body: str) -> None:
    """Whatever somebody puts into the queue."""
    read_message(body)
