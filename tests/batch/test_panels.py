"""Panels and votes in a batch: each expert loaded once, one at a time, the strategies unchanged."""

from tests.batch.helpers import run_batch
from tests.batch.panels import FLEET, lines


async def test_a_panel_and_its_aggregator_are_loaded_once_each(tmp_path):
    done = await run_batch(tmp_path, lines("council"), fleet=FLEET)
    assert done.loader.loads.count("editor") == 1 and done.loader.loads[-1] == "editor"
    assert sorted(done.loader.loads) == ["blue", "editor", "red", "rose"]
    assert done.loader.most == 1
    assert all(text.startswith("2+2? (") and "Answer 3" in text for text in done.texts.values())
    assert done.out[0]["response"]["body"]["model"] == "editor"


async def test_a_failed_draft_leaves_the_panel(tmp_path):
    done = await run_batch(tmp_path, lines("wounded"), fleet=FLEET)
    assert len(done.texts) == 6 and not done.errors
    assert all("Answer 2" in text and "Answer 3" not in text for text in done.texts.values())


async def test_layers(tmp_path):
    done = await run_batch(tmp_path, lines("layered"), fleet=FLEET)
    assert set(done.texts.values()) == {"The answer is 4"}
    assert done.loader.calls["red"] == 18 and done.loader.calls["blue"] == 12


async def test_a_vote(tmp_path):
    done = await run_batch(tmp_path, lines("jury"), fleet=FLEET)
    assert set(done.texts.values()) == {"The answer is 4"}
    assert len(done.loader.loads) <= 3
