"""Whether an adapter shares its base's engine or has weights of its own."""

import pytest
from tests.planner.fleets import demand, machine

from motet.config import parse
from motet.planner import make_plan
from motet.planner.adapters import HOT, advise

TEXT = """
version: 1
experts:
  - {id: base, engine: vllm, model: m}
  - {id: one, engine: vllm, base: base, adapter: x}
  - {id: two, engine: vllm, base: base, adapter: y}
"""


@pytest.mark.parametrize(
    ("devices", "traffic", "merged"),
    [
        ((10,), {"base": 1.0, "one": 1.0}, {}),
        ((10, 10), {"base": 1.0, "one": 1.0}, {"one": "idle"}),
        ((10, 10), {"base": 1.0, "one": 0.9 * HOT}, {}),
        ((10, 10), {"one": 2.0, "two": 1.0}, {"one": "idle"}),
        ((10, 10, 10), {"one": 2.0, "two": 1.0}, {"one": "idle", "two": "idle"}),
        ((10, 5), {"base": 1.0, "one": 1.0}, {}),
        ((10,), {"two": 1.0}, {"two": None}),
    ],
)
def test_the_hottest_take_the_idle_devices(devices, traffic, merged):
    plan = make_plan([demand("base", 8, 1.0)], machine(*devices))
    advice = advise(parse(TEXT), plan, traffic)
    idle = {device.name for device in plan.machine.devices if not plan.on(device.name)}
    found = {a.adapter: "idle" if a.device in idle else a.device for a in advice if a.merge}
    assert found == merged
    given = [a.device for a in advice if a.device]
    assert len(set(given)) == len(given)
    assert [a.traffic for a in advice] == sorted((a.traffic for a in advice), reverse=True)
    assert all(a.base == "base" and a.why for a in advice)
