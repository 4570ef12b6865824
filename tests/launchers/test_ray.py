"""A search whose workers run on a Ray cluster of two nodes, one of which is killed and replaced in the middle."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launchers.searching import ROOT, Searching
from tests.workers.postgresql import PASSWORD, Server

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[subprocess.Popen[str]]:
    if importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None:
        pytest.skip("hydra-ray-launcher is not installed (pip install 'aero-search[ray]')")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.launchers.cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ray's workers have the environment of their node.
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "PGPASSWORD": PASSWORD,
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    )
    yield process
    process.communicate("\n\n", timeout=600)


def test_a_node_that_is_killed_takes_only_its_call_with_it(
    cluster: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert cluster.stdout is not None
    assert cluster.stdin is not None
    line = cluster.stdout.readline()
    while line and not line.startswith("cluster "):
        line = cluster.stdout.readline()  # Ray's own greetings
    _, address, second = line.split()
    overrides = [
        "hydra/launcher=ray",
        f"hydra.launcher.ray.init.address={address}",
        "seconds=2",
        # The launcher's default is refused by a cluster that is there already.
        "+hydra.launcher.ray.init.object_store_memory=null",
    ]
    with Server() as server, Searching(tmp_path, server, *overrides) as search:
        search.wait_for(4)
        assert len({call[3] for call in search.begun()}) == 2, "both nodes work"
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        trials = search.finish()
        assert sum("orphan" in t.user_attrs for t in trials) == 1
        nodes = [call[3] for call in search.begun()]
        assert second in nodes
        assert len(set(nodes)) == 3, "a worker goes on where there is room"
