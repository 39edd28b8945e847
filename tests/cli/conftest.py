"""A config of one fake expert."""

import pytest
from tests.cli.command import FAKES


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "experts.yaml"
    path.write_text(FAKES)
    return path
