"""A Ray cluster whose head is killed while a run waits for its tasks: the process of the run ends, and the next run of the table ends well.

Cluster and run are processes of their own: a process can be in one cluster only, and this one is ended by Ray.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import compactor
from compactor.coordination.records import Care
from compactor.model.run import RunStatus
from compactor.model.storage import StorageOptions
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.wiring import wire

TESTS = Path(__file__).parents[1]
PATIENCE_S = 240
CLUSTER = """
import shutil, sys, tempfile, time
from pathlib import Path
from ray.cluster_utils import Cluster

root = Path(sys.argv[1])
folder = tempfile.mkdtemp(prefix="head-")  # short: sockets lie in it
node = {"memory": 2**30, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, **node})
worker = cluster.add_node(num_cpus=1, **node)
cluster.wait_for_nodes()
(root / "address.new").write_text(cluster.address)
(root / "address.new").rename(root / "address")
while not (root / "intended").exists():
    time.sleep(0.02)
cluster.remove_node(cluster.head_node, allow_graceful=False)
(root / "headless").touch()
sys.stdin.read()
worker.kill_all_processes(check_alive=False, allow_graceful=False)
shutil.rmtree(folder, ignore_errors=True)
"""
RUN = """
import sys, time
from pathlib import Path
from compactor.coordination.records import Care, RunRecords
from compactor.model.storage import StorageOptions
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.wiring import wire

root, intend = Path(sys.argv[1]), RunRecords.intend


def intended(*told):
    intend(*told)
    (root / "intended").touch()
    while not (root / "headless").exists():
        time.sleep(0.02)


RunRecords.intend = intended
chosen = Settings(executor="ray", ray_address=(root / "address").read_text(), memory="256MiB", target_size="1MiB", min_input_files=2)
run = run_table(wire(open_store(str(root / "t"), StorageOptions()), chosen, care=Care(keep_bytes=0)), chosen.policy())
print(run.status, run.reason, flush=True)
sys.exit(run.exit_code)
"""


@contextmanager
def process(script: str, root: Path, name: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a script; what it says is in a file, as a pipe would be held open by what Ray starts."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with (root / name).open("w") as said:
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(root)],
            cwd=TESTS,
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        )
        try:
            yield child
        finally:
            try:
                child.communicate(timeout=30)  # the end of its input tells the cluster to end
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def wait_for(path: Path, child: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert child.poll() is None, (path.parent / "cluster").read_text()
        assert time.monotonic() < ends_s, f"{path.name} did not come"
        time.sleep(0.05)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_run_whose_head_is_killed_ends_and_the_next_one_ends_well(tmp_path: Path) -> None:
    """Ray's head dies when the intent is written and tasks are about to be handed out: the process ends by itself, and not as if all were
    well; no row is lost, and the next run compacts the table and clears up."""
    uri = str(tmp_path / "t")
    for number in range(6):
        write_deltalake(uri, pa.table({"n": range(number * 40, number * 40 + 40), "p": ["a", "b"] * 20}), mode="append", partition_by=["p"])
    before = sorted(DeltaTable(uri).to_pyarrow_table()["n"].to_pylist())
    with process(CLUSTER, tmp_path, "cluster") as cluster:
        wait_for(tmp_path / "address", cluster)
        with process(RUN, tmp_path, "run", RAY_gcs_rpc_server_reconnect_timeout_s="5") as run:
            assert run.wait(timeout=PATIENCE_S) in (1, 7), (tmp_path / "run").read_text()
    assert DeltaTable(uri).version() == 5
    settings = Settings(executor="serial", target_size="1MiB", min_input_files=2)
    ports = wire(open_store(uri, StorageOptions()), settings, care=Care(late_s=0))
    after = run_table(ports, settings.policy())
    assert (after.status, after.groups_committed) == (RunStatus.COMMITTED, 2), after.reason
    assert sorted(DeltaTable(uri).to_pyarrow_table()["n"].to_pylist()) == before
    assert list(Path(uri, "_compactor", "intents").glob("*")) == []
    live = {path.rpartition("/")[2] for path in DeltaTable(uri).file_uris()}
    assert {path.name for path in Path(uri).glob("p=*/*.zstd.parquet")} == live
    assert compactor.verify(uri).exit_code == 0
