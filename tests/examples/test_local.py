"""The shipped fleet in one process is the shipped fleet, and needs nothing else to run."""

import pytest

from motet.config import load
from motet.service.motet import Motet

OWN = {"engine", "model", "base"}
"""What an engine decides."""


def test_it_is_the_same_fleet():
    fleet, local = (load(name).config for name in ("experts.yaml", "experts.local.yaml"))
    assert local.model_dump(exclude={"experts"}) == fleet.model_dump(exclude={"experts"})
    for ours, theirs in zip(local.experts, fleet.experts, strict=True):
        assert ours.engine == "transformers"
        assert ours.model_dump(exclude=OWN) == theirs.model_dump(exclude=OWN)


@pytest.mark.engine
async def test_it_answers_from_python():
    async with Motet.from_file("experts.local.yaml") as service:
        reply = await service.chat("smollm", "Name the capital of France.", temperature=0)
        assert "Paris" in reply.text
