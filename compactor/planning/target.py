"""Which file size to aim at. Pure."""

from __future__ import annotations

from compactor.errors import UsageError
from compactor.model.policy import DEFAULT_TARGET_BYTES, Policy

_LARGEST_BYTES = 1 << 50
"""No file is larger; sums and multiples of it stay within 64 bits."""


def effective_target(policy: Policy, table_target: int | None) -> int:
    """Bytes to aim at: the policy's own, else what the table asks for (`table_target`, None when it does not), else the default.

    Raises UsageError when the size in force is not positive.
    """
    for target in (policy.target_bytes, table_target):
        if target is not None:
            if target < 1:
                raise UsageError(f"A target size of {target} bytes is not possible; it must be at least one byte.")
            return min(target, _LARGEST_BYTES)
    return DEFAULT_TARGET_BYTES
