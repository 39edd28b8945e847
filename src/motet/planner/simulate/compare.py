"""Policies side by side on a config, a trace and devices: what each makes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from motet.config import Document
from motet.experts import Expert
from motet.experts.footprint import default_budget
from motet.planner.devices import Machine
from motet.planner.simulate.homes import Home, here, hosts_of, planned
from motet.planner.simulate.pace import Pace
from motet.planner.simulate.run import PolicyOutcome, simulate, together
from motet.planner.simulate.trace import Trace
from motet.progress import Progress, silent
from motet.residency.actions import Bounds

_PLANNING_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is played.

    Attributes
    ----------
    homes
        The devices, with the engines that live on each.
    trace
        Requests for engines: an adapter's are its base's.
    rules
        Bounds of waiting; the memory is each device's own.
    """

    homes: Sequence[Home]
    trace: Trace
    rules: Bounds
    pace: Pace


@dataclass(frozen=True, slots=True)
class Played:
    """What a policy made of a scenario, and how many requests a second were simulated."""

    outcome: PolicyOutcome
    requests_per_second: float


def scenario_of(
    document: Document,
    experts: Mapping[str, Expert],
    trace: Trace,
    *,
    machine: Machine | None = None,
    memory: int | None = None,
    pace: Pace | None = None,
    concurrency: int = 8,
) -> Scenario:
    """Return the scenario of a config.

    Parameters
    ----------
    experts
        Those of the config, not started.
    trace
        Requests for experts that hold a model.
    machine
        Where the planner places them; without one they share this machine's memory.
    memory
        Bytes of that; what the config's residency may take, or else the free memory, when None.
    concurrency
        Requests that an engine runs at once, on a `machine`.

    Raises
    ------
    ConfigError
        Nobody holds a model, an expert fits nowhere, or its size is not known.
    """
    owner = hosts_of(document)
    pace = pace or Pace()
    trace = replace(trace, names=tuple(owner[name] for name in trace.names))
    settings = document.config.residency
    if memory is None:
        memory = default_budget() if settings is None else int(settings.memory)
    rules = Bounds(memory) if settings is None else replace(Bounds.of(settings), budget=memory)
    if machine is None:
        held = {name: experts[name] for name in dict.fromkeys(owner.values())}
        homes = here(held, memory, pace)
    else:
        traffic = _traffic(trace)
        homes = planned(
            document, machine, pace, traffic, concurrency=concurrency, seconds=_PLANNING_S
        )
    return Scenario(homes=homes, trace=trace, rules=rules, pace=pace)


def compare(
    scenario: Scenario, policies: Sequence[str], progress: Progress = silent
) -> dict[str, Played]:
    """Return what each of `policies`, names in `POLICIES`, makes of a scenario."""
    return {policy: _played(scenario, policy, progress) for policy in policies}


def _played(scenario: Scenario, policy: str, progress: Progress) -> Played:
    trace = scenario.trace
    began, parts, done = time.perf_counter(), [], 0
    for home in scenario.homes:
        part, rows = trace.of([engine.expert for engine in home.experts])

        def report(count: float, done: int = done) -> None:
            progress(policy, done + count, len(trace))

        rules = replace(scenario.rules, budget=home.memory)
        parts.append((simulate(home.experts, part, rules, policy, scenario.pace, report), rows))
        done += len(part)
    outcome = together(parts, len(trace))
    return Played(outcome, len(trace) / (time.perf_counter() - began))


def _traffic(trace: Trace) -> dict[str, float]:
    """Return how often each engine of a trace is asked."""
    counts = np.bincount(trace.expert, minlength=len(trace.names))
    traffic: dict[str, float] = {}
    for name, count in zip(trace.names, counts.tolist(), strict=True):
        traffic[name] = traffic.get(name, 0.0) + count
    return traffic
