"""Why a replica that waits is on no node: what it takes, and what every node has free.

Serve says of it only that it starts, for as long as it waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ReplicaState

from motet.units import readable

Amounts = Mapping[str, float]
"""Amounts of Ray's resources by name, such as CPU, GPU, memory and motet-h100-0."""

_ALWAYS_SHOWN = ("CPU", "GPU")
_UNSEEN = 1e-6
"""Less than Ray counts."""
_REMEDIES = {
    "CPU": "free some, or give `ray start` a greater --num-cpus: it counts places, not cores",
    "GPU": "lower `resources.gpus`, free some, or add a node with GPUs",
    "memory": "free some, or add a node with more memory",
}


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What a node has of each resource, and how much of that is free."""

    name: str
    total: Amounts
    free: Amounts


def shortages() -> dict[str, str]:
    """Return, by application, why replicas wait that no node of the connected Ray has room for."""
    if not ray.is_initialized():
        return {}
    try:
        client = serve.context._get_global_client()
        starting = dict(_on_no_node(client.get_serve_details()["applications"]))
        if not starting:
            return {}
        cluster = get_cluster_status(ray.get_runtime_context().gcs_address)
        groups = {group["name"]: group for group in ray.util.placement_group_table().values()}
    except (RayError, RayServeException, RuntimeError):
        return {}  # the controller or Ray itself is on its way
    pending = [
        dict(request.bundle)
        for demand in cluster.resource_demands.ray_task_actor_demand
        for request in demand.bundles_by_count
    ]
    nodes = [_room_of(node) for node in (*cluster.active_nodes, *cluster.idle_nodes)]
    reasons = {}
    for name, (actor, takes) in starting.items():
        # Whose process is being made has its place already, and is no longer asked for.
        if (group := groups.get(actor)) is not None:
            bundles, waits = list(group["bundles"].values()), group["state"] == "PENDING"
        else:
            bundles, waits = [takes], any(_same(takes, each) for each in pending)
        if waits and (reason := explain(bundles, nodes)):
            reasons[name] = reason
    return reasons


def explain(bundles: Sequence[Amounts], nodes: Sequence[NodeRoom]) -> str:
    """Return why there is no room for a replica; empty when there is.

    Parameters
    ----------
    bundles
        What the replica takes: each of them whole on one node.
    """
    if _fit(bundles, nodes):
        return ""
    takes = " + ".join(_amounts(bundle) for bundle in bundles)
    names = list(dict.fromkeys((*_ALWAYS_SHOWN, *(name for each in bundles for name in each))))
    here = "; ".join(f"{node.name} has {_free(node, names)}" for node in nodes)
    short = [name for name in names if not _fit([_only(each, name) for each in bundles], nodes)]
    remedies = ", and ".join(_remedy(name) for name in short or names if _asked(bundles, name))
    return f"no node has room for a replica, which takes {takes}: {here}. Remedy: {remedies}."


def _on_no_node(applications: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Amounts]]]:
    """Yield the applications with a replica that is on no node yet: its actor and what that takes.

    What one with a placement group takes is the group's to say.
    """
    for name, application in applications.items():
        for deployment in application["deployments"].values():
            takes = _of_actor(deployment["deployment_config"]["ray_actor_options"])
            for replica in deployment["replicas"]:
                if replica["state"] == ReplicaState.STARTING and not replica.get("node_id"):
                    yield name, (replica["actor_name"], takes)


def _of_actor(options: Mapping[str, Any]) -> Amounts:
    amounts = {
        "CPU": options.get("num_cpus", 1),
        "GPU": options.get("num_gpus"),
        "memory": options.get("memory"),
        **(options.get("resources") or {}),
    }
    return {name: amount for name, amount in amounts.items() if amount}


def _room_of(node: Any) -> NodeRoom:
    usage = node.resource_usage.usage
    total = {each.resource_name: each.total for each in usage}
    free = {each.resource_name: each.total - each.used for each in usage}
    return NodeRoom(node.ip_address, total, free)


def _fit(bundles: Sequence[Amounts], nodes: Sequence[NodeRoom]) -> bool:
    """Return whether every bundle finds a node, the first that has room for it."""
    free = [dict(node.free) for node in nodes]
    for bundle in bundles:
        for room in free:
            if all(room.get(name, 0) - amount > -_UNSEEN for name, amount in bundle.items()):
                for name, amount in bundle.items():
                    room[name] = room.get(name, 0) - amount
                break
        else:
            return False
    return True


def _same(left: Amounts, right: Amounts) -> bool:
    names = {*left, *right}
    return all(abs(left.get(name, 0) - right.get(name, 0)) < _UNSEEN for name in names)


def _only(bundle: Amounts, name: str) -> Amounts:
    return {name: bundle.get(name, 0)}


def _asked(bundles: Sequence[Amounts], name: str) -> bool:
    return any(bundle.get(name) for bundle in bundles)


def _amounts(bundle: Amounts) -> str:
    return " and ".join(f"{_shown(name, amount)} {name}" for name, amount in bundle.items())


def _free(node: NodeRoom, names: Sequence[str]) -> str:
    parts = (
        f"{_shown(name, node.free.get(name, 0))} of {_shown(name, node.total.get(name, 0))} {name}"
        for name in names
    )
    return ", ".join(parts) + " free"


def _shown(name: str, amount: float) -> str:
    return readable(amount) if name == "memory" else f"{round(amount, 4):g}"


def _remedy(name: str) -> str:
    other = f"start a node with --resources='{{\"{name}\": 1}}'"
    return _REMEDIES.get(name, other)
