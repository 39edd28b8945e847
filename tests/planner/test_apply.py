"""A plan written into a config: shares, memory, and who sleeps."""

from hypothesis import given
from hypothesis import strategies as st

from motet.config import parse
from motet.planner import Demand, apply, make_plan
from motet.planner.devices import USABLE, parse_machine
from motet.planner.plan import Tier

GIB = 2**30
TEXT = """
version: 1
experts:
  - {id: far, engine: openai, url: 'http://far/v1', model: m, api_key: '${KEY:-none}'}
  - {id: a, engine: vllm, model: m, resources: {replicas: {min: 2, max: 3}}}
  - {id: b, engine: vllm, model: m, context: 512}
  - {id: c, engine: vllm, model: m}
  - {id: lora, engine: vllm, base: a, adapter: x}
service: {port: 8123}
"""


def demand(expert, weights, kv, traffic, parts=1):
    return Demand(expert, int(weights * GIB), int(kv * GIB), traffic, parts=parts)


def test_residents_get_shares_and_others_sleep():
    document = parse(TEXT)
    demands = [demand("a", 8, 4, 0.6), demand("b", 4, 2, 0.3), demand("c", 12, 2, 0.1)]
    plan = make_plan(demands, parse_machine("24GiB"))
    planned = apply(document, plan)
    found = {entry.id: entry for entry in planned.config.experts}
    states = {seat.demand.expert: seat.state for seat in plan.seats}
    assert states == {"a": Tier.RESIDENT, "b": Tier.RESIDENT, "c": Tier.ON_DISK}
    seats = {seat.demand.expert: seat for seat in plan.seats}
    for name in "ab":
        resources = found[name].resources
        assert int(resources.memory) == seats[name].kv
        assert abs(resources.gpus * USABLE - seats[name].share) < 2e-4
    assert found["a"].resources.replicas.min == 2
    assert found["a"].resources.device is None, "its replicas need more than one"
    assert (found["b"].resources.device, found["c"].resources.device) == ("gpu-0", None)
    assert found["c"].resources.replicas.min == 0 and found["c"].resources.gpus > 0
    assert int(found["c"].resources.memory) == 2 * GIB
    assert found["lora"].resources == document.config.experts[4].resources
    assert planned.config.service == document.config.service
    assert found["b"].context == 512
    assert "${KEY:-none}" in planned.text, "secrets stay where they are"


@given(
    sizes=st.lists(
        st.tuples(st.floats(0.5, 8), st.floats(0.1, 8), st.floats(0.01, 1)), min_size=3, max_size=3
    ),
    devices=st.sampled_from(["24GiB", "2x24GiB", "l4,a100-40g"]),
)
def test_shares_of_a_device_never_exceed_it(sizes, devices):
    demands = [demand(name, *size) for name, size in zip("abc", sizes, strict=True)]
    plan = make_plan(demands, parse_machine(devices), seconds=0.5)
    found = {entry.id: entry for entry in apply(parse(TEXT), plan).config.experts}
    for device in plan.machine.devices:
        assert sum(found[seat.demand.expert].resources.gpus for seat in plan.on(device.name)) <= 1


def test_every_resident_is_told_its_device():
    text = TEXT.replace("{replicas: {min: 2, max: 3}}", "{}")
    plan = make_plan([demand(name, 10, 4, 0.3) for name in "abc"], parse_machine("40GiB,24GiB"))
    found = {entry.id: entry for entry in apply(parse(text), plan).config.experts}
    assert {seat.demand.expert: seat.devices[0] for seat in plan.seats} == {
        name: found[name].resources.device for name in "abc"
    }
    assert len({found[name].resources.device for name in "abc"}) == 2


def test_with_residency_the_swapper_sees_to_those_who_sleep():
    document = parse(TEXT + "residency: {memory: 20GiB}\n")
    demands = [demand("a", 8, 4, 0.6), demand("b", 4, 2, 0.3), demand("c", 12, 2, 0.1)]
    found = {e.id: e for e in apply(document, make_plan(demands, parse_machine("24GiB"))).config.experts}  # fmt: skip
    assert found["c"].resources.replicas.min == 1


def test_experts_of_several_gpus_keep_their_number():
    text = TEXT.replace("{id: c, engine: vllm, model: m}", "{id: c, engine: vllm, model: m, resources: {gpus: 2}}")  # fmt: skip
    plan = make_plan([demand("c", 20, 8, 1.0, parts=2)], parse_machine("2x24GiB"))
    found = {entry.id: entry for entry in apply(parse(text), plan).config.experts}
    assert found["c"].resources.gpus == 2
    assert int(found["c"].resources.memory) == plan.seats[0].kv // 2


def test_on_a_cpu_only_memory_is_planned():
    plan = make_plan([demand("a", 1, 1, 1.0)], parse_machine("cpu:8GiB"))
    found = {entry.id: entry for entry in apply(parse(TEXT), plan).config.experts}
    assert found["a"].resources.gpus == 0 and int(found["a"].resources.memory) == plan.seats[0].kv
