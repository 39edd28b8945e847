"""Which expert lives where: weights, keys and values against the memory of devices."""

from motet.planner.apply import apply
from motet.planner.demand import Demand, demands
from motet.planner.devices import Device, Machine
from motet.planner.plan import Plan, Seat, State, make_plan

__all__ = ["Demand", "Device", "Machine", "Plan", "Seat", "State", "apply", "demands", "make_plan"]
