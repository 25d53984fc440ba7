"""No secret is ever said, and on S3 nothing is asked for that the policies in infra/ do not allow: every verb against a server that notes
what is asked."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.delta_tables import append, make_table, mask_rows, table_of
from support.s3_server import REGION, Request, S3Fault, S3Server, Status, StoredObject, s3_server

import compactor
from compactor.settings import Settings
from compactor.wiring import open_care, open_ports
from compactor_cli.main import main

ROOT = Path(__file__).parents[2]
SECRETS = ("MARKEDSECRETMARKEDSECRETMARKEDSECRET", "MARKEDSESSIONTOKENMARKEDSESSIONTOKEN", "MARKEDRAYTOKENMARKEDRAYTOKEN")
ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
}
READING = ("scan", "plan", "explain", "verify", "runs", "history", "doctor")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    """The table `s3://example-lake/tables/events`, reached with credentials that can be recognised."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[0])
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRETS[1])
    monkeypatch.setenv("RAY_AUTH_TOKEN", SECRETS[2])
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none") if name.endswith("FILE") else "")
    monkeypatch.delenv("AWS_PROFILE")
    table = make_table(tmp_path / "t", table_of(n=range(80), p=["a", "b"] * 40), files=8, features=["deletionVectors"], partition_by=["p"])
    mask_rows(table, table.live()[0], [1])
    wide = np.random.default_rng(1).integers(2**62, size=1_200_000)
    append(table, pa.table({"n": wide, "p": ["c"] * len(wide)}), files=6)
    with s3_server() as running:
        objects = running.buckets[running.bucket("example-lake")]
        for path in (path for path in table.root.rglob("*") if path.is_file()):
            key = f"tables/events/{path.relative_to(table.root).as_posix()}"
            objects[key] = StoredObject(data=path.read_bytes(), etag=f'"{len(objects)}"', modified=path.stat().st_mtime - 10, headers={})
        yield running


def command(server: S3Server, *arguments: str) -> int:
    """The exit code of a command on that table."""
    storage = ("--endpoint-url", server.endpoint_url, "--region", REGION, "--path-style")
    with pytest.raises(SystemExit) as ended:
        main([arguments[0], "s3://example-lake/tables/events", *storage, *arguments[1:]])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def operation(request: Request) -> str:
    return "ListMultipartUploads" if "uploads" in request.query and request.operation == "ListObjectsV2" else request.operation


def allowed(name: str) -> set[str]:
    """The S3 actions of a policy."""
    statements = json.loads((ROOT / f"infra/aws/{name}.json").read_text())["Statement"]
    actions = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    return {action for some in actions for action in some if action.startswith("s3:")}


def asked(server: S3Server) -> set[str]:
    """The actions that were needed, all of them on the policy's example: its bucket, keys below `tables/`, lists of that prefix."""
    for request in server.requests:
        assert request.bucket == "example-lake"
        assert not request.key or request.key.startswith("tables/"), request
        if operation(request) == "ListObjectsV2":
            assert request.query.get("prefix", "").startswith("tables/"), request
    return {ACTIONS[operation(request)] for request in server.requests}


def read_everything(server: S3Server) -> None:
    for verb in READING:
        more = ("--data", "--executor", "serial") if verb == "doctor" else ()
        assert command(server, verb, *more) == 0, verb
    assert command(server, "vacuum", "--retention", "0", "--allow-short-retention") == 0


def test_the_policies_are_what_the_code_asks_for(server: S3Server) -> None:
    """Verbs that read need exactly the policy for reading; all of them together exactly the other, no action more, no key elsewhere."""
    read_everything(server)
    assert asked(server) == allowed("policy-read-only")
    server.reset()
    server.fail(S3Fault(operation="UploadPart", action=Status(403, "AccessDenied")))
    options = ("--min-input-files", "2", "--executor", "serial", "--memory", "512MiB")
    assert command(server, "run", *options) in (0, 5, 7)
    server.fail(S3Fault(operation="UploadPart", action=Status(403, "AccessDenied"), times=0))
    assert command(server, "run", *options) == 0
    left_an_intent(server)
    assert command(server, "clean") == 0
    server.buckets["example-lake"]["tables/events/orphan.parquet"] = StoredObject(data=b"x", etag='"x"', modified=1.0, headers={})
    assert command(server, "vacuum", "--no-dry-run") == 0
    assert "tables/events/orphan.parquet" not in server.buckets["example-lake"]
    read_everything(server)
    assert asked(server) == allowed("policy")
    assert {"CreateMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads"} <= {operation(one) for one in server.requests}


def left_an_intent(server: S3Server) -> None:
    """What a crashed run leaves, long ago."""
    intent = {"format_version": 1, "kind": "intent", "run_id": "r", "table": "t", "version": 0, "created_ms": 0, "nonce": "n"}
    data = json.dumps({**intent, "groups": [[0, "p=a/x.parquet", "part-00000-00000000-0000-0000-0000-000000000000"]]}).encode()
    server.buckets["example-lake"]["tables/events/_compactor/intents/r.json"] = StoredObject(
        data=data, etag='"i"', modified=1.0, headers={}
    )


def test_no_secret_is_said_anywhere(
    server: S3Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither in output, errors, tracebacks and logs, nor in plans, in what is kept beside the table, in the log, or in any repr."""
    monkeypatch.setenv("COMPACTOR_DEBUG", "1")
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    ours = logging.getLogger("compactor")
    monkeypatch.setattr(ours, "level", logging.DEBUG)
    for logger in (logging.getLogger(), ours):
        logger.addHandler(handler)
    plan = tmp_path / "plan.jsonl"
    try:
        assert command(server, "plan", "-o", str(plan), "--min-input-files", "2") == 0
        left_an_intent(server)
        for code, fault in ((5, Status(403, "AccessDenied")), (5, Status(403, "ExpiredToken")), (5, Status(500, "InternalError"))):
            server.reset()
            server.fail(S3Fault(operation="GetObject", action=fault, times=None))
            for verb in ("scan", "run", "doctor"):
                assert command(server, verb, "--json") == code, (verb, fault)
        server.reset()
        assert command(server, "run", "--json", "--executor", "local", "--min-input-files", "2", "--memory", "512MiB") == 0
        server.fail(S3Fault(operation="PutObject", key="*_delta_log*", action=Status(403, "AccessDenied"), times=None))
        assert command(server, "run", "--force-rewrite", "--executor", "serial") == 5
        server.reset()
        for verb in READING:
            assert command(server, verb, "--json") == command(server, verb) == 0
        assert command(server, "doctor", "--self") == 0
    finally:
        for logger in (logging.getLogger(), ours):
            logger.removeHandler(handler)
    settings = Settings(endpoint_url=server.endpoint_url, region=REGION, path_style=True)
    ports = open_ports("s3://example-lake/tables/events", settings)
    care, store = open_care("s3://example-lake/tables/events", settings)
    assert compactor.load("s3://example-lake/tables/events", settings=settings).files.num_rows
    said = [
        *capsys.readouterr(),
        heard.getvalue(),
        plan.read_text(),
        repr(settings),
        repr(ports),
        repr(care),
        repr(store),
        repr(vars(store)),
    ]
    kept = [item.data for key, item in server.buckets["example-lake"].items() if not key.endswith(".parquet")]
    assert len(kept) > 8 and "Traceback" in said[1]
    for secret in SECRETS[:2]:
        assert any(secret in value for value in os.environ.values())
    for secret in SECRETS:
        assert not [text for text in said if secret in text]
        assert not [data for data in kept if secret.encode() in data]


@pytest.mark.parametrize("key", ["endpoint_url", "dynamodb_endpoint"])
@pytest.mark.parametrize("scheme", ["https://", ""])
def test_a_password_in_an_endpoint_is_neither_taken_nor_repeated(
    key: str, scheme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL with credentials is refused wherever it is given, and the refusal does not quote them."""
    url = f"{scheme}user:hunter2secret@minio.example:9000"
    with pytest.raises(compactor.SettingsError, match="must not hold credentials") as refused:
        Settings.model_validate({key: url})
    assert "hunter2secret" not in str(refused.value)
    monkeypatch.setenv(f"COMPACTOR_{key.upper()}", url)
    with pytest.raises(SystemExit) as ended:
        main(["scan", str(tmp_path)])
    said = capsys.readouterr()
    assert ended.value.code == 2 and "must not hold credentials" in said.err and "hunter2secret" not in said.err + said.out


def test_credentials_in_a_location_are_neither_taken_nor_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither does the refusal of a table's URI that holds some quote them."""
    with pytest.raises(SystemExit) as ended:
        main(["scan", "s3://AKIAMARKED:hunter2secret@bucket/t"])
    said = capsys.readouterr()
    assert ended.value.code == 2 and "hunter2secret" not in said.err + said.out
