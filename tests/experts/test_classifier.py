"""A classifier as a member of the fleet: shipped ones, an encoder's, and what it refuses."""

import asyncio

import numpy as np
import pytest
from tests.experts.test_encoder import Shelf, Words
from tests.routers.learned import world

from motet.config import ExpertEntry, Setting
from motet.errors import ArtifactError, ExpertUnavailable, RequestError
from motet.experts.build import build
from motet.moderation.classifier import TextClassifier
from motet.types import Request, State, Task, Texts


async def started(shelf=None, folder=None, **options):
    entry = ExpertEntry(id="c", engine="classifier", **options)
    made = build(entry, Setting(folder, encoders=shelf or Shelf()))
    made.verify({})
    await made.start()
    return made


def asking(*inputs):
    return Request(model="c", texts=Texts(task=Task.MODERATE, inputs=inputs))


async def judged(expert, *inputs):
    verdicts, _ = [chunk async for chunk in expert.stream(asking(*inputs))]
    return verdicts.values


@pytest.mark.parametrize("model", ["words", "letters"])
async def test_what_is_shipped_judges(model):
    expert = await started(model=model, threshold=0.6)
    angry, kind = await judged(expert, "I want to kill my boss.", "How do I bake bread?")
    assert angry.categories == ("violence",) and not kind.flagged and angry.threshold == 0.6
    assert len(expert.models(expert.entry, expert.setting)) == 0
    await expert.close()
    assert (await expert.health()).state is State.STARTING


def of_meaning(folder, digest=world.ENCODER.digest):
    weights = np.stack([world.ENCODER.encode(["contract court"])[0] * 20], axis=1)
    base = {"name": "fake", "digest": digest}
    bias = np.full(1, -10, np.float32)
    TextClassifier(("law",), "meaning", weights, bias, {}, base).save(folder)


async def test_meaning_is_read_in_an_encoders_vectors(tmp_path):
    of_meaning(tmp_path / "law")
    expert = await started(folder=tmp_path, model="law")
    many = [judged(expert, "contract court", f"sum {n}") for n in range(9)]
    for law, other in await asyncio.gather(*many):
        assert law.flagged and law.scores["law"] > 0.99 > other.scores["law"]
    with pytest.raises(ArtifactError, match="is another encoder"):
        await started(Shelf(Words("other")), tmp_path, model="law")


async def test_what_it_refuses():
    expert = build(ExpertEntry(id="c", engine="classifier", model="words"), Setting(None))
    with pytest.raises(ExpertUnavailable):
        await judged(expert, "a")
    await expert.start()
    for request in (asking((1, 2)), Request(model="c", messages=({"role": "user"},))):
        with pytest.raises(RequestError, match="judges texts, and nothing else"):
            await anext(expert.stream(request))
