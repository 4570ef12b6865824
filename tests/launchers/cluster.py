"""A Ray cluster of two nodes on this machine; another takes the place of the second when told to.

Run as `python -m tests.launchers.cluster`: prints the address and the second node's id, reads a line, kills the
node and adds another, reads a line and ends.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    settings = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**settings, "include_dashboard": False})
    second = cluster.add_node(**settings)
    cluster.wait_for_nodes()
    print("cluster", cluster.address, second.node_id, flush=True)
    sys.stdin.readline()
    cluster.remove_node(second, allow_graceful=False)
    cluster.add_node(**settings)
    sys.stdin.readline()
    cluster.shutdown()


if __name__ == "__main__":
    main()
