"""Which expert lives where: weights, keys and values against the memory of devices."""

from motet.planner.adapters import Advice, advise
from motet.planner.apply import apply
from motet.planner.demand import Demand, demands
from motet.planner.devices import Device, Machine
from motet.planner.plan import Plan, PlanSeat, Tier, make_plan, plan_config

__all__ = [
    "Advice",
    "Demand",
    "Device",
    "Machine",
    "Plan",
    "PlanSeat",
    "Tier",
    "advise",
    "apply",
    "demands",
    "make_plan",
    "plan_config",
]
