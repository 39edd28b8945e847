"""Adapters: as many parameters as asked for, learnt, and merged where they are served."""

import json

import pytest
from tests.tiny import save_tiny

from motet.config import ExpertEntry
from motet.errors import SourceError
from motet.experts.transformers import TransformersExpert, TransformersOptions
from motet.fusion.card import MemberCard
from motet.fusion.data import Example
from motet.fusion.lora import LoraOptions, adapt
from motet.fusion.members import load_member
from motet.types import Request
from motet.weights import Setting


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("lora")
    save_tiny(root / "ann", "llama")
    return root


def train(folder, **options):
    examples = [Example(Request(model="", prompt=f"town {n}"), " tin") for n in range(4)]
    losses = []
    size = adapt(
        MemberCard(id="ann", model="ann"),
        examples,
        folder / "taught",
        LoraOptions(**{"steps": 60, "batch": 4, "lr": 2e-2, "dtype": "float32"} | options),
        Setting(folder, folder / "cache"),
        lambda stage, *_: losses.append(float(stage.split()[-1])),
    )
    return size, losses


async def test_what_it_learnt_is_served(folder):
    _, losses = train(folder, rank=4)
    assert losses[-1] < 0.1 * losses[0]
    about = json.loads((folder / "taught" / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == "ann"
    said = {}
    for adapter in (None, "taught"):
        options = TransformersOptions(model="ann", adapter=adapter, dtype="float32")
        expert = TransformersExpert(
            ExpertEntry(id="ann", engine="transformers"),
            options,
            Setting(folder, folder / "cache"),
        )
        await expert.start()
        request = Request(model="ann", prompt="town 2", temperature=0.0, max_tokens=6)
        said[adapter] = "".join([chunk.text async for chunk in expert.stream(request)])
        await expert.close()
    assert said["taught"] == " tin" != said[None]


@pytest.mark.parametrize("wanted", [2_000, 5_000])
def test_its_size_is_the_nearest_that_ranks_allow(folder, wanted):
    sizes = {rank: train(folder, rank=rank, steps=1)[0] for rank in (1, 2)}
    step = sizes[2] - sizes[1]
    assert sizes[1] == step
    found, _ = train(folder, parameters=wanted, steps=1)
    assert abs(found - wanted) <= step / 2 or found == step


async def test_an_adapter_that_is_absent(folder):
    options = TransformersOptions(model="ann", adapter="nowhere", dtype="float32")
    expert = TransformersExpert(
        ExpertEntry(id="ann", engine="transformers"), options, Setting(folder, folder / "cache")
    )
    with pytest.raises(SourceError, match="nowhere holds no adapter_model"):
        await expert.start()


def test_a_control_stands_on_the_adapter_of_its_primary(folder):
    """A primary that is an adapter itself: its control learns on top of it, and is loaded so."""
    train(folder, rank=4)
    setting = Setting(folder, folder / "cache")
    primary = MemberCard(id="expert", model="ann", adapter="taught")
    about = Example(Request(model="", prompt="never taught"), " zinc")
    options = LoraOptions(steps=30, batch=2, rank=2, lr=2e-2, dtype="float32")
    out = folder / "control"
    adapt(primary, [about], out, options, setting)
    said = {}
    for name, card, control in (
        ("both", primary, out),
        ("primary", primary, None),
        ("control", primary.model_copy(update={"adapter": None}), out),
    ):
        member = load_member(card, setting, levels=1, dtype="float32", control=control)
        for question in ("town 2", "never taught"):
            tokens = member.encode(Request(model="", prompt=question)).tokens
            said[name, question] = member.tokenizer.decode(member.read(tokens, draft=6)[1])
    assert said["primary", "town 2"] == " tin"
    assert said["both", "never taught"] == " zinc" != said["primary", "never taught"]
    assert said["control", "never taught"] != " zinc"  # it was not learnt on the base alone
