"""What makes an expert answer as it does."""

from motet.config import parse
from motet.lab.tabulation import state_of


def test_state_follows_files_and_not_prices(tmp_path):
    def state(text: str) -> str:
        return state_of(parse(text, folder=tmp_path).config.experts[0], tmp_path)

    (tmp_path / "ad").mkdir()
    (tmp_path / "ad" / "adapter_model.safetensors").write_bytes(b"1")
    base = (
        "version: 1\nexperts:\n  - {id: a, engine: vllm, base: b, adapter: ad, price: {input: %d}}"
    )
    first = state(base % 1)
    assert state(base % 2) == first
    (tmp_path / "ad" / "adapter_model.safetensors").write_bytes(b"2")
    assert state(base % 1) != first
