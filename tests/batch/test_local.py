"""Real (tiny) models that take turns in one process."""

import pytest

from motet.errors import BatchError
from motet.residency.engines import LocalEngines

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.batch.helpers import line, run_batch
from tests.experts.test_transformers import save_tiny

FLEET = """
version: 1
experts:
  - {id: llama, engine: transformers, model: llama, dtype: float32, max_tokens: 5, temperature: 0}
  - {id: gemma, engine: transformers, model: gemma, dtype: float32, max_tokens: 5, temperature: 0}
"""


class Counted(LocalEngines):
    def __init__(self, experts, broken=()):
        super().__init__(experts)
        self.loads = []

    async def load(self, engine):
        self.loads.append(engine)
        await super().load(engine)
        assert len(self._up) == 1

    async def unload(self, engine):
        await super().unload(engine)
        assert not self._up


@pytest.fixture
def folder(tmp_path):
    for kind in ("llama", "gemma"):
        save_tiny(tmp_path / kind, kind)
    return tmp_path


async def test_models_take_turns_and_grouping_changes_no_answer(folder):
    lines = [line(f"q{n}", f"text {n}", model=["llama", "gemma"][n % 2]) for n in range(8)]
    memory = 200_000  # either fits, both do not
    grouped = await run_batch(folder, lines, fleet=FLEET, memory=memory, loader=Counted)
    assert sorted(grouped.loader.loads) == ["gemma", "llama"] and len(grouped.out) == 8
    (folder / "state").unlink()
    arrival = await run_batch(
        folder, lines, fleet=FLEET, memory=memory, loader=Counted, order="arrival"
    )
    assert len(arrival.loader.loads) == 8
    assert arrival.out == grouped.out


async def test_too_little_memory_is_refused(folder):
    with pytest.raises(BatchError, match=r"Allow 1MiB or more \(--memory\)"):
        await run_batch(
            folder, [line("x", model="llama")], fleet=FLEET, memory=1000, loader=Counted
        )
