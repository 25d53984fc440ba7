"""Clustered tables: which columns they are clustered by, and which files must keep their place (protocol section "Clustered Table"). Pure.

A plain compaction clusters nothing: it takes only files that no clustering has placed, leaves `clusteringProvider` unset, and writes
statistics for the clustering columns. The features `clustering` and the older `liquid` differ in where they keep the columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from compactor.errors import TableCorrupt

DOMAINS = {"clustering": "delta.clustering", "liquid": "delta.liquid"}
"""Features, and the metadata domain in which each names the columns."""
CUBE_TAG = "ZCUBE_ID"
"""A tag of files that a clustering wrote."""


def clustering_columns(features: frozenset[str], domains: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The clustering columns as paths of physical names; none when there are none. Raises TableCorrupt for a malformed domain."""
    texts = {domain: domains[domain] for feature, domain in DOMAINS.items() if feature in features and domains.get(domain)}
    return tuple(dict.fromkeys(path for domain, text in texts.items() for path in _columns(domain, text)))


def _columns(domain: str, text: str) -> list[tuple[str, ...]]:
    try:
        columns = json.loads(text).get("clusteringColumns") or []
        paths = [column["physicalName"] if isinstance(column, dict) else column for column in columns]
        return [tuple(map(str, path)) if isinstance(path, list) else (str(path),) for path in paths]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise TableCorrupt(f"The domain {domain} of the table does not name clustering columns.") from error


def keeps_clustering(features: frozenset[str], domains: Mapping[str, str]) -> bool:
    """Whether files that a clustering placed must be left alone: the table is clustered by something, or by what nobody says."""
    unsaid = any(feature in features and not domains.get(domain) for feature, domain in DOMAINS.items())
    return unsaid or bool(clustering_columns(features, domains))
