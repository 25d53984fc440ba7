"""Native kernels. Optional: compactor/rewriting/native.py says whether they are used."""

from collections.abc import Sequence
from typing import Final, final

INTERFACE: Final[int]
__version__: Final[str]

@final
class Key:
    """A column, or a place inside one, from the 18 words that its path stands for."""

    def __new__(cls, words: Sequence[int]) -> Key: ...

def sum_of_rows(rows: int, key: Key, columns: Sequence[Sequence[tuple[object, ...]]]) -> int:
    """The sum of the rows of a table modulo 2^128. columns: of each the chunks, as compactor/rewriting/native_rows.py describes them.

    Raises IndexError, ValueError when an array contradicts itself. Lets go of the interpreter while it works.
    """
