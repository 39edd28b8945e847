"""The seam of all engines: how many requests one takes, and what its card says."""

from pathlib import Path

import pytest

from motet.config import ExpertEntry
from motet.experts.base import SLOTS
from motet.experts.build import build
from motet.types import Capability, Price
from motet.weights import Setting


@pytest.mark.parametrize(
    ("engine", "options", "slots"),
    [
        ("fake", {}, SLOTS),
        ("transformers", {"model": "m", "max_batch": 3}, 3),
        ("latent", {"artifact": "a", "max_batch": 5}, 5),
        ("vllm", {"model": "m", "ongoing_requests": 7}, 7),
    ],
)
def test_an_engine_says_how_many_requests_it_takes(engine, options, slots):
    entry = ExpertEntry(id="x", engine=engine, **options)
    assert build(entry, Setting(Path(), Path())).slots == slots


def test_a_card_says_what_the_config_says_and_the_engine_the_rest():
    fields = {"context": 9, "skills": ["law"], "price": {"input": 1, "output": 2}}
    card = build(ExpertEntry(id="x", engine="fake", **fields), Setting(Path(), Path())).card
    assert (card.id, card.engine, card.context, card.skills) == ("x", "fake", 9, ("law",))
    assert card.price == Price(1, 2) and card.capabilities == frozenset(Capability)
    entry = ExpertEntry(id="x", engine="fake", capabilities=["chat"])
    assert build(entry, Setting(Path(), Path())).card.capabilities == {Capability.CHAT}
    held = ExpertEntry(id="y", engine="transformers", model="org/m")
    assert build(held, Setting(Path(), Path())).card.model == "org/m"
