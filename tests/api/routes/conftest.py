"""A config that keeps files and batches, and the official client of a test's service."""

import openai
import pytest
from tests.api.routes.batches import FLEET


@pytest.fixture
def config(tmp_path):
    return FLEET.format(delay=0.2, store=tmp_path / "batches.db")


@pytest.fixture
def client(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as found:
        yield found
