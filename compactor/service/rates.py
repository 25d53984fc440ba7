"""What a run under some settings is priced by: the price list, read once a process, and what is not in it."""

from __future__ import annotations

from functools import cache

from compactor.model.usage import Prices
from compactor.prices import load_prices
from compactor.service.work import Rates
from compactor.settings import Settings


def rates_of(settings: Settings, memory_bytes: int) -> Rates:
    """memory_bytes: of a task. Raises UsageError when the price list cannot be read."""
    return Rates(
        prices=_prices(settings.prices),
        memory_bytes=memory_bytes,
        kms=settings.sse_kms_key_id is not None or (settings.server_side_encryption or "").startswith("aws:kms"),
        proves=settings.proof == "full",
    )


@cache
def _prices(file: str | None) -> Prices:
    return load_prices(file)
