"""Native kernels. Optional: compactor/rewriting/native.py says whether they are used."""

from typing import Final

INTERFACE: Final[int]
__version__: Final[str]
