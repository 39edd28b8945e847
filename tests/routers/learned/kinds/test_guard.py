"""The guard steps in where its part cannot know."""

import numpy as np
from tests.routers.learned import world

from motet.routers.learned import Queries


def test_guard_steps_in_far_from_what_it_knows():
    artifact = world.trained("guard", world.table(), coverage=0.9)
    foreign = "zebra quokka wombat lemur"
    strange = Queries(embeddings=world.ENCODER.encode([foreign]), texts=(foreign,))
    assert "best overall" in artifact.explain(strange)["reason"]
    overall = world.once("best-single").estimate(strange)
    np.testing.assert_array_equal(artifact.estimate(strange).quality, overall.quality)
