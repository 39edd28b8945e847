"""A fusion for the tests of one file, and its layers with gates that are open."""

import pytest
from tests.fusion.world import make_world, opened


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("fusion"))


@pytest.fixture
def layers(world):
    """Open layers, restored afterwards."""
    state = {name: t.clone() for name, t in world.layers.state_dict().items()}
    yield opened(world.layers)
    world.layers.load_state_dict(state)
