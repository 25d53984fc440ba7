"""Reads the sources of a service: prefixes, catalogues, lists. What fails is told with what was found before; nothing is raised for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from compactor.errors import CompactorError
from compactor.model.snapshot import TableRef
from compactor.model.storage import StorageOptions
from compactor.service.config import GlueSource, ListSource, PrefixSource, ServiceConfig, Source
from compactor.service.discovery import Filter, Found, discover
from compactor.service.policies import policy_of
from compactor.service.roster import Reading
from compactor.storage import open_store


def read_sources(config: ServiceConfig, *, stopping: Callable[[], bool] = lambda: False) -> Iterator[Reading]:
    """Each source in turn. `stopping`: asked between tables; what is not read by then is unread, not gone."""
    for source in config.sources:
        found: list[Found] = []
        problem = None
        try:
            for item in _tables(source, config):
                found.append(item)
                if stopping():
                    problem = "the service is stopping."
                    break
            if problem is None and not found and _is_empty(source, config):
                problem = f"There is nothing at {name_of(source)}: a name that is misspelled, or a volume that is not there?"
        except CompactorError as error:
            problem = str(error)
        yield Reading(source=name_of(source), found=tuple(found), problem=problem)


def name_of(source: Source) -> str:
    """What a source is called in messages and in the state."""
    match source:
        case PrefixSource():
            return source.uri
        case GlueSource():
            return f"glue://{source.region or ''}/{','.join(source.databases)}"
        case ListSource():
            return "list"


def _tables(source: Source, config: ServiceConfig) -> Iterator[Found]:
    match source:
        case PrefixSource():
            store = open_store(source.uri, _options(config, source.uri))
            yield from discover(store, max_depth=source.depth, chosen=Filter(include=source.include, exclude=source.exclude))
        case GlueSource():
            from compactor.service.glue import glue_tables

            yield from glue_tables(source, StorageOptions())
        case ListSource():
            yield from (TableRef(uri=uri) for uri in source.tables)


def _is_empty(source: Source, config: ServiceConfig) -> bool:
    """Whether a prefix has nothing below it. Its tables are not held to have vanished then: the prefix may have."""
    if not isinstance(source, PrefixSource):
        return False
    level = open_store(source.uri, _options(config, source.uri)).list_level("", max_pages=1)
    return not level.objects and not level.folders


def _options(config: ServiceConfig, uri: str) -> StorageOptions:
    """How to reach what lies at `uri`, by the rules for it."""
    return policy_of(config, uri, {}).settings.storage()
