"""The OpenAPI document of the API. A test holds it against the routes that there are."""

from __future__ import annotations

from typing import Any

from compactor.service.http.schemas import SCHEMAS, ref

_TABLE = {
    "name": "table",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The table's URI, percent-encoded (s3%3A%2F%2Flake%2Fevents).",
}
_LIMITS = [
    {"name": "state", "in": "query", "schema": {"type": "string"}, "description": "Only tables of this state."},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}},
    {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0, "default": 0}},
]


def document(version: str) -> dict[str, Any]:
    """The document, for a version of the program."""
    paths: dict[str, Any] = {
        "/healthz": {"get": _get("Whether rounds go on.", text=True)},
        "/readyz": {"get": _get("Whether tables were looked for and looked at once.", text=True)},
        "/metrics": {"get": _get("Metrics for Prometheus.", text=True)},
        "/api/v1/overview": {"get": _get("Counts, budget, spend, replicas and problems.", of="Overview")},
        "/api/v1/tables": {
            "get": _get("Tables by need: each with its state, the reason, and what a run would save and take.", _LIMITS, of="Tables")
        },
        "/api/v1/tables/{table}": {"get": _get("One table.", [_TABLE], of="Table")},
        "/api/v1/tables/{table}/runs": {"get": _get("Its runs in the journal, newest first.", [_TABLE, _LIMITS[1]], of="Runs")},
        "/api/v1/tables/{table}/plan": {"post": _change("Plan a run now, and write nothing.", 200, "Plan")},
        "/api/v1/tables/{table}/pause": {"post": _change("Leave the table alone until resume.")},
        "/api/v1/tables/{table}/resume": {"post": _change("Take a pause back.")},
        "/api/v1/tables/{table}/run-now": {"post": _change("Run the table next, whatever its windows, waits and gain.")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "lakehouse-compactor", "version": version},
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _get(summary: str, parameters: list[dict[str, Any]] | None = None, *, text: bool = False, of: str = "") -> dict[str, Any]:
    """of: the schema of what is answered, where that is no text."""
    content = {"text/plain": {"schema": {"type": "string"}}} if text else _json(of)
    answers = {"200": {"description": "As asked.", "content": content}}
    if parameters and _TABLE in parameters:
        answers["404"] = {"description": "There is no such table.", "content": _json("Reason")}
    return {"summary": summary, "parameters": parameters or [], "responses": answers}


def _change(summary: str, code: int = 202, of: str = "Asked") -> dict[str, Any]:
    refusals = {"401": "The token is wrong or missing.", "403": "No token is configured.", "404": "No such table."}
    answers = {str(code): {"description": "As asked.", "content": _json(of)}}
    answers |= {number: {"description": words, "content": _json("Reason")} for number, words in refusals.items()}
    return {"summary": summary, "parameters": [_TABLE], "security": [{"token": []}], "responses": answers}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}
