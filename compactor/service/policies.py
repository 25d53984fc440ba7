"""Which rules hold for a table: [defaults] < [[match]] sections in their order < the table's own properties < its [[table]] section. Pure.

Each value remembers where it came from. A property that is wrong or not its owner's to set is passed over, and told: a table must not take
the service down, nor be left alone in silence. Only a `compactor.enabled` that cannot be understood is taken for a no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from compactor.service import readers as r
from compactor.service.config import Rule, ServiceConfig
from compactor.service.globs import matches
from compactor.service.rule_keys import OWNER_KEYS, RULE_KEYS, SERVICE_KEYS, check_value
from compactor.service.windows import Window
from compactor.settings import Settings

PROPERTY = "compactor."
QUIET_PERIOD_S = 900.0
_BUILT_IN = "built in"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePolicy:
    """What holds for one table. settings: of its runs. origins: for each key that a rule sets, where. ignored: properties of the table that
    were passed over, each with a sentence."""

    settings: Settings
    enabled: bool = True
    priority: float = 1.0
    group: str = "default"
    windows: tuple[Window, ...] = ()
    freshness_s: float | None = None
    min_gain_files: float = 1.0
    origins: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One key of a table's policy. value: as its rule has it, or as it is built in. hidden: rules that set it too and were overruled."""

    key: str
    value: object
    where: str
    hidden: tuple[str, ...] = ()


def policy_of(config: ServiceConfig, uri: str, properties: Mapping[str, str]) -> TablePolicy:
    """The policy for the table at `uri`, which has these properties of its own."""
    owner, ignored = _owner_rule(properties)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for rule in _rules(config, uri, owner):
        values.update(rule.values)
        origins.update(dict.fromkeys(rule.values, rule.where))
    runs = {key: value for key, value in values.items() if key not in SERVICE_KEYS}
    # Rounds come again: a lease that another holds is not waited for, and what others work on is left alone for a while.
    always = {"state": config.state, "lease": "on", "lease_wait": 0.0}
    settings = _settings(tuple(sorted({"quiet_period": QUIET_PERIOD_S, **config.run, **runs, **always}.items())))
    own = {key: SERVICE_KEYS[key](values[key]) for key in SERVICE_KEYS if key in values}
    named = {"freshness_s" if key == "freshness" else key: value for key, value in own.items()}
    return TablePolicy(settings=settings, origins=origins, ignored=ignored, **named)


@lru_cache(maxsize=4096)
def _settings(values: tuple[tuple[str, Any], ...]) -> Settings:
    """One value for all tables under the same rules: a fleet has far more tables than rules."""
    return Settings.model_validate(dict(values))


def explain_policy(config: ServiceConfig, uri: str, properties: Mapping[str, str]) -> list[Explained]:
    """Every key of the policy for the table, in the order of RULE_KEYS."""
    owner, _ = _owner_rule(properties)
    rules = _rules(config, uri, owner)
    found = []
    for key in RULE_KEYS:
        setting = [rule for rule in rules if key in rule.values]
        if setting:
            hidden = tuple(rule.where for rule in setting[:-1])
            found.append(Explained(key=key, value=setting[-1].values[key], where=setting[-1].where, hidden=hidden))
        else:
            found.append(Explained(key=key, value=_built_in(key), where=_BUILT_IN))
    return found


def _rules(config: ServiceConfig, uri: str, owner: Rule) -> list[Rule]:
    """Those that fit, the weakest first."""
    fitting = [rule for rule in config.matches if matches(uri, [rule.glob])]
    own = [config.tables[uri]] if uri in config.tables else []
    return [config.defaults, *fitting, owner, *own]


def _owner_rule(properties: Mapping[str, str]) -> tuple[Rule, tuple[str, ...]]:
    """What the table's own properties say, and what is wrong with some of them."""
    values: dict[str, object] = {}
    ignored = []
    for name, value in sorted(properties.items()):
        if not name.startswith(PROPERTY):
            continue
        key = name.removeprefix(PROPERTY)
        try:
            if key in RULE_KEYS and key not in OWNER_KEYS:
                raise r.Wrong(f"{name}: this is for the service's file to say, not for a table.")
            r.known_keys([key], OWNER_KEYS, "table property")
            check_value(key, value, name)
            values[key] = value
        except r.Wrong as wrong:
            ignored.append(str(wrong))
            if key == "enabled":
                values[key] = False  # whoever writes it wants most likely to be left alone
    return Rule(where="the table's own properties", values=values), tuple(ignored)


def _built_in(key: str) -> object:
    if key in SERVICE_KEYS:
        name = "freshness_s" if key == "freshness" else key
        return TablePolicy.__dataclass_fields__[name].default
    if key == "quiet_period":
        return QUIET_PERIOD_S
    return Settings.model_fields[key].default
