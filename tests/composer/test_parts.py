"""What a config is made of never changes."""

import dataclasses

import pytest
from tests.service.helpers import NEW

from motet.composer.assembly import assemble
from motet.config import parse


def test_parts_are_frozen():
    parts = assemble(parse(NEW))
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.experts = {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.compositions["a"].strategy = None
