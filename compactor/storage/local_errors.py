"""What an errno of the operating system means in the words of compactor/errors.py."""

from __future__ import annotations

import errno

from compactor.errors import AccessDenied, ObjectMissing, StorageError, StorageUnavailable

_MISSING = {errno.ENOENT, errno.ENOTDIR}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PASSING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY, errno.EHOSTDOWN}


def no_place(error: OSError, name: str) -> StorageError:
    """Our error where the file `name` could not be begun: its folder is not there and cannot be made, or whatever else it was."""
    if error.errno in _MISSING:
        return ObjectMissing(f"There is no folder for {name}, and none can be made there ({error.strerror or error}).")
    return disk_error(error, name)


def disk_error(error: OSError, name: str) -> StorageError:
    """Our error for a failed system call on the file or folder `name`."""
    text = error.strerror or str(error)
    if error.errno in _MISSING:
        return ObjectMissing(f"{name} does not exist.")
    if error.errno in _DENIED:
        return AccessDenied(f"Access to {name} was denied by the operating system ({text}).")
    if error.errno in _FULL:
        return StorageError(f"There is no room left on the disk for {name} ({text}).")
    if error.errno in _PASSING:
        return StorageUnavailable(f"The disk of {name} does not answer as it should ({text}).")
    return StorageError(f"{name} could not be read or written ({text}).")
