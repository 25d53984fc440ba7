"""What the service answers over HTTP: health, metrics, the API and the page. Reads the service's overview; changes only marks in the state.

Whatever changes something, or costs something, wants the bearer token of the configured file; without such a file it is refused. A
service on loopback answers only to names of loopback, so that no page of a browser can reach it under a name of its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from compactor.errors import CompactorError
from compactor.service.config import Http
from compactor.service.http.openapi import document
from compactor.service.http.page import POLICY, page
from compactor.service.overview import Overview, TableView, overview_object, table_object

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "testserver")
_PREFIX = "/api/v1/tables/{table:path}"
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the app asks of the service. mark: `paused` or `asked` for a table, by somebody; None takes it back. runs, plan: objects for
    programs. silent_s: seconds since a round ended; late_s: more than which is too long."""

    overview: Callable[[], Overview]
    metrics: Callable[[], bytes]
    mark: Callable[[str, str, str | None], None]
    runs: Callable[[str, int], list[dict[str, Any]]]
    plan: Callable[[str], dict[str, Any]]
    silent_s: Callable[[], float]
    late_s: float = 900.0
    version: str = "0"


def make_app(answers: Answers, http: Http) -> Starlette:
    """The application."""
    handlers = _Handlers(answers, http)
    routes = [
        Route("/", handlers.page),
        Route("/healthz", handlers.health),
        Route("/readyz", handlers.ready),
        Route("/metrics", handlers.metrics),
        Route("/openapi.json", handlers.openapi),
        Route("/api/v1/overview", handlers.overview),
        Route("/api/v1/tables", handlers.tables),
        Route(f"{_PREFIX}/runs", handlers.runs),
        Route(f"{_PREFIX}/plan", handlers.plan, methods=["POST"]),
        *(Route(f"{_PREFIX}/{verb}", handlers.change(verb), methods=["POST"]) for verb in _VERBS),
        Route(_PREFIX, handlers.table),
    ]
    hosts = LOOPBACK if http.host in ("127.0.0.1", "localhost", "::1") else ["*"]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: _refused, CompactorError: _failed},
    )


_VERBS = {"pause": ("paused", "the API"), "resume": ("paused", None), "run-now": ("asked", "the API")}


class _Handlers:
    def __init__(self, answers: Answers, http: Http) -> None:
        self._answers, self._http = answers, http

    async def page(self, _request: Request) -> Response:
        return HTMLResponse(page(self._answers.overview()), headers={"content-security-policy": POLICY, "cache-control": "no-store"})

    async def health(self, _request: Request) -> Response:
        silent_s = self._answers.silent_s()
        late = silent_s > self._answers.late_s
        return PlainTextResponse(f"no round ended for {silent_s:.0f} s\n" if late else "ok\n", status_code=503 if late else 200)

    async def ready(self, _request: Request) -> Response:
        ready = self._answers.overview().ready
        return PlainTextResponse("ready\n" if ready else "no round has ended yet\n", status_code=200 if ready else 503)

    async def metrics(self, _request: Request) -> Response:
        return Response(self._answers.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _request: Request) -> Response:
        return JSONResponse(document(self._answers.version))

    async def overview(self, _request: Request) -> Response:
        return JSONResponse(overview_object(self._answers.overview()))

    async def tables(self, request: Request) -> Response:
        found = self._answers.overview()
        state = request.query_params.get("state")
        ranked = [view for view in found.ranked() if state is None or view.code == state]
        limit, offset = _number(request, "limit", 100), _number(request, "offset", 0)
        shown = [table_object(view) for view in ranked[offset : offset + limit]]
        return JSONResponse({"format_version": 1, "tables": shown, "total": len(ranked), "offset": offset})

    async def table(self, request: Request) -> Response:
        return JSONResponse(table_object(self._view(request)))

    async def runs(self, request: Request) -> Response:
        uri = self._view(request).state.uri
        found = await run_in_threadpool(self._answers.runs, uri, _number(request, "limit", 100))
        return JSONResponse({"format_version": 1, "table": uri, "runs": found})

    async def plan(self, request: Request) -> Response:
        self._permit(request)
        return JSONResponse(await run_in_threadpool(self._answers.plan, self._view(request).state.uri))

    def change(self, verb: str) -> Callable[[Request], Any]:
        kind, by = _VERBS[verb]

        async def handler(request: Request) -> Response:
            self._permit(request)
            uri = self._view(request).state.uri
            await run_in_threadpool(self._answers.mark, uri, kind, by)
            return JSONResponse({"format_version": 1, "table": uri, "asked": verb}, status_code=202)

        return handler

    def _view(self, request: Request) -> TableView:
        uri = request.path_params["table"]
        view = self._answers.overview().tables.get(uri)
        if view is None:
            raise HTTPException(404, f"The service looks after no table {uri}.")
        return view

    def _permit(self, request: Request) -> None:
        """Raises unless the request has the token, which is read anew each time, so that it can be replaced."""
        if self._http.token_file is None:
            raise HTTPException(403, "No token_file is configured, so nothing can be changed over HTTP.")
        try:
            token = Path(self._http.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise HTTPException(401, "The bearer token is wrong or missing.", headers={"www-authenticate": "Bearer"})


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST * 1000:
        raise HTTPException(400, f"{name} is not a number that makes sense here.")
    return min(int(text), _MOST) if name == "limit" else int(text)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"reason": error.detail}, status_code=error.status_code, headers=error.headers)


async def _failed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, CompactorError)
    return JSONResponse({"reason": str(error), "exit_code": error.exit_code}, status_code=409 if error.exit_code in (3, 6) else 502)
