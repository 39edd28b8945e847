"""The config that most tests of deployment read."""

import pytest
from tests.deploy.helpers import TEXT

from motet.config import parse


@pytest.fixture
def document():
    return parse(TEXT, env={"KEY": "s3cret"})
