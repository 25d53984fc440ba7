"""Two questions that no storage library answers: what time a store has, and whether a cloud's metadata service is there at all."""

from __future__ import annotations

import email.utils
import socket
import urllib.error
import urllib.request

from compactor.errors import CredentialsMissing, StorageUnavailable

_METADATA = ("169.254.169.254", 80)
_METADATA_S = 1.0


def date_header_ms(url: str, timeout_s: float, name: str) -> int:
    """Milliseconds since the epoch by the Date header of an unsigned HEAD; a refusal tells the time too. Raises StorageUnavailable."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            date = reply.headers.get("Date")
    except urllib.error.HTTPError as refused:
        date = refused.headers.get("Date")
    except OSError as error:
        raise StorageUnavailable(f"The store of {name} could not be asked for its time ({type(error).__name__}).") from None
    if not date:
        raise StorageUnavailable(f"The store of {name} does not tell its time (no Date header).")
    return int(email.utils.parsedate_to_datetime(date).timestamp() * 1000)


def require_metadata_service(name: str, advice: str) -> None:
    """Raises CredentialsMissing when nothing listens where a virtual machine of a cloud would get its credentials. Takes a second at most.

    Without this check a laptop without credentials waits for a minute of retries.
    """
    try:
        socket.create_connection(_METADATA, timeout=_METADATA_S).close()
    except OSError:
        raise CredentialsMissing(f"No credentials were found for {name}: {advice}.") from None
