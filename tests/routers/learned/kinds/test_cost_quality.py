"""Costs are learned beside quality, and follow the length of a prompt."""

import dataclasses

import numpy as np
from tests.routers.learned import world

from motet.routers.learned import Queries


def test_a_longer_prompt_costs_more():
    of = world.table(150)
    texts = tuple(text + " pad" * (row % 10) for row, text in enumerate(of.queries))
    length = np.log1p([len(text) for text in texts])[:, None]
    priced = dataclasses.replace(of, queries=texts, costs=(length * world.COSTS).astype(np.float32))
    artifact = world.trained("cost-quality", priced)
    vector = world.ENCODER.encode(["python loop"])
    short, long = (
        artifact.estimate(Queries(embeddings=vector, texts=("python loop" + " pad" * pads,)))
        for pads in (4, 9)
    )
    assert (long.cost > short.cost).all()
    np.testing.assert_array_equal(long.quality, short.quality)
