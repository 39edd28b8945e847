"""The network keeps the experts that are worth their toll."""

import numpy as np
from tests.routers.learned import world

ASKED = world.queries(world.table(60, seed=7))


def test_fusion_keeps_only_experts_worth_their_toll():
    found = world.trained("fusion-of-experts", world.table(300), toll=0.02).estimate(ASKED)
    kept = np.isfinite(found.quality).all(axis=0)
    assert list(kept) == [True, True, True, False]
