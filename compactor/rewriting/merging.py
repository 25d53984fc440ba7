"""What stands against merging files page by page, before any of them is read: the package, the table, how outputs are asked for. Pure.

Drivers ask so that plans say what will happen, workers so that it does.
"""

from __future__ import annotations

import pyarrow as pa

from compactor.model.engine import EngineChoice
from compactor.model.rewrite import ReadSpec, WriteSpec
from compactor.rewriting import native
from compactor.rewriting.choose import ASKED, Against
from compactor.rewriting.variant import is_variant

_CODECS = ("none", "snappy", "zstd")


def against_merging(read: ReadSpec, write: WriteSpec, choice: EngineChoice) -> Against | None:
    """Why no file of a run is merged; None where nothing is known against it."""
    if choice.mode not in ("auto", "fuse"):
        return ASKED
    if native.KERNELS is None:
        return Against(code="kernels", why=f"The native package is {native.STATUS}.")
    if read.row_ids is not None:
        return Against(code="row-tracking", why="The table tracks its rows, whose ids are kept beside them.")
    if len(read.constants):
        return Against(code="partition-columns", why="The table keeps its partition columns in its files.")
    if any(_holds_variant(field.type) for field in read.schema):
        return Against(code="schema", why="The table has variants, whose forms in files differ.")
    if write.compression not in _CODECS:
        return Against(code="codec", why=f"Pages compressed with {write.compression} are not merged.")
    if write.page_version != "1.0":
        why = f"Pages of version {write.page_version} are asked for, and merged ones are of version 1.0."
        return Against(code="page-version", why=why)
    return None


def _holds_variant(kind: pa.DataType) -> bool:
    if is_variant(kind) or not pa.types.is_nested(kind):
        return is_variant(kind)
    return any(_holds_variant(kind.field(i).type) for i in range(kind.num_fields))
