"""The service over HTTP: health, metrics, the API by its own document, the page, and who may change something."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from support.delta_log import add, info, metadata, protocol, write

from compactor.errors import UsageError
from compactor.model.run import Run, RunStatus
from compactor.service.config import Http
from compactor.service.events import RunFinished
from compactor.service.http.app import Answers, make_app
from compactor.service.http.opening import open_http
from compactor.service.http.server import HttpServer
from compactor.service.ledger import Spend
from compactor.service.opening import open_service
from compactor.service.service import Service
from compactor.service.telemetry.log_lines import LogLines
from compactor.service.telemetry.metrics import Metrics
from compactor.storage import open_store

TOKEN = "sesame"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service that has looked at two tables, one of an ugly name."""
    for name in ("plain", "<b>&'"):
        write(open_store(str(tmp_path / "lake" / name)), 0, [protocol(), metadata(), *(add(f"f{number}") for number in range(8)), info()])
    file = tmp_path / "f.toml"
    file.write_text(
        f'state = "{tmp_path}/state"\n[[source]]\nprefix = "{tmp_path}/lake"\n'
        '[defaults]\ntarget_size = "1MiB"\nquiet_period = 0\nwindows = "0 0 29 2 * for 1m"\n[[match]]\nglob = "**/plain"\nenabled = false\n'
    )
    service = open_service(file, lambda _event: None)
    service.start()
    for _ in range(100):
        service.round()
        if len(service.overview.tables) == 2:
            break
    return service


@pytest.fixture
def client(service: Service, tmp_path: Path) -> TestClient:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    shared = service.parts.shared

    def mark(uri: str, kind: str, by: str | None) -> None:
        shared.unmark(kind, uri) if by is None else shared.mark(kind, uri, by)

    answers = Answers(
        overview=lambda: service.overview,
        metrics=lambda: Metrics().page(service.overview),
        mark=mark,
        runs=lambda _uri, limit: [{"limit": limit}],
        plan=lambda uri: {"table": uri},
        silent_s=lambda: 1.0,
    )
    return TestClient(make_app(answers, Http(token_file=str(tmp_path / "token"))))


def ugly(service: Service) -> str:
    return next(uri for uri in service.overview.tables if uri.endswith("'"))


def test_health(client: TestClient, service: Service) -> None:
    """Alive while rounds go on, ready when the first has ended."""
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    answers = Answers(
        overview=lambda: replace(service.overview, ready=False), metrics=bytes, mark=lambda *_: None, runs=lambda *_: [], plan=lambda _: {},
        silent_s=lambda: 901.0,
    )  # fmt: skip
    late = TestClient(make_app(answers, Http()))
    assert (late.get("/healthz").status_code, late.get("/readyz").status_code) == (503, 503)


def test_tables(client: TestClient, service: Service) -> None:
    """Ranked, with state and reason, by pages and by state; a table by its URI, and one that is not there."""
    told = client.get("/api/v1/tables").json()
    assert told["total"] == 2
    assert all(table["why"] for table in told["tables"])
    assert {table["state"] for table in told["tables"]} == {"window-closed", "disabled"}
    assert client.get("/api/v1/tables?state=disabled").json()["total"] == 1
    assert len(client.get("/api/v1/tables?limit=1&offset=1").json()["tables"]) == 1
    assert client.get("/api/v1/tables?limit=x").status_code == 400
    one = client.get(f"/api/v1/tables/{quote(ugly(service), safe='')}").json()
    assert (one["table"], one["files"], one["saves_files"]) == (ugly(service), 8, 7)
    assert client.get(f"/api/v1/tables/{quote(ugly(service), safe='')}/runs?limit=3").json()["runs"] == [{"limit": 3}]
    missing = client.get("/api/v1/tables/s3%3A%2F%2Fnowhere")
    assert (missing.status_code, "looks after no table" in missing.json()["reason"]) == (404, True)
    assert client.get("/api/v1/overview").json()["by_state"] == {"disabled": 1, "window-closed": 1}


@pytest.mark.parametrize("verb", ["pause", "resume", "run-now", "plan"])
def test_changes_want_the_token(client: TestClient, service: Service, verb: str) -> None:
    """Without it, with a wrong one, by GET, or of an unknown table nothing is done; no token file refuses everything."""
    path = f"/api/v1/tables/{quote(ugly(service), safe='')}/{verb}"
    good = {"authorization": f"Bearer {TOKEN}"}
    assert client.post(path).status_code == 401
    for wrong in ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer sésame"):
        assert client.post(path, headers={"authorization": wrong.encode()}).status_code == 401  # type: ignore[dict-item]
    assert client.get(path, headers=good).status_code in (404, 405)
    assert client.post(f"/api/v1/tables/none/{verb}", headers=good).status_code == 404
    assert service.parts.shared.marked("paused") == service.parts.shared.marked("asked") == {}
    assert client.post(path, headers=good).status_code in (200, 202)
    closed = TestClient(make_app(_answers(service), Http()))
    assert closed.post(path, headers=good).status_code == 403


def _answers(service: Service) -> Answers:
    return Answers(
        overview=lambda: service.overview, metrics=bytes, mark=lambda *_: None, runs=lambda *_: [], plan=lambda _: {}, silent_s=lambda: 0.0
    )


def test_an_empty_token_opens_nothing(service: Service, tmp_path: Path) -> None:
    """A file that is empty or gone is no token that an empty header could match."""
    (tmp_path / "empty").write_text("\n")
    path = f"/api/v1/tables/{quote(ugly(service), safe='')}/pause"
    for file in ("empty", "gone"):
        client = TestClient(make_app(_answers(service), Http(token_file=str(tmp_path / file))))
        assert client.post(path, headers={"authorization": "Bearer "}).status_code == 401


def test_pause_and_resume_reach_the_state(client: TestClient, service: Service) -> None:
    """What is asked over HTTP is what the command line would have written."""
    path = f"/api/v1/tables/{quote(ugly(service), safe='')}"
    good = {"authorization": f"Bearer {TOKEN}"}
    client.post(f"{path}/pause", headers=good)
    assert service.parts.shared.marked("paused") == {ugly(service): "the API"}
    service.round()
    assert client.get(path).json()["state"] == "paused"
    client.post(f"{path}/resume", headers=good)
    client.post(f"{path}/run-now", headers=good)
    assert (service.parts.shared.marked("paused"), service.parts.shared.marked("asked")) == ({}, {ugly(service): "the API"})


def test_only_names_of_loopback(client: TestClient, service: Service) -> None:
    """A page of a browser that has its own name point here gets nothing; a service that listens elsewhere is asked by any name."""
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    open_one = TestClient(make_app(_answers(service), Http(host="0.0.0.0")))
    assert open_one.get("/", headers={"host": "compactor.lake.svc"}).status_code == 200


def test_the_page(client: TestClient) -> None:
    """Every table with its state and reason; names are text, never markup; nothing is fetched from elsewhere, no script runs."""
    shown = client.get("/")
    assert "script" not in shown.text
    assert not re.findall(r"(?:src|href)\s*=", shown.text)
    assert "&lt;b&gt;&amp;&#x27;" in shown.text
    assert "window-closed" in shown.text
    assert "compactor.enabled = false" in shown.text
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")

    class Strict(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Strict()
    parser.feed(shown.text)
    assert parser.open == []


def test_the_document_is_what_is_answered(client: TestClient) -> None:
    """Every route is in the OpenAPI document with its method, and nothing else is."""
    document = client.get("/openapi.json").json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routes = {
        (method, route.path.replace("{table:path}", "{table}"))
        for route in client.app.routes  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }
    assert described == routes - {("GET", "/"), ("GET", "/openapi.json")}
    from openapi_spec_validator import validate

    validate(document)


def test_answers_are_as_their_schemas_say(client: TestClient, service: Service) -> None:
    """Every answer of the API has the schema that the document names for it, without a field that is not described."""
    from jsonschema import Draft202012Validator

    document = client.get("/openapi.json").json()
    good, path = {"authorization": f"Bearer {TOKEN}"}, f"/api/v1/tables/{quote(ugly(service), safe='')}"
    asked = {
        ("get", "/api/v1/overview"): client.get("/api/v1/overview"),
        ("get", "/api/v1/tables"): client.get("/api/v1/tables"),
        ("get", "/api/v1/tables/{table}"): client.get(path),
        ("get", "/api/v1/tables/{table}/runs"): client.get(f"{path}/runs"),
        ("post", "/api/v1/tables/{table}/plan"): client.post(f"{path}/plan", headers=good),
        **{
            ("post", f"/api/v1/tables/{{table}}/{verb}"): client.post(f"{path}/{verb}", headers=good)
            for verb in ("pause", "resume", "run-now")
        },
    }
    asked[("get", "/api/v1/tables/{table} ")] = client.get("/api/v1/tables/none")
    asked[("post", "/api/v1/tables/{table}/pause ")] = client.post(f"{path}/pause")
    described = {(method, route) for route, item in document["paths"].items() for method in item if route.startswith("/api/")}
    assert described == {(method, route) for method, route in asked if not route.endswith(" ")}
    for (method, route), answer in asked.items():
        told = document["paths"][route.strip()][method]["responses"][str(answer.status_code)]
        schema = told["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
        known = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]].get("properties")
        assert known is None or set(answer.json()) == set(known)


def test_metrics_count(service: Service) -> None:
    """A run is counted by its status, with files, bytes and spend; states of tables and the budget stand there."""
    metrics = Metrics()
    run = Run(
        run_id="r", table="t", status=RunStatus.COMMITTED, files_removed=9, files_added=2, bytes_removed=90, bytes_added=80, seconds=3
    )
    metrics.service(RunFinished(run=run, spend=Spend(gb_hours=0.5, money=0.25)))
    text = metrics.page(service.overview).decode()
    for line in (
        'compactor_runs_total{status="committed"} 1.0',
        'compactor_run_files_total{direction="in"} 9.0',
        'compactor_run_bytes_total{direction="out"} 80.0',
        "compactor_spend_gb_hours_total 0.5",
        "compactor_replicas 1.0",
    ):
        assert line in text.splitlines()


def test_it_listens(service: Service, tmp_path: Path) -> None:
    """On loopback, on a free port, with the real state behind it; and it ends. An address that is taken is one sentence."""
    server = open_http(service, Metrics(), Http(port=0))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=10) as reply:
            assert reply.read() == b"ok\n"
        path = quote(ugly(service), safe="")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/v1/tables/{path}/runs", timeout=10) as reply:
            assert json.loads(reply.read())["runs"] == []
        with pytest.raises(UsageError, match="cannot listen on"):
            HttpServer(make_app(_answers(service), Http()), "127.0.0.1", server.port)
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=2)


def test_log_lines_are_json() -> None:
    """One object a line, with the run's id and the table on what concerns a run."""
    lines: list[str] = []

    class Clock:
        def now_ms(self) -> int:
            return 7

    logs = LogLines(lines.append, Clock())  # type: ignore[arg-type]
    logs.service(RunFinished(run=Run(run_id="r", table="t", status=RunStatus.FAILED, exit_code=7), spend=Spend()))
    told = json.loads(lines[0])
    assert (told["at_ms"], told["level"], told["event"], told["run_id"], told["table"]) == (7, "error", "RunFinished", "r", "t")
