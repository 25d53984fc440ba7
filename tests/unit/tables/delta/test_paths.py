"""Paths of the log, and keys of the store."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactor.errors import TableRefused
from compactor.tables.delta.paths import canonical, encode_path, object_key, suspicious_rows, unnameable


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_a_key_survives_being_encoded(key: str) -> None:
    """Encoding a key and reading it back gives the key, whatever characters it has, unless it would leave the table."""
    if key.startswith("/") or {".", ".."} & set(key.split("/")):
        return
    assert object_key(encode_path(key), "s3://b/t") == key
    assert canonical(encode_path(key)) == canonical(key.replace("%", "%25"))


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("v=Grüße 日本/d=-1.50/t=1969-12-31 23%3A59/x", "v=Grüße%20日本/d=-1.50/t=1969-12-31%2023%253A59/x"),
        ("v=\N{GRINNING FACE}e\u0301/x", "v=\N{GRINNING FACE}e\u0301/x"),
        ("v=\u00a0\u2003\u3000\u2028\u0085/x", "v=%C2%A0%E2%80%83%E3%80%80%E2%80%A8%C2%85/x"),
        ("a!$&'()*+,;=@-._~/b:c", "a!$&'()*+,;=@-._~/b:c"),
        ('a"#<>?[\\]^`{|}/x', "a%22%23%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D/x"),
        ("a:b/c:d", "a%3Ab/c:d"),
        ("v=\udcff/x", "v=%FF/x"),
    ],
)
def test_paths_are_spelled_as_java_spells_them(key: str, path: str) -> None:
    """Spark's VACUUM compares spellings: a file whose path is spelled otherwise than Java spells its name would be deleted while live."""
    assert encode_path(key) == path


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("p=2024-06-15%2012%253A30/x.parquet", "p=2024-06-15 12%3A30/x.parquet"),
        ("p=é/x", "p=é/x"),
        ("p=%C3%A9/x", "p=é/x"),
        ("a+b", "a+b"),
        ("s3://b/t/p=1/x", "p=1/x"),
        ("s3a://b/t/p=1/x", "p=1/x"),
        ("ts=12:30/x", "ts=12:30/x"),
    ],
)
def test_paths_become_keys_below_the_root(path: str, key: str) -> None:
    """Relative paths are decoded once; absolute ones of the same root are folded to relative."""
    assert object_key(path, "s3://b/t") == key


@pytest.mark.parametrize(
    ("path", "on_disk", "in_a_store"),
    [
        ("./x", "x", "x"),
        ("a/./b/.", "a/b", "a/b"),
        ("y//z", "y/z", "y//z"),
        ("y%2F/z", "y/z", "y//z"),
        (".hidden/x..y/z.", ".hidden/x..y/z.", ".hidden/x..y/z."),
    ],
)
def test_segments_of_a_relative_reference(path: str, on_disk: str, in_a_store: str) -> None:
    """A segment of one dot names nothing (RFC 3986); an empty one nothing on a disk, but another object in a store, and is said to."""
    assert object_key(path, "/data/t") == on_disk
    assert object_key(path, "s3://b/t") == in_a_store
    paths = pa.chunked_array([[path, "s3://other//b/x", "a/b", "p=%252F%20/x"]])
    assert set(unnameable(paths, "s3://b/t")) == ({path} if "//" in in_a_store else set())
    assert unnameable(paths, "/data/t") == {}


@pytest.mark.parametrize("path", ["/data/t/p=1/x", "file:/data/t/p=1/x", "file:///data/t/p=1/x"])
def test_local_spellings_of_the_root_are_folded(path: str) -> None:
    """file: URIs and plain absolute paths of the same folder are the same root."""
    assert object_key(path, "/data/t") == object_key(path, "file:///data/t") == "p=1/x"


@pytest.mark.parametrize(
    "path", ["s3://other/t/x", "s3://b/tt/x", "s3://b/t", "/x", "../x", "a/../../x", "%2e%2e/x", "a/%2E%2E/b", "file:///x", "abfss://c@a/x"]
)
def test_paths_outside_the_root_are_refused(path: str) -> None:
    """Another bucket, another folder and anything with `..`, encoded or not, is refused by name; the gate looks at every such row."""
    with pytest.raises(TableRefused) as refused:
        object_key(path, "s3://b/t")
    assert refused.value.reason == "external-path"
    assert path in str(refused.value)
    assert suspicious_rows(pa.chunked_array([["p=1/fine", path]])).tolist() == [1]


def test_canonical_makes_spellings_of_a_file_equal() -> None:
    """Percent escapes and the many spellings of file: are one path; a plus sign and s3 stay as they are."""
    assert canonical("file:///a%20b") == canonical("file:/a b") == canonical("/a%20b") == "/a b"
    assert canonical("a+b%2Bc") == "a+b+c"
    assert canonical("s3://b/x") == "s3://b/x"
    assert canonical("%FFx") != canonical("%FEx")
