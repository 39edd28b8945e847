"""An expert without answers is judged by those that are described alike."""

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import ArtifactError
from motet.routers.learned.coldstart import likeness

ASKED = world.queries(world.table(60, seed=7))


def test_an_expert_is_judged_by_those_described_alike():
    like = likeness(
        "prime algebra", {"solver": "algebra prime fraction", "coder": "python loop"}, world.ENCODER
    )
    assert like["solver"] > 0.8
    artifact = world.once("ridge").add("new", like=like)
    found = artifact.estimate(ASKED)
    solver = artifact.experts.index("solver")
    assert np.corrcoef(found.quality[:, 4], found.quality[:, solver])[0, 1] > 0.9
    assert (found.error[:, 4] >= found.error[:, solver] * 0.9).all()
    with pytest.raises(ArtifactError, match="'new' is judged by 'solver'"):
        artifact.remove("solver")
