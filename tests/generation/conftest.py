"""Tiny models for the tests of generation, and an engine on one."""

import pytest
from tests.generation.world import engine_of
from tests.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    return {kind: save_tiny(root / kind, kind) for kind in ("llama", "gemma3")}


@pytest.fixture
async def llama(tiny):
    engine = engine_of(tiny["llama"], max_batch=4, max_queue=8)
    await engine.start()
    yield engine
    await engine.close()
