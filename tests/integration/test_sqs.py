"""Notifications from S3 through SQS (moto): taken, told once, deleted only when they are done with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.moto_s3 import REGION, MotoS3

from compactor.errors import StorageError
from compactor.service.config import Events
from compactor.service.sqs import Queue

ENTRY = "_delta_log/{:020d}.json"


@pytest.fixture
def queue(moto_s3: MotoS3, request: pytest.FixtureRequest) -> tuple[Queue, Any, str]:
    """A queue that a bucket tells of its logs, a client of it, and its URL."""
    client = moto_s3.client("sqs")
    name = "".join(letter for letter in request.node.name if letter.isalnum())[:60]
    url = client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    return Queue(Events(queue_url=url, region=REGION, endpoint_url=moto_s3.endpoint_url)), client, url


def left(client: Any, url: str) -> int:
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def test_from_the_bucket_to_the_table(moto_s3: MotoS3, queue: tuple[Queue, Any, str]) -> None:
    """A real notification: the test event and data files are dropped at once, the entry is told, and is deleted when it is done with."""
    taking, client, url = queue
    bucket = moto_s3.bucket()
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    moto_s3.client().put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=configuration)
    for key in ("raw/a b/part-0.parquet", f"raw/a b/{ENTRY.format(3)}", f"raw/a b/{ENTRY.format(4)}"):
        moto_s3.client().put_object(Bucket=bucket.name, Key=key, Body=b"x")
    taken = taking.take()
    assert dict(taken.notices) == {f"{bucket.uri}/raw/a b": 4}
    assert (len(taken.receipts), taken.dropped, taken.puzzling) == (2, 2, ())
    assert left(client, url) == 2
    taking.done(taken.receipts)
    assert left(client, url) == 0
    assert taking.take().messages == 0


def body(key: str) -> str:
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": key}}}]})


def test_duplicates_and_disorder(queue: tuple[Queue, Any, str]) -> None:
    """The newest version counts, however often and in whatever order entries are told."""
    taking, client, url = queue
    for version in (5, 3, 5, 4):
        client.send_message(QueueUrl=url, MessageBody=body(f"t/{ENTRY.format(version)}"))
    assert dict(taking.take().notices) == {"s3://b/t": 5}


def test_a_crash_before_it_is_recorded(queue: tuple[Queue, Any, str]) -> None:
    """Messages that were taken and not done with come again."""
    taking, client, url = queue
    client.send_message(QueueUrl=url, MessageBody=body(f"t/{ENTRY.format(1)}"))
    assert taking.take().notices == taking.take().notices == {"s3://b/t": 1}


def test_what_cannot_be_understood_goes_to_the_dead_letters(queue: tuple[Queue, Any, str]) -> None:
    """It is told, hides nothing else, and is left for the queue's redrive; where there is none it is put aside after some receipts."""
    taking, client, url = queue
    client.send_message(QueueUrl=url, MessageBody="{nonsense")
    client.send_message(QueueUrl=url, MessageBody=body(f"t/{ENTRY.format(1)}"))
    taken = taking.take()
    assert (len(taken.puzzling), dict(taken.notices)) == (1, {"s3://b/t": 1})
    taking.done(taken.receipts)
    assert left(client, url) == 1
    receipts = 1
    while taking.take().messages:
        receipts += 1
        assert receipts < 10
    assert receipts == 6


def test_a_queue_that_is_not_there(moto_s3: MotoS3) -> None:
    """It is an error in one sentence."""
    events = Events(queue_url=f"{moto_s3.endpoint_url}/123456789012/none", region=REGION, endpoint_url=moto_s3.endpoint_url)
    with pytest.raises(StorageError, match="the queue"):
        Queue(events).take()
