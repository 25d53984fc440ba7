"""What the API answers, as JSON schemas of its OpenAPI document. A test holds them against real answers."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_TRUTH: Schema = {"type": "boolean"}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _by_name(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _object(**properties: Schema) -> Schema:
    """All of them are there, and more may come."""
    return {"type": "object", "required": list(properties), "properties": properties}


def ref(name: str) -> Schema:
    """Where a schema of SCHEMAS stands in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


_SPEND = _object(gb_hours=_NUMBER, money=_NUMBER)
_LAST_RUN = _object(run_id=_TEXT, status=_TEXT, why=_or_null(_TEXT), version=_or_null(_WHOLE), ended_ms=_WHOLE)
_BOUNDS = ("gb_hours_per_day", "money_per_day", "gb_hours_per_window", "money_per_window")
SCHEMAS: dict[str, Schema] = {
    "Table": _object(
        format_version=_WHOLE,
        table=_TEXT,
        state=_TEXT,
        why=_TEXT,
        place=_or_null(_WHOLE),
        version=_or_null(_WHOLE),
        files=_or_null(_WHOLE),
        bytes=_or_null(_WHOLE),
        target_bytes=_or_null(_WHOLE),
        saves_files=_WHOLE,
        saves_requests=_WHOLE,
        deleted_bytes=_WHOLE,
        hot_files=_WHOLE,
        waited_s=_NUMBER,
        predicted=_object(gb_hours=_NUMBER, money=_NUMBER, task_s=_NUMBER),
        group=_or_null(_TEXT),
        priority=_or_null(_NUMBER),
        ignored_properties=_list(_TEXT),
        last_run=_or_null(_LAST_RUN),
    ),
    "Tables": _object(format_version=_WHOLE, tables=_list(ref("Table")), total=_WHOLE, offset=_WHOLE),
    "Overview": _object(
        format_version=_WHOLE,
        replica=_TEXT,
        replicas=_list(_TEXT),
        state=_TEXT,
        ready=_TRUTH,
        rounds=_WHOLE,
        tables=_WHOLE,
        by_state=_by_name(_WHOLE),
        running=_by_name(_TEXT),
        budget=_object(**{name: _or_null(_NUMBER) for name in _BOUNDS}, shares=_by_name(_NUMBER)),
        spent_today=_SPEND,
        spent_by_group=_by_name(_SPEND),
        neighbours=_list(_object(uri=_TEXT, reason=_TEXT, why=_TEXT)),
        faults=_list(_TEXT),
        problems=_list(_TEXT),
    ),
    "Runs": _object(format_version=_WHOLE, table=_TEXT, runs=_list({"type": "object"})),
    "Plan": {"type": "object", "description": "As `compactor plan --json` prints it."},
    "Asked": _object(format_version=_WHOLE, table=_TEXT, asked={"type": "string", "enum": ["pause", "resume", "run-now"]}),
    "Reason": _object(reason=_TEXT),
}
