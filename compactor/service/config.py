"""What a service is told: where to look, what it may spend, and rules for tables. Values only; config_file.py makes them from TOML.

A rule is a set of keys with values as they were written (and found valid); policies.py lays the rules that fit a table over each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Some values and where they stand. `where`: for people, such as `[[match]] 2 "s3://lake/raw/**"`. glob: the tables it is for."""

    where: str
    values: Mapping[str, object]
    glob: str = "**"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSource:
    """Tables below a prefix. depth: folders that are looked into. include, exclude: globs over the tables' URIs."""

    uri: str
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    depth: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GlueSource:
    """Delta tables of an AWS Glue Data Catalog. databases: globs over their names; region: None means the SDK's own configuration."""

    databases: tuple[str, ...] = ("*",)
    region: str | None = None
    catalog_id: str | None = None
    endpoint_url: str | None = None
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSource:
    """Tables by name."""

    tables: tuple[str, ...]


Source = PrefixSource | GlueSource | ListSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent; None means no bound. A day is one of UTC; a window's spend ends when the table's windows have closed.

    shares: of each group of tables in what is spent, in proportion; a group that is not named has 1.
    """

    gb_hours_per_day: float | None = None
    money_per_day: float | None = None
    gb_hours_per_window: float | None = None
    money_per_window: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things are done. round_s: changes are looked for; discover_s: tables are looked for; reassess_s: a table is loaded anew
    though its log told of every change; parallel: tables at once; grace_s: for running tables after SIGTERM. traces: whether runs are told
    to OpenTelemetry."""

    round_s: float = 60.0
    discover_s: float = 900.0
    reassess_s: float = 86_400.0
    parallel: int = 2
    grace_s: float = 20.0
    traces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Where the service answers. token_file: of the bearer token that changes need; without one nothing can be changed over HTTP."""

    host: str = "127.0.0.1"
    port: int = 8340
    token_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A queue of S3 notifications, which saves asking every log. sweep_s: logs are asked all the same so often."""

    queue_url: str
    region: str | None = None
    endpoint_url: str | None = None
    sweep_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The whole file. state: a URI in object storage, where everything is kept that outlives the process."""

    state: str
    sources: tuple[Source, ...]
    pace: Pace = field(default_factory=Pace)
    budget: Budget = field(default_factory=Budget)
    http: Http | None = None
    events: Events | None = None
    run: Mapping[str, object] = field(default_factory=dict)
    defaults: Rule = field(default_factory=lambda: Rule(where="[defaults]", values={}))
    matches: tuple[Rule, ...] = ()
    tables: Mapping[str, Rule] = field(default_factory=dict)
