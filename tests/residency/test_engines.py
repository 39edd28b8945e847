"""The engines of this process: what comes up, what goes, and what they leave behind."""

from typing import ClassVar

import pytest

from motet.config import ExpertEntry
from motet.errors import ExpertUnavailable
from motet.experts.fake import FakeConfig, PooledFake
from motet.residency.engines import LocalEngines
from motet.weights import Setting


class Held(PooledFake):
    """An expert that would hold a model, and may fail to load it."""

    log: ClassVar[list[str]] = []

    async def start(self):
        self.log.append("start")
        if self.entry.id == "broken":
            raise ExpertUnavailable("broken", "it has no weights.")

    async def close(self):
        self.log.append("close")
        await super().close()


@pytest.fixture
def engines(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(Held, "log", [])
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: Held.log.append("empty"))
    setting = Setting(tmp_path, tmp_path)
    return LocalEngines(
        {
            name: Held(ExpertEntry(id=name, engine="fake"), FakeConfig(), setting)
            for name in ("a", "b", "broken")
        }
    )


async def test_a_gpus_memory_is_given_back_once_an_engine_is_closed(engines):
    await engines.load("a")
    Held.log.clear()
    await engines.unload("a")
    assert Held.log == ["close", "empty"]
    assert "a" not in engines


async def test_what_cannot_be_loaded_leaves_nothing(engines):
    with pytest.raises(ExpertUnavailable):
        await engines.load("broken")
    assert Held.log == ["start", "close", "empty"]
    assert "broken" not in engines


async def test_closing_unloads_every_engine(engines):
    await engines.load("a")
    await engines.load("b")
    Held.log.clear()
    await engines.close()
    assert Held.log == ["close", "empty"] * 2
    assert "a" not in engines and "b" not in engines
