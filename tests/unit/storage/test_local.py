"""What is special about a disk: temporary files, processes, links, folders, and what the operating system refuses."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compactor.errors import AccessDenied, ObjectMissing, StorageError, StorageUnavailable
from compactor.storage import local, local_writer
from compactor.storage.base import Created, Exists, PutUnknown
from compactor.storage.local import LocalStore
from compactor.storage.local_errors import disk_error


def names(folder: Path) -> list[str]:
    """Every name below a folder, temporary ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _compete(root: str, number: int, gate: object, answers: object) -> None:
    store = LocalStore(root)
    for version in range(20):
        gate.wait()  # type: ignore[attr-defined]
        outcome = store.create(f"_delta_log/{version:020}.json", b"%d" % number * 5000)
        answers.put((version, number, isinstance(outcome, Created)))  # type: ignore[attr-defined]


def test_of_many_processes_one_creates(tmp_path: Path) -> None:
    """Processes that create the same entries at the same moments: one winner each, whose bytes stay, and no temporary file is left."""
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_compete, args=(str(tmp_path), number, gate, answers)) for number in range(3)]
    for process in processes:
        process.start()
    told = [answers.get(timeout=60) for _ in range(60)]
    for process in processes:
        process.join()
    for version in range(20):
        winners = [number for seen, number, won in told if seen == version and won]
        assert len(winners) == 1
        assert (tmp_path / f"_delta_log/{version:020}.json").read_bytes() == b"%d" % winners[0] * 5000
    assert len(names(tmp_path)) == 20


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from compactor.storage.local import LocalStore
store = LocalStore(sys.argv[1])
writer = store.open_writer("part.parquet")
writer.write(b"x" * 5_000_000)
os._exit(9)
"""
REPOSITORY = str(Path(local.__file__).parents[2])


def test_a_killed_writer_shows_nothing(tmp_path: Path) -> None:
    """What a process that was killed left behind is in no listing, is no object, and does not stop the name from being written."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), REPOSITORY], check=False)
    assert len(names(tmp_path)) == 1
    store = LocalStore(str(tmp_path))
    assert list(store.list("")) == []
    assert store.list_level("").objects == ()
    assert store.head("part.parquet") is None
    store.put("part.parquet", b"1")
    assert [meta.key for meta in store.list("")] == ["part.parquet"]


TOO_LARGE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from compactor.errors import StorageError
from compactor.storage.local import LocalStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
store = LocalStore(sys.argv[1])
def write():
    with store.open_writer("w") as writer:
        for _ in range(10):
            writer.write(b"x" * 500_000)
for call in (write, lambda: store.put("p", b"x" * 2_000_000), lambda: store.create("c", b"x" * 2_000_000)):
    try:
        call()
    except StorageError as error:
        print(error)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """When the bytes do not fit, each way of writing raises by name and leaves neither an object nor a temporary file."""
    command = [sys.executable, "-c", TOO_LARGE, str(tmp_path), REPOSITORY]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split(" (")[0] for line in told] == [f"There is no room left on the disk for {tmp_path}/{key}" for key in "wpc"]
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, ObjectMissing),
        (errno.ENOTDIR, ObjectMissing),
        (errno.EACCES, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.ENOSPC, StorageError),
        (errno.EDQUOT, StorageError),
        (errno.EIO, StorageUnavailable),
        (errno.EMFILE, StorageUnavailable),
        (errno.ENAMETOOLONG, StorageError),
    ],
)
def test_errors_by_name(number: int, kind: type[StorageError]) -> None:
    """Each errno is one of our errors and names the file."""
    error = disk_error(OSError(number, os.strerror(number)), "/data/t/x")
    assert type(error) is kind
    assert "/data/t/x" in str(error)


def test_what_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EACCES on reading and on writing is AccessDenied; a name too long is a StorageError. Nothing is left behind."""
    store = LocalStore(str(tmp_path))
    with pytest.raises(StorageError, match="File name too long"):
        store.get("x" * 300)
    with pytest.raises(StorageError, match="File name too long"):
        store.put("x" * 300, b"")
    assert names(tmp_path) == []

    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(local.os, "open", refuse)
    for call in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: store.create("a", b""), lambda: store.open_writer("a")):
        with pytest.raises(AccessDenied, match=f"{tmp_path}/a"):
            call()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EIO, PutUnknown),
        (errno.ESTALE, PutUnknown),
        (errno.EEXIST, Exists),
        (errno.EPERM, StorageError),
        (errno.EACCES, AccessDenied),
    ],
)
def test_a_link_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type) -> None:
    """An answer of link(2) that leaves it open is PutUnknown, one that does not is said; the temporary file is gone either way."""

    def fail(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local.os, "link", fail)
    store = LocalStore(str(tmp_path))
    if issubclass(expected, StorageError):
        with pytest.raises(expected):
            store.create("a", b"1")
    else:
        assert isinstance(store.create("a", b"1"), expected)
    assert names(tmp_path) == []


def test_a_link_whose_reply_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS a repeated link can answer EEXIST for our own file: the link count shows that it is ours."""
    link = os.link

    def twice(source: str, target: str) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(local.os, "link", twice)
    store = LocalStore(str(tmp_path))
    assert isinstance(store.create("a", b"1"), Created)
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that has its name but may not survive a power cut is unknown, not created."""
    store = LocalStore(str(tmp_path))

    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(local, "flush_folder", fail)
    assert isinstance(store.create("a", b"1"), PutUnknown)
    assert names(tmp_path) == ["a"]


def test_everything_is_flushed_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is: flush the bytes, give the name, flush the folder; new parent folders are flushed too."""
    steps: list[str] = []
    fsync, link, replace = os.fsync, os.link, Path.replace

    def note(step: str) -> None:
        steps.append(step)

    def seen_fsync(fd: int) -> None:
        note("folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")  # noqa: PTH112
        fsync(fd)

    monkeypatch.setattr(local_writer.os, "fsync", seen_fsync)
    monkeypatch.setattr(local.os, "link", lambda source, target: (note("link"), link(source, target)))
    monkeypatch.setattr(Path, "replace", lambda source, target: (note("rename"), replace(source, target))[1])
    store = LocalStore(str(tmp_path / "t"))
    store.create("a/1", b"1")
    assert steps == ["folder", "folder", "file", "link", "folder"]
    steps.clear()
    with store.open_writer("a/2") as writer:
        writer.write(b"1")
    assert steps == ["file", "rename", "folder"]


def test_links_and_odd_files(tmp_path: Path) -> None:
    """Links to files and folders are followed, dangling links and loops are passed over, sockets and pipes are no objects."""
    (tmp_path / "t/a").mkdir(parents=True)
    (tmp_path / "t/a/x").write_bytes(b"1")
    (tmp_path / "t/b").symlink_to(tmp_path / "t/a")
    (tmp_path / "t/a/loop").symlink_to(tmp_path / "t")
    (tmp_path / "t/dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "t/y").symlink_to(tmp_path / "t/a/x")
    os.mkfifo(tmp_path / "t/pipe")
    store = LocalStore(str(tmp_path / "t"))
    assert [meta.key for meta in store.list("")] == ["a/x", "b/x", "y"]
    assert store.head("pipe") is None
    assert store.head("dangling") is None
    assert bytes(store.get("b/x")) == b"1"


def test_the_root_may_be_anything(tmp_path: Path) -> None:
    """A root that does not exist is empty, and one that is a file holds nothing."""
    (tmp_path / "file").write_bytes(b"1")
    for root in (tmp_path / "none", tmp_path / "file"):
        store = LocalStore(str(root))
        assert list(store.list("")) == []
        assert store.list_level("").folders == ()
        assert store.head("a") is None
        with pytest.raises(ObjectMissing):
            store.get("a")
    with pytest.raises(StorageError, match="file/a"):
        LocalStore(str(tmp_path / "file")).put("a", b"1")


def test_start_after_skips_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that starts late does not open the folders that lie before."""
    store = LocalStore(str(tmp_path))
    for day in range(5):
        store.put(f"d={day}/x", b"")
    opened: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (opened.append(str(path)), scandir(path))[1])
    assert [meta.key for meta in store.list("", "d=3/a")] == ["d=3/x", "d=4/x"]
    assert len(opened) == 3


@pytest.mark.parametrize("step", ["abort", "unlink"])
def test_a_signal_while_a_temporary_file_is_put_away_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """An interruption that comes in the middle of tidying up ends the creation, and the temporary file is gone all the same."""
    owner = local_writer.LocalWriter if step == "abort" else Path
    real, interrupted = getattr(owner, step), []

    def once(self: object, *arguments: object, **named: object) -> object:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    monkeypatch.setattr(owner, step, once)
    with pytest.raises(KeyboardInterrupt):
        LocalStore(str(tmp_path)).create("a.json", b"{}")
    assert names(tmp_path) == ["a.json"]


def test_a_folder_that_cannot_be_made_is_told_as_that(tmp_path: Path) -> None:
    """Below a file nothing is written, and the message speaks of the folder, not of the object that is not there yet."""
    (tmp_path / "state").write_bytes(b"a file")
    store = LocalStore(str(tmp_path / "state"))
    with pytest.raises(StorageError, match=r"^There is no folder for .*state/intents/a\.json, and none can be made there"):
        store.put("intents/a.json", b"{}")
