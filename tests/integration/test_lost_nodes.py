"""A Ray cluster that loses a node in the middle of its tasks. In a process of its own, as a process can be in one cluster only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DRIVER = """
import json, shutil, sys, tempfile, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from support import tasks as t
from compactor.ambient import SystemClock
from compactor.execution.on_ray import RayExecutor
from compactor.execution.work import Limits, Toolkit

root = Path(sys.argv[1])
folder = tempfile.mkdtemp(prefix="lost-")  # short: sockets lie in it
node = {"memory": 512 * t.MIB, "object_store_memory": 80 * t.MIB}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, **node})
first, second = (cluster.add_node(num_cpus=1, **node) for _ in range(2))
cluster.wait_for_nodes()
toolkit = Toolkit(worker=t.behave, open_store=t.open_empty)
executor = RayExecutor(clock=SystemClock(), address=cluster.address, limits=Limits(), toolkit=toolkit)


def begun(number):
    while len(list(root.glob("*.began"))) < number:
        time.sleep(0.02)


def lose_one():
    begun(2)
    for node in (second, first):
        try:
            cluster.remove_node(node, allow_graceful=False)
            break
        except ValueError:
            pass  # this process is connected to it
    (root / "go").touch()


threading.Thread(target=lose_one, daemon=True).start()
outcomes = list(executor.run(t.job(root), t.tasks(["wait", "wait", "ok", "ok"])))
told = {"attempts": {outcome.group_id: getattr(outcome, "attempt", repr(outcome)) for outcome in outcomes}}
print(json.dumps(told), flush=True)
ray.shutdown()
cluster.shutdown()
shutil.rmtree(folder, ignore_errors=True)
"""


@pytest.mark.ray
def test_a_lost_node_costs_what_ran_there(tmp_path: Path) -> None:
    """A node killed in the middle of a task costs that attempt, which runs again elsewhere; what ran on other nodes is untouched."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    with (tmp_path / "said").open("w") as said:
        child = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=TESTS, env=environment, stdout=said, stderr=subprocess.DEVNULL
        )
        try:
            assert child.wait(timeout=150) == 0
        finally:
            child.kill()
            child.wait()
    lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines() if line.startswith("{")]
    attempts = lines[0]["attempts"]
    assert sorted(attempts) == ["0", "1", "2", "3"]
    assert sorted(attempts.values()) == [0, 0, 0, 1], "only what ran on the lost node was tried again"
