"""What a kind cannot learn from is refused before it learns."""

import dataclasses

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import ConfigError, TableError
from motet.routers.learned.fit import train


def test_tables_that_a_kind_cannot_learn_from():
    bare = dataclasses.replace(world.table(costs=False), queries=None)
    with pytest.raises(TableError, match="reads embeddings"):
        train(bare, None, "ridge")
    with pytest.raises(TableError, match="no 'query' column"):
        train(bare, None, "length")
    with pytest.raises(TableError, match="no 'cost:' columns"):
        world.trained("cost-quality", world.table(costs=False))
    with pytest.raises(TableError, match="do not fit embeddings"):
        train(world.table(), np.zeros((3, 4), np.float32), "ridge", {}, world.ENCODER)
    with pytest.raises(ConfigError, match="unknown learned router 'rigde'.*'ridge'"):
        world.trained("rigde", world.table())
    with pytest.raises(ConfigError, match="ridge: unknown option 'alpha'.*'alphas'"):
        world.trained("ridge", world.table(), alpha=3)
