"""Policies compared on a config, as Python programs do it."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ConfigError
from motet.planner.devices import parse_machine
from motet.planner.simulate.compare import compare, scenario_of
from motet.planner.simulate.trace import Trace, make_trace

CONFIG = """
version: 1
experts:
  - {id: base, engine: vllm, model: m, context: 512, resources: {memory: 1MiB}}
  - {id: tuned, engine: vllm, base: base, adapter: a}
  - {id: other, engine: transformers, model: m, dtype: float16, context: 512}
"""
NAMES = ("base", "tuned", "other")


@pytest.fixture
def document(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.zeros(1 << 20, np.float16)}, tmp_path / "m" / "model.safetensors")
    about = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    (tmp_path / "m" / "config.json").write_text(json.dumps({**about, "dtype": "float16"}))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    save_file({"x": np.zeros(1, np.float16)}, tmp_path / "a" / "adapter_model.safetensors")
    return parse(CONFIG, name="experts.yaml", folder=tmp_path)


def test_an_adapter_runs_on_the_engine_of_its_base(document):
    trace = make_trace(NAMES, 300, rate=0.2)
    scenario = scenario_of(document, assemble(document).experts, trace, memory=4 << 20)
    assert scenario.trace.names == ("base", "base", "other")
    (home,) = scenario.homes
    assert [engine.expert for engine in home.experts] == ["base", "other"]
    told = []
    played = compare(scenario, ["lru", "worth"], lambda *it: told.append(it))
    assert list(played) == ["lru", "worth"]
    for each in played.values():
        assert len(each.outcome.wait_s) == 300 and each.requests_per_second > 0


def test_of_two_alike_one_has_room_and_they_take_turns(document):
    at = np.arange(6) * 1000.0
    trace = Trace(NAMES, at, np.array([0, 2, 1, 2, 0, 2]), np.ones(6))
    experts = assemble(document).experts
    small = scenario_of(document, experts, trace, memory=4 << 20)
    large = scenario_of(document, experts, trace, memory=64 << 20)
    loads = [compare(it, ["lru"])["lru"].outcome.loads for it in (small, large)]
    assert loads == [6, 2]


def test_a_machine_is_filled_as_the_planner_says(document):
    trace = make_trace(NAMES, 100, rate=0.2)
    machine = parse_machine("2GiB,2GiB")
    scenario = scenario_of(document, assemble(document).experts, trace, machine=machine)
    homes = [{engine.expert for engine in home.experts} for home in scenario.homes]
    assert sorted(map(sorted, homes)) == [["base"], ["other"]]
    assert compare(scenario, ["worth"])["worth"].outcome.served.all()


def test_a_config_without_models_is_told(tmp_path):
    document = parse("version: 1\nexperts:\n  - {id: e, engine: fake}\n", name="x", folder=tmp_path)
    with pytest.raises(ConfigError, match="x: no expert of this config holds a model here"):
        scenario_of(document, assemble(document).experts, make_trace(["e"], 10, rate=1.0))
