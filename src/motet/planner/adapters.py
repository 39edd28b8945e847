"""Whether an adapter shares its base's engine or is merged into weights of its own.

An adapter in a batch costs: a shared engine makes `SHARED` of the bare base's tokens. But engines
that take turns on the same cores cost more, since each step reads its own weights for a part of the
batch: five engines with merged weights made `SPLIT` of the shared engine's tokens at 4.3 times its
memory (benchmarks/adapters.py). So an adapter is merged where that needs no second engine on the
same device: when nobody else uses the engine, or when a device would stand idle. The rest shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from motet.config import Document
from motet.planner.plan import Plan
from motet.units import readable

SHARED = 0.69
SPLIT = 0.31
HOT = 0.2
"""Share of its engine's requests from which an adapter is worth an idle device: the engine it
leaves then has a quarter more to give."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is best for one adapter.

    Attributes
    ----------
    traffic
        Its share of the requests of the engine that it is on.
    device
        Where its merged weights go; None while it shares, or where they replace the base.
    """

    adapter: str
    base: str
    traffic: float
    merge: bool
    device: str | None
    why: str


def advise(document: Document, plan: Plan, traffic: Mapping[str, float] | None) -> list[Advice]:
    """Return the advice for every adapter of a config, the hottest of each engine first.

    Parameters
    ----------
    traffic
        Expert -> weight, as for `demands`; equal when absent.
    """
    bases = {e.id: e.base for e in document.config.experts if e.base is not None}
    seats = {seat.demand.expert: seat for seat in plan.seats}
    idle = [device for device in plan.machine.devices if not plan.on(device.name)]

    def weight(expert: str) -> float:
        return 1.0 if traffic is None else traffic.get(expert, 0.0)

    def share(adapter: str) -> float:
        base = bases[adapter]
        family = [base, *(other for other, its in bases.items() if its == base)]
        return weight(adapter) / (sum(map(weight, family)) or 1.0)

    advice = []
    for adapter in sorted(bases, key=lambda name: (bases[name], -share(name))):
        base, part = bases[adapter], share(adapter)
        demand = seats[base].demand
        merge, device = False, None
        if part == 1.0:
            merge, why = True, f"nobody else uses the engine: {1 / SHARED:.2f} times the tokens"
        elif part < HOT:
            why = f"{part:.0%} of the engine's requests" if part else "nobody asks for it"
        elif room := next((d for d in idle if demand.parts == 1 and d.memory >= demand.part), None):
            idle.remove(room)
            merge, device = True, room.name
            why = f"{part:.0%} of the engine's requests, and {room.name} is idle"
        else:
            why = (
                f"{part:.0%} of the engine's requests, but no idle device has "
                f"{readable(demand.part)}: engines that take turns make {SPLIT} of the tokens"
            )
        advice.append(Advice(adapter, base, part, merge, device, why))
    return advice
