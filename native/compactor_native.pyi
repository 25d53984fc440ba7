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

def held_bytes() -> tuple[int, int]:
    """Bytes of memory that this package holds now, and the most that it has held since this was asked before."""

class FuseRefused(Exception):
    """Why a file is not merged: args[0]; args[1] is which of the sources it is, None where only one is meant."""

@final
class FuseTarget:
    """The schema of outputs, how columns of files are found in it, and the codec of outputs."""

    def __new__(cls, footer: bytes, by_id: bool, codec: str, level: int) -> FuseTarget: ...
    @property
    def leaves(self) -> int: ...

@final
class FuseSource:
    """A whole file in memory that, as far as its footer says, can be merged."""

    @property
    def rows(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def missing(self) -> int: ...

def fuse_sources(target: FuseTarget, files: Sequence[bytes | memoryview], threads: int) -> list[FuseSource | str]:
    """What becomes of each of these files: a source, or why it cannot be merged. Lets go of the interpreter while it works."""

@final
class FusedRowGroup:
    """A row group made of sources, some of whose bytes are part of it."""

    @property
    def rows(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    def read(self, start: int, length: int) -> bytes:
        """Some of its bytes: those of its columns, one after the other. Raises ValueError when there are not as many."""

    def row_group(self, base: int) -> bytes:
        """The RowGroup for the footer of a file in which the row group begins at `base`."""

    def offset_indexes(self, base: int) -> list[bytes]:
        """The OffsetIndex of each column."""

    def column_indexes(self) -> list[bytes | None]:
        """The ColumnIndex of each column that has one."""

    def beginnings(self) -> list[list[int]]:
        """Of each column below a list or map: how many rows begin with each definition level; of others nothing."""

    def bounds(self) -> list[tuple[int, bool, tuple[bytes, bytes, bool, bool] | None]]:
        """Of each column: nulls, whether it is known what values there are, and minimum and maximum with whether each is exact."""

def fuse(target: FuseTarget, sources: Sequence[FuseSource], bounds: Sequence[bool], verify: bool, threads: int) -> FusedRowGroup:
    """One row group of the rows of all sources, in their order. Raises FuseRefused. Lets go of the interpreter while it works."""

def chain(files: Sequence[bytes | memoryview]) -> tuple[list[tuple[int, int]], list[int], bytes]:
    """Whole files as the row groups of one: from where to where each one's bytes are part of it, one behind the other behind the four bytes
    of a Parquet file's magic; the rows of each; and what comes behind them, a footer, its length and a magic.

    Raises FuseRefused for a file with another schema or writer than the first, or with a column that has not the rows of its row group.
    Lets go of the interpreter while it works.
    """

class ProofRefused(Exception):
    """Why a file is not read natively."""

class ProofTarget:
    """The columns of a table as the proof reads them, and how they are found in files."""

    def __init__(self, key: Key, columns: Sequence[tuple[object, ...]], by_id: bool) -> None: ...

class ProofFile:
    """A file by its footer. Raises ProofRefused where it is not read."""

    def __init__(self, target: ProofTarget, tail: bytes) -> None: ...
    @property
    def row_groups(self) -> int: ...
    def chunks(self, group: int) -> list[tuple[int, int]]:
        """Of a row group the begin and length of each column chunk that is read. Raises ProofRefused."""

    def sum(self, target: ProofTarget, group: int, data: Sequence[object], most_bytes: int, threads: int) -> tuple[int, int]:
        """The sum of the rows of a row group, whose chunks are given, and how many they are. Raises ProofRefused."""

    def sum_stored(self, target: ProofTarget, group: int, path: str, most_bytes: int, threads: int) -> tuple[int, int]:
        """The same of a file at `path`, which is read here."""

def proof_sums(target: ProofTarget, files: Sequence[object], most_bytes: int, threads: int) -> list[tuple[int, int] | str]:
    """Of each file the sum of its rows and how many they are, or why it is not read. Lets go of the interpreter while it works."""

@final
class Files:
    """Files, one after the other with a byte more behind each; lends its bytes, which nobody can write to."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

def read_files(files: Sequence[tuple[str, int]], threads: int) -> tuple[Files, list[bool]]:
    """Files of these paths and sizes; whether each was there and of its size. Lets go of the interpreter while it works."""

def float_extremes(
    path: str, chunks: Sequence[tuple[int, int, int, bool, bool]]
) -> list[tuple[int, tuple[float, float] | None, bool, bool] | None]:
    """Of each of these column chunks of floats in a file (start, length, codec, whether doubles, whether optional): how many values there
    are, nulls among them, least and greatest, whether one is NaN, and whether some lie in a dictionary only, of which not all need be in a
    row. None where that cannot be told. Lets go of the interpreter while it works.
    """

@final
class FloatLook:
    """The same of a column chunk whose bytes come piece by piece."""

    def __new__(cls, codec: int, double: bool, optional: bool) -> FloatLook: ...
    def add(self, piece: bytes | memoryview) -> bool:
        """The next bytes; whether what follows them can still matter. Lets go of the interpreter while it works."""

    def seen(self) -> tuple[int, tuple[float, float] | None, bool, bool] | None:
        """What is in it, once all that matters has come."""

def let_go() -> None:
    """Gives back the memory that is kept for the next files."""
