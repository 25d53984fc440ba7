"""Makes a ServiceConfig from a TOML file. Everything is checked before anything is used.

The first mistake is a SettingsError that names the file, the section and the key, and for an unknown key the nearest one that there is.

    state = "s3://lake-state/compactor"      [service] [run] [budget] [http] [events]      [[source]] …
    [defaults]   [[match]] glob = …   [[table]] uri = …       rules for tables: see RULE_KEYS

Must never: touch the network, or fall back silently from a value that it does not understand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compactor.errors import SettingsError, UsageError
from compactor.service import readers as r
from compactor.service.config import Budget, Events, GlueSource, Http, ListSource, Pace, PrefixSource, Rule, ServiceConfig, Source
from compactor.service.rule_keys import RUN_KEYS, check_rule
from compactor.storage import normalise_uri

_TOP = ("state", "service", "run", "budget", "http", "events", "source", "defaults", "match", "table")

_PACE: Mapping[str, tuple[str, r.Reader]] = {
    "round": ("round_s", r.duration(at_least_s=1)),
    "discover": ("discover_s", r.duration(at_least_s=1)),
    "reassess": ("reassess_s", r.duration(at_least_s=60)),
    "parallel": ("parallel", r.whole(1)),
    "grace": ("grace_s", r.duration()),
    "traces": ("traces", r.truth),
}
_BUDGET: Mapping[str, tuple[str, r.Reader]] = {
    **{key: (key, r.number(above=0)) for key in ("gb_hours_per_day", "money_per_day", "gb_hours_per_window", "money_per_window")},
    "shares": ("shares", r.numbers_by_name(above=0)),
}
_HTTP: Mapping[str, tuple[str, r.Reader]] = {
    "host": ("host", r.text),
    "port": ("port", r.whole(0, 65535)),
    "token_file": ("token_file", r.text),
}
_EVENTS: Mapping[str, tuple[str, r.Reader]] = {
    "queue_url": ("queue_url", r.text),
    "region": ("region", r.text),
    "endpoint_url": ("endpoint_url", r.text),
    "sweep": ("sweep_s", r.duration(at_least_s=1)),
}
_FILTERS: Mapping[str, tuple[str, r.Reader]] = {"include": ("include", r.texts), "exclude": ("exclude", r.texts)}
_PREFIX: Mapping[str, tuple[str, r.Reader]] = {"prefix": ("uri", r.text), "depth": ("depth", r.whole(0, 64)), **_FILTERS}
_GLUE: Mapping[str, tuple[str, r.Reader]] = {
    "glue": ("databases", r.texts),
    "region": ("region", r.text),
    "catalog_id": ("catalog_id", r.text),
    "endpoint_url": ("endpoint_url", r.text),
    **_FILTERS,
}
_LIST: Mapping[str, tuple[str, r.Reader]] = {"tables": ("tables", r.texts)}


def read_config(path: Path | str) -> ServiceConfig:
    """The service that the file describes. Raises SettingsError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (getattr(error, "strerror", None) or type(error).__name__).lower()
        raise SettingsError(f"The service file {path} cannot be read: {why}.") from None
    return parse_config(text, str(path))


def read_rules(path: Path | str) -> ServiceConfig:
    """As `read_config`; or, from a file that names no state, a service whose [defaults] are the file's keys: rules to be tried out."""
    try:
        body = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return read_config(path)
    if "state" in body:
        return read_config(path)
    try:
        rule = Rule(where=str(path), values=check_rule(body, ""))
    except r.Wrong as wrong:
        raise SettingsError(f"{path}: {str(wrong).strip()}") from None
    return ServiceConfig(state="memory://what-if", sources=(), defaults=rule)


def parse_config(text: str, name: str) -> ServiceConfig:
    """As `read_config`, from the file's text; `name` is what messages call it. Raises SettingsError."""
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The service file {name} is not TOML: {error}.") from None
    try:
        return _config(body)
    except r.Wrong as wrong:
        raise SettingsError(f"{name}: {wrong}") from None


def _config(body: Mapping[str, Any]) -> ServiceConfig:
    r.known_keys(body, _TOP, "")
    if "state" not in body:
        raise r.Wrong("state: it is required: a URI, best in object storage, where the service keeps what outlives its container.")
    sources = tuple(_source(value, place) for place, value in _each(body, "source"))
    if not sources and not body.get("table"):
        raise r.Wrong("source: at least one [[source]] is needed: `prefix`, `glue` or `tables`.")
    tables = {}
    for place, value in _each(body, "table"):
        uri = _own(value, "uri", place)
        if uri in tables:
            raise r.Wrong(f'{place} uri: "{uri}" has two sections.')
        tables[uri] = Rule(where=f"{place} {uri}", values=check_rule(_without(value, "uri"), place), glob=uri)
    return ServiceConfig(
        state=_uri(r.text(body["state"]), "state"),
        sources=(*sources, *([ListSource(tables=tuple(tables))] if tables else [])),
        pace=Pace(**_section(body, "service", _PACE)),
        budget=Budget(**_section(body, "budget", _BUDGET)),
        http=Http(**_section(body, "http", _HTTP)) if "http" in body else None,
        events=_events(body) if "events" in body else None,
        run=check_rule(_table(body.get("run", {}), "[run]"), "[run]", RUN_KEYS),
        defaults=Rule(where="[defaults]", values=check_rule(_table(body.get("defaults", {}), "[defaults]"), "[defaults]")),
        matches=tuple(_match(value, place) for place, value in _each(body, "match")),
        tables=tables,
    )


def _match(value: Mapping[str, Any], place: str) -> Rule:
    if "glob" not in value:
        raise r.Wrong(f"{place} glob: it is required: the tables that the section is for.")
    glob = r.read(value["glob"], r.text, f"{place} glob")
    return Rule(where=f'{place} "{glob}"', glob=glob, values=check_rule(_without(value, "glob"), place))


def _source(value: Mapping[str, Any], place: str) -> Source:
    kinds = [key for key in ("prefix", "glue", "tables") if key in value]
    if len(kinds) != 1:
        raise r.Wrong(f"{place}: a source has exactly one of `prefix`, `glue` and `tables`.")
    if kinds == ["prefix"]:
        found = _fields(value, _PREFIX, place)
        return PrefixSource(**{**found, "uri": _uri(found["uri"], f"{place} prefix")})
    if kinds == ["glue"]:
        return GlueSource(**_fields(value, _GLUE, place))
    found = _fields(value, _LIST, place)
    return ListSource(tables=tuple(_uri(uri, f"{place} tables") for uri in found["tables"]))


def _events(body: Mapping[str, Any]) -> Events:
    found = _section(body, "events", _EVENTS)
    if "queue_url" not in found:
        raise r.Wrong("[events] queue_url: it is required.")
    return Events(**found)


def _section(body: Mapping[str, Any], name: str, keys: Mapping[str, tuple[str, r.Reader]]) -> dict[str, Any]:
    return _fields(_table(body.get(name, {}), f"[{name}]"), keys, f"[{name}]")


def _fields(value: Mapping[str, Any], keys: Mapping[str, tuple[str, r.Reader]], place: str) -> dict[str, Any]:
    r.known_keys(value, tuple(keys), place)
    return {keys[key][0]: r.read(found, keys[key][1], f"{place} {key}") for key, found in value.items()}


def _each(body: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The sections of an array of tables, each with what messages call it."""
    sections = body.get(name, [])
    if not isinstance(sections, list):
        raise r.Wrong(f"{name}: write [[{name}]], in double brackets: there may be several.")
    return [(f"[[{name}]] {number}", _table(section, f"[[{name}]] {number}")) for number, section in enumerate(sections, 1)]


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise r.Wrong(f"{place}: this is a section with keys of its own.")
    return value


def _own(value: Mapping[str, Any], key: str, place: str) -> str:
    if key not in value:
        raise r.Wrong(f"{place} {key}: it is required.")
    return _uri(r.read(value[key], r.text, f"{place} {key}"), f"{place} {key}")


def _without(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: found for name, found in value.items() if name != key}


def _uri(uri: str, place: str) -> str:
    try:
        return normalise_uri(uri)
    except UsageError as error:
        raise r.Wrong(f"{place}: {error}") from None
