"""`compactor vacuum`: delete files that nobody can need any more; unless told otherwise, only show them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import counted, print_json, print_line
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from compactor.model.vacuum import OnSwept, Swept, Vacuumed

Retention = Annotated[
    str | None, typer.Option("--retention", metavar="TIME", help="Keep what is younger, for example 7d. Default: the table's own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only show the files. The default; --no-dry-run deletes them.")]
AllowShort = Annotated[
    bool, typer.Option("--allow-short-retention", help="Allow a retention below the table's: no reader or writer may be at work.")
]
_MOST_PATHS = 20


@takes_flags(("Table", "Storage"))
def vacuum(uri: Uri, flags: Flags, retention: Retention = None, dry_run: DryRun = True, allow_short_retention: AllowShort = False) -> int:
    """Delete files that no version within the retention needs, and no run that has not ended. Shows them only, unless --no-dry-run."""
    return conduct(lambda _: _vacuum(uri, flags, retention, dry_run, allow_short_retention), as_json=flags.as_json)


def _vacuum(uri: str, flags: Flags, retention: str | None, dry_run: bool, allow_short: bool) -> int:
    import compactor
    from compactor_cli.jsonable_maintenance import vacuum_object

    with _bar() as on_swept:
        found = compactor.vacuum(
            uri,
            settings=flags.settings(),
            retention=retention,
            dry_run=dry_run,
            allow_short_retention=allow_short,
            on_swept=on_swept,
        )
    if flags.as_json:
        print_json(vacuum_object(found))
        return 0
    for line in _lines(found):
        print_line(line)
    return 0


def _lines(found: Vacuumed) -> list[str]:
    from compactor.units import format_bytes, format_seconds

    shown = found.paths[:_MOST_PATHS] if found.dry_run else ()
    more = len(found.paths) - len(shown)
    did = "would be deleted" if found.dry_run else "were deleted"
    lines = [*shown, *([f"and {more:,} more"] if found.dry_run and more else [])]
    young = f"; {counted(found.young_files, 'file')} ({format_bytes(found.young_bytes)}) that nobody names are younger"
    kept = f"; {counted(found.replaced_files, 'file')} ({format_bytes(found.replaced_bytes)}) were replaced within that time and stay"
    head = f"{found.table}, version {found.version}: {counted(len(found.paths), 'file')} ({format_bytes(found.bytes)}) {did}"
    lines.append(
        f"{head}, older than {format_seconds(found.retention_s)}{young if found.young_files else ''}{kept if found.replaced_files else ''}"
    )
    return [*lines, *(["Nothing was written; pass --no-dry-run to delete them."] if found.dry_run and found.paths else [])]


@contextmanager
def _bar() -> Iterator[OnSwept | None]:
    """A progress bar on stderr, when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("Looking for files", total=None)

        def on_swept(swept: Swept) -> None:
            bars.update(task, description=f"Deleted {swept.files:,}/{swept.of_files:,} files", completed=swept.bytes, total=swept.of_bytes)

        yield on_swept
