"""Typed settings and their one loader: TOML file < environment (`COMPACTOR_…`) < flags.

Settings are what people write; they become the core's own values by the methods `policy()` and `storage()`. Nothing here holds a secret:
credentials are resolved by each process from its own surroundings. An unknown key or a bad value is a SettingsError that names the key
as its writer spelled it (`target_size` in the file, `COMPACTOR_TARGET_SIZE`, `--target-size`) and says what is wanted.

Must never: read the process's environment by itself, or fall back silently from a value that it does not understand.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from compactor.errors import SettingsError, UsageError
from compactor.model.commit import CommitBounds
from compactor.model.engine import COPIED_BYTES, EngineChoice
from compactor.model.policy import Policy
from compactor.model.predicate import Predicate
from compactor.model.storage import StorageOptions
from compactor.units import parse_bytes, parse_seconds

ENV_PREFIX = "COMPACTOR_"
_NOT_SETTINGS = ("config", "debug")  # read by the command line itself
_HOUR_S = 3600.0
_SERVICE_LINKS = ("port_", "service_")  # Kubernetes invents COMPACTOR_PORT… and COMPACTOR_SERVICE_… beside a Service of that name


def _size(value: object) -> object:
    """Bytes; raises ValueError, as pydantic wants it."""
    if value is None:
        return None
    try:
        size = parse_bytes(value)  # type: ignore[arg-type]
    except UsageError as error:
        raise ValueError(str(error)) from None
    if size < 1:
        raise ValueError(f'"{value}" is too small; write a size such as "256MiB" or "1GB".')
    return size


def _duration(value: object) -> object:
    try:
        return parse_seconds(value)  # type: ignore[arg-type]
    except UsageError as error:
        raise ValueError(str(error)) from None


def _at_most_an_hour(value: float | str) -> float | str:
    if parse_seconds(value) > _HOUR_S:
        raise ValueError(f'"{value}" is too long: what is finished is committed at least every hour.')
    return value


def _endpoint(value: str | None) -> str | None:
    if value is not None and "@" in value:  # never quoted: it is told to everybody who sees the settings
        raise ValueError("an endpoint must not hold credentials; leave them to the environment or a profile.")
    if value is not None and not value.startswith(("http://", "https://")):
        raise ValueError(f'"{value}" is not an endpoint such as "https://minio.example:9000".')
    return value


def _predicate(value: str | None) -> str | None:
    if value is not None:
        try:
            _parse_where(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return value


def _parse_where(text: str) -> Predicate:
    from compactor.planning.where import parse  # brings Arrow along, which settings without a predicate need not pay for

    return parse(text)


Size = Annotated[int | str, BeforeValidator(_size)]
Duration = Annotated[float | str, BeforeValidator(_duration)]
Count = Annotated[int, Field(ge=1)]


class _BadKey(SettingsError):
    """A SettingsError that still knows its key, so that the loader can spell it as its writer did."""

    def __init__(self, key: str, problem: str, near: str | None = None) -> None:
        """`near`: the valid key that an unknown one resembles."""
        super().__init__(f"{key}: {problem}{f'; did you mean {near}?' if near else ''}")
        self.key = key
        self.problem = problem
        self.near = near

    def spelled(self, spell: Callable[[str], str]) -> SettingsError:
        """The same error in its writer's spelling of keys."""
        near = f"; did you mean {spell(self.near).rpartition(': ')[2]}?" if self.near else ""  # without the file, which was named
        return SettingsError(f"{spell(self.key)}: {self.problem}{near}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.key, self.problem, self.near)


class Settings(BaseSettings):
    """Everything that a user may choose. Frozen; sizes in bytes and durations in seconds once validated, however they were written.

    Policy (see model/policy.py): target_size, small_ratio, oversized_ratio, min_input_files, max_deleted_ratio, max_encode_debt (without
    effect where the engine would copy small row groups again), min_age, quiet_period, where, max_groups, max_bytes,
    max_write_amplification, force_rewrite, purge.
    Execution: engine (`stitch` copies encoded row groups wherever that is possible, `fuse` merges small files page by page, `transcode`
    decodes everything, `auto` copies row groups of at least copy_row_groups bytes, merges small files and decodes the rest),
    verify_decompress (whether what is kept compressed of merged files is decompressed once), proof (how outputs are held against inputs
    before a group may be committed), proof_reader (who reads them for that: `auto` natively where that is possible, and Arrow a little of
    the same; `arrow` Arrow alone), commit_files, commit_bytes and commit_interval (what one commit removes at most, and how long finished
    groups wait for theirs), timings (whether a run says where its time went), executor (`auto` takes Ray when `ray_address` is set),
    ray_address (`local` starts a cluster for the run), memory (all that a run may use on this machine, or what a task may ask for on a
    cluster), parallelism; compute_region (where workers run: reads of a bucket elsewhere are priced) and prices (a price list, TOML or
    JSON, instead of prices.toml in this package).
    Tables: state (a URI for intents and journals; unset: `_compactor/` inside each table), lease (whether a run takes the table's lease
    first; unset: a service does, a single run does not) and lease_wait (how long a single run waits for one that is held), arbiter (who
    decides the next version on S3 when Spark writes too), dynamodb_table, dynamodb_region and dynamodb_endpoint (where the arbiter
    `dynamodb` is), rivals (what to do about writers known to damage compacted tables: `warn` or `refuse`), accept_damage (compact a table
    that such a writer has damaged), allow_external_paths (read files that the log names outside the table's folder).
    Storage (see model/storage.py): endpoint_url … anonymous.

    Raises SettingsError for an unknown key or a bad value.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, protected_namespaces=())

    target_size: Size | None = None
    small_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.75
    oversized_ratio: Annotated[float, Field(gt=1)] = 1.8
    min_input_files: Annotated[int, Field(ge=2)] = 5
    max_deleted_ratio: Annotated[float, Field(ge=0, le=1)] = 0.05
    max_encode_debt: Annotated[float, Field(ge=0, le=1)] = 1.0
    min_age: Duration = 0.0
    quiet_period: Duration | None = None
    where: Annotated[str | None, AfterValidator(_predicate)] = None
    max_groups: Count | None = None
    max_bytes: Size | None = None
    max_write_amplification: Count = 2
    force_rewrite: bool = False
    purge: bool = False

    engine: Literal["auto", "fuse", "stitch", "transcode"] = "auto"
    copy_row_groups: Size = COPIED_BYTES
    verify_decompress: bool = False
    proof: Literal["counts", "full"] = "full"
    proof_reader: Literal["auto", "arrow"] = "auto"
    commit_files: Count = 25_000
    commit_bytes: Size = 64 * 1024**3
    commit_interval: Annotated[float | str, BeforeValidator(_duration), AfterValidator(_at_most_an_hour)] = 900.0
    timings: bool = False
    executor: Literal["auto", "local", "ray", "serial"] = "auto"
    ray_address: str | None = None
    memory: Size | None = None
    parallelism: Count | None = None
    compute_region: str | None = None
    prices: str | None = None

    state: str | None = None
    lease: Literal["on", "off"] | None = None
    lease_wait: Duration = 100.0
    arbiter: Literal["conditional-put", "dynamodb"] | None = None
    dynamodb_table: str | None = None
    dynamodb_region: str | None = None
    dynamodb_endpoint: Annotated[str | None, AfterValidator(_endpoint)] = None
    rivals: Literal["warn", "refuse"] = "warn"
    accept_damage: bool = False
    allow_external_paths: bool = False

    endpoint_url: Annotated[str | None, AfterValidator(_endpoint)] = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    requester_pays: bool = False
    server_side_encryption: str | None = None
    sse_kms_key_id: str | None = None
    sse_customer_key_file: str | None = None
    path_style: bool | None = None
    acl: str | None = None
    storage_class: str | None = None
    anonymous: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller says: a library that reads the environment unasked surprises. `load_settings` is asked."""
        return (init_settings,)

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_sentence(cls, values: Any, handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        try:
            return handler(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = str(first["loc"][0]) if first["loc"] else "settings"
            if first["type"] == "extra_forbidden":
                near = difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.5)
                raise _BadKey(key, "there is no such settings key" + ("" if near else "."), next(iter(near), None)) from None
            raise _BadKey(key, _problem(dict(first))) from None

    def policy(self) -> Policy:
        """The rules of planning. `target_bytes` is None when the table's own target is to be used."""
        return Policy(
            target_bytes=None if self.target_size is None else parse_bytes(self.target_size),
            small_ratio=self.small_ratio,
            oversized_ratio=self.oversized_ratio,
            min_input_files=self.min_input_files,
            max_deleted_ratio=self.max_deleted_ratio,
            max_encode_debt=self.max_encode_debt if self.engine_choice.pays_debt else 1.0,
            min_age_s=parse_seconds(self.min_age),
            quiet_s=parse_seconds(self.quiet_period or 0.0),
            where=None if self.where is None else _parse_where(self.where),
            max_groups=self.max_groups,
            max_bytes=None if self.max_bytes is None else parse_bytes(self.max_bytes),
            max_write_amplification=self.max_write_amplification,
            force_rewrite=self.force_rewrite,
            purge=self.purge,
        )

    def storage(self) -> StorageOptions:
        """How to reach the store, without secrets."""
        return StorageOptions(
            endpoint_url=self.endpoint_url,
            region=self.region,
            profile=self.profile,
            role_arn=self.role_arn,
            external_id=self.external_id,
            requester_pays=self.requester_pays,
            server_side_encryption=self.server_side_encryption,
            sse_kms_key_id=self.sse_kms_key_id,
            sse_customer_key_file=self.sse_customer_key_file,
            path_style=self.path_style,
            acl=self.acl,
            storage_class=self.storage_class,
            anonymous=self.anonymous,
        )

    def bounds(self) -> CommitBounds:
        """When finished groups are committed."""
        interval_s = parse_seconds(self.commit_interval)
        return CommitBounds(files=self.commit_files, bytes=parse_bytes(self.commit_bytes), interval_s=interval_s)

    @property
    def engine_choice(self) -> EngineChoice:
        """Which engine takes a row group."""
        return EngineChoice(mode=self.engine, copied_bytes=parse_bytes(self.copy_row_groups), verify=self.verify_decompress)

    @property
    def memory_bytes(self) -> int | None:
        """The run's memory bound in bytes; None lets the executor choose a safe share of the machine."""
        return None if self.memory is None else parse_bytes(self.memory)


def load_settings(
    config_file: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Settings from a TOML file, an environment and flags, later ones winning.

    config_file: keys at the top level, as the fields of Settings are named.
    env: a whole environment (`os.environ`); only its `COMPACTOR_…` variables are looked at, empty ones count as unset.
    flags: keys as the fields are named; None means that the flag was not given.
    Raises SettingsError naming the key, in its writer's spelling; or the file when it cannot be read or is no TOML.
    """
    path = None if config_file is None else Path(config_file)
    layers: list[tuple[dict[str, object], Callable[[str], str]]] = [
        ({} if path is None else _read_toml(path), lambda key: f"{path}: {key}"),
        (_from_environment(env or {}), lambda key: f"{ENV_PREFIX}{key.upper()}"),
        ({key: value for key, value in (flags or {}).items() if value is not None}, lambda key: f"--{key.replace('_', '-')}"),
    ]
    merged: dict[str, object] = {}
    for values, spell in layers:
        _check(values, spell)
        merged.update(values)
    return Settings.model_validate(merged)


def _check(values: dict[str, object], spell: Callable[[str], str]) -> None:
    """Each layer must be right by itself, so that a message can say where a bad value stands, even one that a later layer hides."""
    try:
        Settings.model_validate(values)
    except _BadKey as error:
        raise error.spelled(spell) from None


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {(error.strerror or type(error).__name__).lower()}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not TOML: {error}.") from None


def _from_environment(env: Mapping[str, str]) -> dict[str, object]:
    named = {name[len(ENV_PREFIX) :].lower(): value for name, value in env.items() if name.startswith(ENV_PREFIX) and value != ""}
    return {key: value for key, value in named.items() if key not in _NOT_SETTINGS and not f"{key}_".startswith(_SERVICE_LINKS)}


def _problem(error: dict[str, Any]) -> str:
    """What is wrong and what is wanted, from one pydantic error."""
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "value_error":
        return str(context["error"])
    return f'"{value}" is not {_wanted(kind, context)}.'


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return f"one of {context['expected']}".replace("'", "")
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if kind in bounds:
        words = {"gt": "a number above", "ge": "a number of at least", "lt": "a number below", "le": "a number of at most"}
        return f"{words[bounds[kind]]} {context[bounds[kind]]:g}"
    for start, wanted in (("bool", "true or false"), ("int", "a whole number"), ("float", "a number"), ("string", "a text")):
        if kind.startswith(start):
            return wanted
    return f"valid ({kind.replace('_', ' ')})"
