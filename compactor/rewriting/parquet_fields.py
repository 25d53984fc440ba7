"""Names for the numbers of Parquet's Thrift definitions (parquet-format's `parquet.thrift`), as far as footers are taken apart here."""

from __future__ import annotations

from enum import IntEnum


class FileMetaData(IntEnum):
    """The footer."""

    VERSION = 1
    SCHEMA = 2
    NUM_ROWS = 3
    ROW_GROUPS = 4
    KEY_VALUE_METADATA = 5
    CREATED_BY = 6
    COLUMN_ORDERS = 7
    ENCRYPTION_ALGORITHM = 8


class SchemaElement(IntEnum):
    """A node of the schema, which is a list in depth-first order."""

    TYPE = 1
    TYPE_LENGTH = 2
    REPETITION = 3
    NAME = 4
    NUM_CHILDREN = 5
    CONVERTED_TYPE = 6
    SCALE = 7
    PRECISION = 8
    FIELD_ID = 9
    LOGICAL_TYPE = 10


class RowGroup(IntEnum):
    """A row group."""

    COLUMNS = 1
    TOTAL_BYTE_SIZE = 2
    NUM_ROWS = 3
    SORTING_COLUMNS = 4
    FILE_OFFSET = 5
    TOTAL_COMPRESSED_SIZE = 6
    ORDINAL = 7


class ColumnChunk(IntEnum):
    """A column of a row group."""

    FILE_PATH = 1
    FILE_OFFSET = 2
    META_DATA = 3
    OFFSET_INDEX_OFFSET = 4
    OFFSET_INDEX_LENGTH = 5
    COLUMN_INDEX_OFFSET = 6
    COLUMN_INDEX_LENGTH = 7
    CRYPTO_METADATA = 8
    ENCRYPTED_COLUMN_METADATA = 9


class ColumnMetaData(IntEnum):
    """What is said of the pages of a column chunk."""

    TYPE = 1
    ENCODINGS = 2
    PATH_IN_SCHEMA = 3
    CODEC = 4
    NUM_VALUES = 5
    TOTAL_UNCOMPRESSED_SIZE = 6
    TOTAL_COMPRESSED_SIZE = 7
    DATA_PAGE_OFFSET = 9
    INDEX_PAGE_OFFSET = 10
    DICTIONARY_PAGE_OFFSET = 11
    STATISTICS = 12
    ENCODING_STATS = 13
    BLOOM_FILTER_OFFSET = 14
    BLOOM_FILTER_LENGTH = 15
    SIZE_STATISTICS = 16


class Statistics(IntEnum):
    """Statistics of a column chunk. The first two are the old bounds, whose order was never said."""

    MAX = 1
    MIN = 2
    NULL_COUNT = 3
    MAX_VALUE = 5
    MIN_VALUE = 6
    IS_MAX_VALUE_EXACT = 7
    IS_MIN_VALUE_EXACT = 8
    NAN_COUNT = 9


class Kind(IntEnum):
    """Physical types."""

    BOOLEAN = 0
    INT32 = 1
    INT64 = 2
    INT96 = 3
    FLOAT = 4
    DOUBLE = 5
    BYTE_ARRAY = 6
    FIXED_LEN_BYTE_ARRAY = 7


class Repetition(IntEnum):
    """How often a node may be there."""

    REQUIRED = 0
    OPTIONAL = 1
    REPEATED = 2


CODECS = {0: "none", 1: "snappy", 2: "gzip", 3: "lzo", 4: "brotli", 5: "lz4-hadoop", 6: "zstd", 7: "lz4"}
"""Codecs by number, in the spelling of WriteSpec.compression."""

OFFSET_INDEX_PAGES = 1
PAGE_OFFSET = 1
"""Fields of an OffsetIndex and of a PageLocation."""

SIZE_DEFINITION_HISTOGRAM = 3
"""Field of SizeStatistics: values at each definition level."""

PAGE_ENCODING_TYPE, DATA_PAGE_V1, DATA_PAGE_V2 = 1, 0, 3
"""Field of PageEncodingStats, and its values for data pages of the two versions."""


class Page(IntEnum):
    """Kinds of pages."""

    DATA = DATA_PAGE_V1
    INDEX = 1
    DICTIONARY = 2
    DATA_V2 = DATA_PAGE_V2


class Encoding(IntEnum):
    """Encodings of values and levels, as far as they are told apart here."""

    PLAIN = 0
    PLAIN_DICTIONARY = 2
    RLE = 3
    RLE_DICTIONARY = 8


class PageHeader(IntEnum):
    """What stands before the bytes of a page."""

    TYPE = 1
    UNCOMPRESSED_SIZE = 2
    COMPRESSED_SIZE = 3
    DATA = 5
    DICTIONARY = 7
    DATA_V2 = 8


class DataHeader(IntEnum):
    """Of a data page of version 1."""

    NUM_VALUES = 1
    ENCODING = 2
    DEFINITION_ENCODING = 3


class DictionaryHeader(IntEnum):
    """Of a dictionary page."""

    NUM_VALUES = 1
    ENCODING = 2


class DataHeaderV2(IntEnum):
    """Of a data page of version 2."""

    NUM_VALUES = 1
    ENCODING = 4
    DEFINITION_BYTES = 5
    REPETITION_BYTES = 6
    IS_COMPRESSED = 7
