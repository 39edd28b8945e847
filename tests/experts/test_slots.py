"""How many requests an engine takes at once is what the engine says, everywhere."""

from pathlib import Path

import pytest

from motet.config import ExpertEntry
from motet.experts.base import SLOTS
from motet.experts.build import build
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
