"""`compactor config check` and `compactor config explain`: the file of a service, before anything rests on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.guard import guarded
from compactor_cli.options import shape_of
from compactor_cli.output import print_json, print_line
from compactor_cli.session import failure_object
from compactor_cli.signals import Signals

if TYPE_CHECKING:
    from compactor.service.config import ServiceConfig
    from compactor.service.policies import Explained, TablePolicy

config = typer.Typer(help="The file of a service: whether it is right, and what it says of a table.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The file of a service.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]


@config.command()
def check(file: File, as_json: Json = False) -> int:
    """Whether the file is right: every section, key and value. Nothing is opened but the file. Exit code 2 names the first mistake."""

    def act() -> int:
        from compactor.service.config_file import read_config

        found = read_config(file)
        if as_json:
            print_json(_counts(found))
        else:
            rules = 1 + len(found.matches) + len(found.tables)
            print_line(f"{file} is right: {len(found.sources)} sources, {rules} sections of rules, state at {found.state}.")
        return 0

    return guarded(act, Signals(), lambda failure: print_json(failure_object(failure)) if as_json else None)


@config.command()
def explain(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A table.")],
    file: Annotated[Path, typer.Option("--config", metavar="FILE.toml", help="The file of a service.")],
    offline: Annotated[bool, typer.Option("--offline", help="Leave out the table's own properties, which are in its log.")] = False,
    as_json: Json = False,
) -> int:
    """Which rules hold for a table, key by key, and which section of the file, or property of the table, each comes from."""

    def act() -> int:
        from compactor.service.config_file import read_config
        from compactor.service.policies import explain_policy, policy_of
        from compactor.storage import normalise_uri

        found, table = read_config(file), normalise_uri(uri)
        properties = {} if offline else _properties(table, found)
        policy = policy_of(found, table, properties)
        keys = explain_policy(found, table, properties)
        if as_json:
            print_json(_explained(table, policy, keys))
        else:
            _print(keys, policy)
        return 0

    return guarded(act, Signals(), lambda failure: print_json(failure_object(failure)) if as_json else None)


def _properties(uri: str, found: ServiceConfig) -> dict[str, str]:
    import compactor
    from compactor.service.policies import policy_of

    return dict(compactor.load(uri, settings=policy_of(found, uri, {}).settings).properties)


def _print(keys: list[Explained], policy: TablePolicy) -> None:
    width = max(len(item.key) for item in keys)
    for item in keys:
        over = f"  (over {', '.join(item.hidden)})" if item.hidden else ""
        print_line(f"{item.key:<{width}}  {_shown(item.key, item.value):<24}  {item.where}{over}")
    for sentence in policy.ignored:
        print_line(f"passed over: {sentence}")


def _shown(key: str, value: object) -> str:
    from compactor.units import format_bytes, format_seconds

    kind = "TIME" if key == "freshness" else shape_of(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and kind in ("SIZE", "TIME"):
        return format_bytes(value) if kind == "SIZE" else format_seconds(value)
    if value is None or value == ():
        return "-"
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _counts(found: ServiceConfig) -> dict[str, object]:
    return {
        "format_version": 1,
        "kind": "config",
        "state": found.state,
        "sources": len(found.sources),
        "matches": len(found.matches),
        "tables": len(found.tables),
    }


def _explained(table: str, policy: TablePolicy, keys: list[Explained]) -> dict[str, object]:
    values = [{"key": item.key, "value": item.value, "where": item.where, "hidden": list(item.hidden)} for item in keys]
    return {
        "format_version": 1,
        "kind": "policy",
        "table": table,
        "enabled": policy.enabled,
        "values": values,
        "ignored": list(policy.ignored),
    }
