"""Every error the compactor raises on purpose, each with the exit code of the CLI and what the caller should do.

    CompactorError                1   a bug of ours, unless a subclass says otherwise
    ├── UsageError                2   correct the arguments
    │   └── SettingsError         2   correct the named settings key
    ├── TableRefused              3   the table is left untouched; the message names the feature or the choice to make
    │   └── NotATable             3   point at a folder that holds a `_delta_log`
    ├── ConflictGaveUp            4   nothing was committed; run again later
    │   └── Superseded            4   another run took over; what was committed stands, run again later
    │       └── TakenForDead      4   the same, but the table is free for this run to plan anew
    ├── StorageError              5   the store did not do what was asked; see the subclass
    │   ├── AccessDenied          5   grant the permission named in the message
    │   ├── ObjectMissing         5   an object that was expected is not there
    │   ├── BucketMissing         5   there is no such bucket (any more): of its objects nothing is known
    │   ├── ObjectTooShort        5   an object ends before what refers to it says
    │   ├── ObjectArchived        5   restore the object from its archive tier first
    │   ├── CredentialsMissing    5   configure credentials
    │   ├── WrongRegion           5   pass the region in the message
    │   └── StorageUnavailable    5   safe to try again: time-outs, throttling, resets, 5xx
    ├── TableCorrupt              6   the table's log or a file is damaged; nothing was written
    ├── ExecutionFailed           7   a group could not be rewritten; what was committed stands
    ├── ProofFailed               8   outputs did not equal inputs; nothing of that group was committed
    └── Interrupted             130   stopped by a signal (143 for SIGTERM)

A message is one sentence (a second may say what to do), names the table or file, and never holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class CompactorError(Exception):
    """Base of every error raised on purpose. `exit_code` is the process exit code of the CLI."""

    exit_code: ClassVar[int] = 1


class UsageError(CompactorError):
    """The call is wrong: an option, a URI, a predicate."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file, environment variable or flag holds an unknown key or a bad value."""


class TableRefused(CompactorError):
    """The table cannot be compacted without changing its meaning, or a choice by its owner is missing."""

    exit_code = 3

    def __init__(self, message: str, *, reason: str) -> None:
        """`reason` is a short stable code for programs, for example `feature:icebergCompatV1`."""
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return _refused, (type(self), str(self), self.reason)


def _refused(kind: type[TableRefused], message: str, reason: str) -> TableRefused:
    return kind(message, reason=reason)


class NotATable(TableRefused):
    """There is no table of a supported format at the URI."""


class ConflictGaveUp(CompactorError):
    """Other writers removed every planned input, or won every attempt within the bound."""

    exit_code = 4


class Superseded(ConflictGaveUp):
    """Another run has taken this one for dead, or took its lease: this run commits nothing more."""


class TakenForDead(Superseded):
    """Another run has taken this one for dead, and decides about what it wrote: nothing of that is committed by this run any more."""


class StorageError(CompactorError):
    """An object store or file system failed."""

    exit_code = 5


class AccessDenied(StorageError):
    """The store refused the credentials for this object (403, EACCES)."""


class ObjectMissing(StorageError):
    """An object that was asked for does not exist (404, ENOENT)."""


class BucketMissing(StorageError):
    """The bucket does not exist. Unlike a missing object this says nothing of what was in it."""


class ObjectTooShort(StorageError):
    """The object is shorter than what refers to it says."""


class ObjectArchived(StorageError):
    """The object is in an archive tier and cannot be read before it is restored."""


class CredentialsMissing(StorageError):
    """No credentials were found for the store."""


class WrongRegion(StorageError):
    """The bucket is in another region than the one used."""


class StorageUnavailable(StorageError):
    """Time-out, throttling, reset or 5xx: the same call may succeed later."""


class TableCorrupt(CompactorError):
    """The log, a checkpoint or a data file is damaged or incomplete."""

    exit_code = 6


class ExecutionFailed(CompactorError):
    """A rewrite group failed for a reason that is not the table's: a killed worker, a deadline, memory."""

    exit_code = 7


class ProofFailed(CompactorError):
    """Outputs were not proven equal to inputs; the group was not committed."""

    exit_code = 8


class Interrupted(CompactorError):
    """Stopped by a signal; what was committed stands."""

    exit_code = 130
