"""What experts ask of a device: their bytes, and their share of the traffic."""

import pytest
from tests.planner.fleets import GIB, demand, document_in

from motet.errors import ConfigError, SourceError
from motet.planner import demands


@pytest.fixture
def document(tmp_path):
    return document_in(tmp_path)


def test_an_adapter_counts_with_its_base(document):
    found = {d.expert: d for d in demands(document, traffic={"tuned": 3.0, "other": 1.0})}
    assert set(found) == {"base", "other"}
    assert (found["base"].traffic, found["other"].traffic) == (0.75, 0.25)
    assert [d.traffic for d in demands(document)] == pytest.approx([2 / 3, 1 / 3])
    assert found["base"].weights >= 2 << 20 and found["base"].about.startswith("8 requests of 512")


def test_more_at_once_ask_for_more_keys_and_values(document):
    few, many = (demands(document, concurrency=n)[0] for n in (1, 9))
    assert many.kv == 9 * few.kv and many.weights == few.weights


def test_parts_share_all_but_the_engine():
    whole, half = demand("a", 9, parts=1), demand("a", 9, parts=2)
    assert whole.part == whole.size == 9 * GIB
    assert half.part == 5 * GIB and half.size == 10 * GIB


def test_what_makes_no_sense_is_refused(document, tmp_path):
    with pytest.raises(ConfigError, match="no expert 'othr'. Did you mean 'other'"):
        demands(document, traffic={"othr": 1.0})
    with pytest.raises(ConfigError, match="any traffic"):
        demands(document, traffic={"far": 1.0})
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(SourceError):
        demands(document)
