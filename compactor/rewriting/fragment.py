"""What engines give to the sink. Today decoded rows; encoded row groups (ranges of existing objects, or fresh bytes with their footer
metadata) join this union when an engine yields them, and the sink's dispatch is the one place that learns of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRows:
    """Rows in the schema that the sink was opened with, deleted ones dropped, in order."""

    rows: pa.Table


Fragment = DecodedRows
