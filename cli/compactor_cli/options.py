"""The options that commands share: one for each settings key, so that a TOML file, the environment and flags speak the same language.

`takes_flags` gives a command the options of some panels as one argument `flags`. Values go unparsed to compactor.settings, which validates
all three sources alike and names the key.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from compactor.settings import Settings

Panel = Literal["Policy", "Execution", "Table", "Storage"]
Uri = Annotated[str, typer.Argument(metavar="URI", help="A table: s3://…, gs://…, az://… or a local path.")]
EVERYTHING: tuple[Panel, ...] = ("Policy", "Execution", "Table", "Storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the shared options said. `values` has only those that were given, by settings key."""

    config: Path | None
    as_json: bool
    values: dict[str, object]

    def settings(self) -> Settings:
        """The settings in force: file < environment < flags. Raises SettingsError."""
        from compactor.settings import load_settings

        return load_settings(self.config, os.environ, self.values)


@dataclass(frozen=True, slots=True)
class _Flag:
    """One shared option; `shape` is how its value is shown in the help, None for a switch (--x / --no-x)."""

    key: str
    panel: Panel
    shape: str | None
    help: str


_FLAGS = (
    _Flag("target_size", "Policy", "SIZE", "File size to aim at. Default: the table's delta.targetFileSize, else 256MiB."),
    _Flag("small_ratio", "Policy", "NUMBER", "Below this share of the target a file is small. Default: 0.75."),
    _Flag("oversized_ratio", "Policy", "NUMBER", "Above this multiple of the target a file is oversized. Default: 1.8."),
    _Flag("min_input_files", "Policy", "N", "Fewer small files in a partition are left alone. Default: 5."),
    _Flag("max_deleted_ratio", "Policy", "NUMBER", "A file with a larger share of deleted rows is rewritten. Default: 0.05."),
    _Flag(
        "max_encode_debt", "Policy", "NUMBER", "A file with a larger share in small row groups that were copied is rewritten. Default: 1."
    ),
    _Flag("min_age", "Policy", "TIME", "Files that landed more recently wait, for example 15m. Default: 0."),
    _Flag("quiet_period", "Policy", "TIME", "Partitions that others wrote to more recently wait. Default: 15m for serve, else 0."),
    _Flag("where", "Policy", "PREDICATE", "Only these partitions, for example \"date = '2026-01-01' AND region IN ('eu', 'us')\"."),
    _Flag("max_groups", "Policy", "N", "Rewrite at most this many groups in one run."),
    _Flag("max_bytes", "Policy", "SIZE", "Read at most this much in one run."),
    _Flag("max_write_amplification", "Policy", "N", "Rewrite a byte at most this often. Default: 2."),
    _Flag("force_rewrite", "Policy", None, "Rewrite every file once, whatever its size."),
    _Flag("purge", "Policy", None, "Rewrite just the files that hold deleted rows or dropped columns, all of them, even single ones."),
    _Flag(
        "engine",
        "Execution",
        "auto|fuse|stitch|transcode",
        "Merge small files page by page, copy row groups, or decode everything. Default: auto.",
    ),
    _Flag("copy_row_groups", "Execution", "SIZE", "Row groups of at least this many encoded bytes count as large. Default: 20MiB."),
    _Flag("verify_decompress", "Execution", None, "Decompress once what merged files keep compressed, so that damage in it is refused."),
    _Flag("proof", "Execution", "counts|full", "Before a commit, compare only row counts, or every row, read again. Default: full."),
    _Flag(
        "proof_reader",
        "Execution",
        "auto|arrow",
        "Who reads for the proof: natively, Arrow as a witness, or Arrow alone. Default: auto.",
    ),
    _Flag("commit_files", "Execution", "N", "Remove at most this many files with one commit; a group may have more. Default: 25000."),
    _Flag("commit_bytes", "Execution", "SIZE", "Remove at most this much with one commit; a group may have more. Default: 64GiB."),
    _Flag("commit_interval", "Execution", "TIME", "Commit what is finished at least this often, 1h at most. Default: 15m."),
    _Flag("timings", "Execution", None, "Say where the time of the run went, by stages."),
    _Flag(
        "executor",
        "Execution",
        "auto|local|ray|serial",
        "Where groups are rewritten; auto takes Ray when an address is set. Default: auto.",
    ),
    _Flag("ray_address", "Execution", "ADDRESS", "A Ray cluster, or local to start one for this run."),
    _Flag("memory", "Execution", "SIZE", "Memory that the run may use here, or each task on a Ray cluster. Default: a safe share."),
    _Flag("parallelism", "Execution", "N", "Groups rewritten at the same time. Default: as many as CPUs and memory allow."),
    _Flag("compute_region", "Execution", "NAME", "Where the workers run; traffic to a bucket elsewhere is predicted and priced."),
    _Flag("prices", "Execution", "FILE", "A price list (TOML or JSON) for predictions. Default: list prices of S3 in us-east-1."),
    _Flag("state", "Table", "URI", "Where intents and journals are kept. Default: _compactor/ inside the table."),
    _Flag("lease", "Table", "on|off", "Take the table's lease first, so that two compactors do not work in vain. Default: on for serve."),
    _Flag("lease_wait", "Table", "TIME", "How long a run waits for a lease that another holds; serve never does. Default: 100s."),
    _Flag(
        "arbiter",
        "Table",
        "conditional-put|dynamodb",
        "How every writer of the table on S3 takes a version: by conditional put, or through Spark's DynamoDB table.",
    ),
    _Flag("dynamodb_table", "Table", "NAME", "The DynamoDB table of that arbiter. Default: delta_log."),
    _Flag("dynamodb_region", "Table", "NAME", "Region of that table. Default: us-east-1, as Spark's."),
    _Flag("dynamodb_endpoint", "Table", "URL", "An endpoint for it that is not AWS's own."),
    _Flag("rivals", "Table", "warn|refuse", "What to do about writers known to damage compacted tables. Default: warn."),
    _Flag("accept_damage", "Table", None, "Compact a table that such a writer has damaged, and try files again that runs found damaged."),
    _Flag("allow_external_paths", "Table", None, "Read files that the log names outside the table's folder (shallow clones)."),
    _Flag("endpoint_url", "Storage", "URL", "An S3-compatible endpoint."),
    _Flag("region", "Storage", "NAME", "Region of the bucket. Default: discovered."),
    _Flag("profile", "Storage", "NAME", "Profile of the AWS configuration."),
    _Flag("role_arn", "Storage", "ARN", "Role to assume first."),
    _Flag("external_id", "Storage", "ID", "External id for that role."),
    _Flag("requester_pays", "Storage", None, "Accept the charges of a requester-pays bucket."),
    _Flag("server_side_encryption", "Storage", "MODE", "Encryption to ask for, for example AES256 or aws:kms."),
    _Flag("sse_kms_key_id", "Storage", "KEY", "KMS key to encrypt with."),
    _Flag("sse_customer_key_file", "Storage", "FILE", "File with a key of your own (SSE-C; 32 bytes in base64) that all objects have."),
    _Flag("path_style", "Storage", None, "Address buckets in the path instead of the host name."),
    _Flag("acl", "Storage", "NAME", "Canned ACL for new objects."),
    _Flag("storage_class", "Storage", "NAME", "Storage class for new data files."),
    _Flag("anonymous", "Storage", None, "Send unsigned requests (public buckets)."),
)


POLICY = frozenset(flag.key for flag in _FLAGS if flag.panel == "Policy")
"""Keys of the options that decide what is planned."""
_SHAPES = {flag.key: flag.shape for flag in _FLAGS}


def shape_of(key: str) -> str | None:
    """How the value of a key is written: `SIZE`, `TIME`, …; None for switches and for what is no option."""
    return _SHAPES.get(key)


def takes_flags(panels: Sequence[Panel] = EVERYTHING) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the parameter `flags: Flags` of a command by the shared options of these panels, and by --config and --json."""
    chosen = [flag for flag in _FLAGS if flag.panel in panels]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [parameter for name, parameter in inspect.signature(command, eval_str=True).parameters.items() if name != "flags"]
        shared = [_CONFIG, _JSON, *(_parameter(flag) for flag in chosen)]

        @functools.wraps(command)
        def called(**given: Any) -> Any:
            values = {flag.key: given.pop(flag.key) for flag in chosen}
            flags = Flags(
                config=given.pop("config"),
                as_json=given.pop("as_json"),
                values={key: value for key, value in values.items() if value is not None},
            )
            return command(flags=flags, **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [parameter.replace(kind=keyword) for parameter in own] + shared
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorate


def _parameter(flag: _Flag) -> inspect.Parameter:
    name = flag.key.replace("_", "-")
    spelling = f"--{name}" if flag.shape else f"--{name}/--no-{name}"
    option = typer.Option(spelling, metavar=flag.shape, help=flag.help, rich_help_panel=flag.panel, show_default=False)
    kind: Any = str | None if flag.shape else bool | None
    return inspect.Parameter(flag.key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


_CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE.toml", envvar="COMPACTOR_CONFIG", help="Settings file; the environment and flags win over it."
        ),
    ],
)
_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")],
)
