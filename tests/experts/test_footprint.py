"""One account of an expert's bytes: the plan, the swapper and a batch count the same."""

from pathlib import Path

import pytest

from motet.batch.loading import local_engines
from motet.composer.assembly import assemble
from motet.config import ExpertEntry, load, parse
from motet.deploy.batch.pools import PoolLoader
from motet.experts.build import holds_model
from motet.experts.footprint import Footprint, footprint
from motet.planner import demands, make_plan
from motet.planner.apply import apply
from motet.planner.devices import parse_machine
from motet.residency.engines import LocalEngines
from motet.weights import Setting

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.tiny import save_tiny

MIB = 2**20
HERE = """
version: 1
experts:
  - {id: exact, engine: transformers, model: llama, dtype: float32}
  - {id: half, engine: transformers, model: llama, dtype: bfloat16, context: 512}
  - {id: auto, engine: transformers, model: gemma, resources: {memory: 3MiB}}
  - {id: far, engine: openai, url: 'http://far/v1', model: m}
"""
POOLS = (
    HERE
    + """
  - {id: pool, engine: vllm, model: llama}
  - {id: sized, engine: vllm, model: gemma, resources: {memory: 5MiB}}
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in ("llama", "gemma"):
        save_tiny(folder / kind, kind)
    return folder


async def counted(document):
    """Return what every engine takes: by the plan, by a swapper, and by a batch."""
    held = {e.id: e for e in document.config.experts if holds_model(e)}
    experts = {name: e for name, e in assemble(document).experts.items() if name in held}
    local = all(expert.home == "pool" for expert in experts.values())
    loader = local_engines(experts) if local else PoolLoader(document, experts)
    plan = {d.expert: d.weights + d.kv for d in demands(document)}
    return plan, await LocalEngines(experts).sizes(held), await loader.sizes(held)


@pytest.mark.parametrize("text", [HERE, POOLS])
@pytest.mark.parametrize("devices", ["cpu:64GiB", "2x40GiB", "3GiB"])
async def test_a_plan_that_is_followed_takes_what_it_says(folder, text, devices):
    document, machine = parse(text, folder=folder), parse_machine(devices)
    plan = make_plan(demands(document, gpu=machine.gpus), machine)
    planned = {s.demand.expert: s.demand.weights + (s.kv or s.demand.kv) for s in plan.seats}
    followed = apply(document, plan)
    by_plan, by_swapper, by_batch = await counted(followed)
    assert by_plan == by_swapper == by_batch
    assert by_swapper == {name: pytest.approx(size, abs=1) for name, size in planned.items()}


async def test_a_config_without_a_plan_differs_by_room_for_requests_alone(folder):
    document = parse(POOLS, folder=folder)
    _, by_swapper, by_batch = await counted(document)
    assert by_swapper == by_batch
    for demand, entry in zip(demands(document), filter(holds_model, document.config.experts), strict=True):  # fmt: skip
        alone = footprint(entry, Setting(folder, folder))
        assert demand.weights == alone.weights
        assert by_swapper[demand.expert] == alone.loaded
        if entry.resources.memory:
            assert demand.kv == alone.keys_values


@pytest.mark.engine
async def test_the_shipped_fleet():
    document = load("experts.yaml")
    machine = parse_machine("cpu:64GiB")
    followed = apply(document, make_plan(demands(document, gpu=False), machine))
    by_plan, by_swapper, by_batch = await counted(followed)
    assert by_plan == by_swapper == by_batch and len(by_plan) > 1


def test_a_cpu_counts_32_bits_where_the_engine_may_choose_them(folder):
    entry = ExpertEntry(id="x", engine="transformers", model="llama")
    setting = Setting(folder, folder)
    on_cpu, on_gpu = footprint(entry, setting), footprint(entry, setting, gpu=True)
    exact = ExpertEntry(id="x", engine="transformers", model="llama", dtype="bfloat16")
    assert footprint(exact, setting).weights < on_cpu.weights
    assert on_gpu.weights <= on_cpu.weights


def test_what_is_not_known_is_not_counted():
    nowhere = Setting(Path(), Path())
    entry = ExpertEntry(id="x", engine="fake-pool")
    assert footprint(entry, nowhere) is None
    sized = ExpertEntry(id="x", engine="fake-pool", resources={"memory": 3 * MIB})
    assert footprint(sized, nowhere) == Footprint(0, 3 * MIB)
    assert footprint(ExpertEntry(id="x", engine="vllm", model="no/where"), nowhere) is None
