"""Artifacts of every kind, trained once."""

import functools

import pytest
import world


@pytest.fixture(scope="session")
def artifacts():
    """Return the artifact of a kind on `world.table()`."""
    return functools.cache(lambda kind: world.trained(kind, world.table()))
