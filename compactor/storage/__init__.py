"""Objects at keys: the port (base.py), its adapters, and the one door to them, open_store.

Adapters are imported when a URI asks for them, so that a run on a disk loads no cloud library.
"""

from __future__ import annotations

from compactor.model.storage import StorageOptions
from compactor.storage.base import ObjectStore
from compactor.storage.uris import join_uri, locate, normalise_uri

DEFAULT_OPTIONS = StorageOptions()


def open_store(uri: str, options: StorageOptions = DEFAULT_OPTIONS) -> ObjectStore:
    """The store of the objects below `uri`. Makes no request where that can be avoided; nothing needs to exist there.

    Raises UsageError when the URI names no store, CredentialsMissing when a cloud needs credentials and there are none.
    """
    location = locate(uri)
    if location.scheme == "local":
        from compactor.storage.local import LocalStore

        return LocalStore(location.path)
    if location.scheme == "memory":
        from compactor.storage.memory import MemoryStore, memory_bucket

        return MemoryStore(memory_bucket(location.bucket), location.path)
    if location.scheme == "s3":
        from compactor.storage.s3 import open_s3

        return open_s3(location, options)
    from compactor.storage.cloud import open_cloud

    return open_cloud(location, options)


__all__ = ["DEFAULT_OPTIONS", "ObjectStore", "join_uri", "normalise_uri", "open_store"]
