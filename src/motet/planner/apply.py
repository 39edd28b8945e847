"""A config with a plan written into it: what each pool takes, and who sleeps until it is asked."""

from __future__ import annotations

import copy
import math
from typing import Any

import orjson

from motet.config import Document, parse
from motet.planner.devices import USABLE
from motet.planner.plan import Plan, PlanSeat, Tier

_STEPS = 10_000  # Ray counts GPUs in parts of this size


def apply(document: Document, plan: Plan) -> Document:
    """Return `document` with the resources of every planned expert as the plan has them.

    A resident gets its keys and values as `memory`, its GPU as `device`, and its share of that as
    `gpus`: the shares of a device add up to one at most. Others keep no replica: their pools sleep
    until they are asked; with `residency` they keep one, whose engine the swapper loads. Experts of
    several GPUs keep their number; those and pools of several replicas live where Ray puts them.
    """
    written = copy.deepcopy(document.written)
    seats = {seat.demand.expert: seat for seat in plan.seats}
    for entry in written["experts"]:
        seat = seats.get(entry["id"])
        if seat is not None:
            wanted = _resources(seat, plan, entry)
            if document.config.residency is not None:
                wanted.pop("replicas", None)
            entry["resources"] = entry.get("resources", {}) | wanted
    text = orjson.dumps(written, option=orjson.OPT_INDENT_2).decode()
    return parse(text, name=document.name, folder=document.folder)


def _resources(seat: PlanSeat, plan: Plan, entry: dict[str, Any]) -> dict[str, Any]:
    demand = seat.demand
    resident = seat.state is Tier.RESIDENT
    kv = seat.kv if resident else demand.kv
    resources: dict[str, Any] = {"memory": kv // demand.parts}
    if demand.parts == 1 and plan.machine.gpus:
        share = seat.share
        if not resident:
            room = min(d.total for d in plan.machine.devices if d.memory >= demand.part)
            share = demand.part / room
        if resident and entry.get("resources", {}).get("replicas", {}).get("max", 1) == 1:
            resources["device"] = seat.devices[0]
        resources["gpus"] = min(1.0, math.floor(share / USABLE * _STEPS) / _STEPS)
    if not resident:
        replicas = entry.get("resources", {}).get("replicas", {})
        resources["replicas"] = {**replicas, "min": 0}
    return resources
