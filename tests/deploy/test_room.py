"""What is said of a replica that no node has room for."""

import pytest

from motet.deploy.room import NodeRoom, explain


def node(name, free, total=None):
    return NodeRoom(name, total or free, free)


ONE = node("10.0.0.1", {"CPU": 0.5, "memory": 2**31}, {"CPU": 4, "memory": 2**33})
GPUS = node("10.0.0.2", {"CPU": 6, "GPU": 1}, {"CPU": 8, "GPU": 2})


@pytest.mark.parametrize(
    ("bundles", "nodes"),
    [
        ([{"CPU": 0.5}], [ONE]),
        ([{"CPU": 0.1 + 0.2}], [node("a", {"CPU": 0.3})]),
        ([{"CPU": 1, "GPU": 1}], [ONE, GPUS]),
        ([{"CPU": 6}, {"CPU": 0.5}], [ONE, GPUS]),
    ],
)
def test_where_a_replica_fits_nothing_is_said(bundles, nodes):
    assert explain(bundles, nodes) == ""


def test_no_cpu_is_said_whole_and_with_the_numbers():
    assert explain([{"CPU": 8}], [ONE, GPUS]) == (
        "no node has room for a replica, which takes 8 CPU: "
        "10.0.0.1 has 0.5 of 4 CPU, 0 of 0 GPU free; 10.0.0.2 has 6 of 8 CPU, 1 of 2 GPU free. "
        "Remedy: free some, or give `ray start` a greater --num-cpus: it counts places, not cores."
    )


@pytest.mark.parametrize(
    ("bundles", "takes", "remedy"),
    [
        ([{"CPU": 1, "GPU": 4}], "1 CPU and 4 GPU:", "Remedy: lower `resources.gpus`, free some, or"),
        ([{"CPU": 1, "GPU": 1}] * 2, "1 CPU and 1 GPU + 1 CPU and 1 GPU:", "Remedy: lower `resources.gpus`"),
        ([{"memory": 2**32}], "4 GiB memory:", "2 GiB of 8 GiB memory free"),
        ([{"motet-h100-0": 0.01}], "0.01 motet-h100-0:", "start a node with --resources='{\"motet-h100-0\": 1}'."),
        # Each is there, but not on one node: all are named.
        ([{"CPU": 1, "memory": 2**30}], "1 CPU and 1 GiB memory:", "free some, or add a node with more memory."),
    ],
)  # fmt: skip
def test_the_remedy_is_for_what_is_short(bundles, takes, remedy):
    told = explain(bundles, [ONE, GPUS])
    assert f"which takes {takes}" in told and remedy in told


def test_a_ray_without_nodes_has_no_room():
    assert explain([{"CPU": 1}], []).startswith("no node has room")
