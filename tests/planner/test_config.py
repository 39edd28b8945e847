"""A config planned in one call, as Python programs do it."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from motet.config import parse
from motet.errors import ConfigError
from motet.planner import Tier, plan_config
from motet.planner.devices import parse_machine

CONFIG = """
version: 1
experts:
  - {id: base, engine: vllm, model: m, context: 512}
  - {id: tuned, engine: vllm, base: base, adapter: a, pinned: true}
  - {id: other, engine: transformers, model: m, context: 512}
  - {id: far, engine: openai, url: "http://127.0.0.1:9/v1", model: x}
"""


@pytest.fixture
def document(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.zeros(1 << 20, np.float16)}, tmp_path / "m" / "model.safetensors")
    about = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    (tmp_path / "m" / "config.json").write_text(json.dumps({**about, "dtype": "float16"}))
    return parse(CONFIG, name="experts.yaml", folder=tmp_path)


def test_who_holds_a_model_has_a_seat_and_an_adapter_pins_its_base(document):
    plan = plan_config(document, parse_machine("2GiB"), traffic={"other": 9.0, "tuned": 1.0})
    seats = {seat.demand.expert: seat for seat in plan.seats}
    assert set(seats) == {"base", "other"}
    assert seats["base"].demand.pinned and seats["base"].state is Tier.RESIDENT
    assert seats["base"].demand.traffic == pytest.approx(0.1)


def test_more_may_be_pinned_than_the_config_pins(document):
    plan = plan_config(document, parse_machine("4GiB"), pinned=["other"])
    assert all(seat.demand.pinned for seat in plan.seats)
    with pytest.raises(ConfigError, match="no expert 'othr'. Did you mean 'other'"):
        plan_config(document, parse_machine("4GiB"), pinned=["othr"])


def test_this_machine_is_where_nothing_else_is_said(document):
    assert [device.name for device in plan_config(document).machine.devices] == ["cpu"]


def test_a_config_without_models_is_told(tmp_path):
    document = parse("version: 1\nexperts:\n  - {id: e, engine: fake}\n", name="x", folder=tmp_path)
    with pytest.raises(ConfigError, match="x: no expert of this config holds a model here"):
        plan_config(document)
