"""A key of the customer's own with which S3 encrypts objects (SSE-C): read by each process from the file that StorageOptions name, and sent
with every request that makes, reads or describes an object. S3 keeps no key: whoever loses it has lost the objects.

The key is a secret: it is in no option, no repr and no message.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from compactor.errors import CredentialsMissing, StorageError
from compactor.model.storage import StorageOptions

_BYTES = 32
_ALGORITHM = "AES256"


class CustomerKey:
    """A key, as the arguments of requests."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def arguments(self) -> dict[str, str | bytes]:
        """Of a request about an object with this key."""
        return {"SSECustomerAlgorithm": _ALGORITHM, "SSECustomerKey": self._key}

    def arguments_of_source(self) -> dict[str, str | bytes]:
        """Of a copy from an object with this key, beside those of the object that is made."""
        return {"CopySourceSSECustomerAlgorithm": _ALGORITHM, "CopySourceSSECustomerKey": self._key}

    def base64(self) -> str:
        """For one call of another library: never keep, log or send it."""
        return base64.b64encode(self._key).decode()


def customer_key(options: StorageOptions) -> CustomerKey | None:
    """The key that the options name, if they do. Raises CredentialsMissing where it is not there, StorageError where it is none."""
    path = options.sse_customer_key_file
    if path is None:
        return None
    if options.sse_kms_key_id or options.server_side_encryption:
        raise StorageError("Objects have a customer's key or are encrypted by the store's own: name a file with a key, or another mode.")
    try:
        text = Path(path).read_text(encoding="ascii")
        key = base64.b64decode("".join(text.split()), validate=True)
    except OSError as error:
        raise CredentialsMissing(f"The file {path} with the key of objects cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, binascii.Error):
        raise StorageError(f"The file {path} holds no key in base64.") from None
    if len(key) != _BYTES:
        raise StorageError(f"The key in {path} has {len(key)} bytes instead of {_BYTES}.")
    return CustomerKey(key)
