"""Everyday prompts: what the shipped router learned of them, and where it sends unseen ones."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import load
from motet.experts.fleet import ReadyFleet
from motet.tables.routing import plain, read
from motet.types import Request

FLEET = Path("examples/fleet")


@pytest.fixture(scope="module")
def everyday():
    sys.path.insert(0, str(FLEET))
    import everyday

    yield everyday
    sys.path.remove(str(FLEET))
    for name in [name for name in sys.modules if name.split(".")[0] in ("tasks", "everyday")]:
        del sys.modules[name]


def test_no_prompt_is_in_both_splits(everyday):
    train, test = ([plain(p) for _, p in everyday.prompts(s)] for s in ("train", "test"))
    assert len(train) > 300 and len(test) > 100
    assert len({*train, *test}) == len(train) + len(test)
    assert {head for head, _ in everyday.prompts("test")} == {
        head for head, _ in everyday.prompts("train")
    }


def test_the_shipped_router_learned_them(everyday, tmp_path):
    """Its manifest names the table that the script makes of the shipped one, to the bit."""
    from pyarrow import parquet

    taught = everyday.taught(parquet.read_table(FLEET / "table.parquet"))
    parquet.write_table(taught, tmp_path / "taught.parquet")
    table, manifest = read(tmp_path / "taught.parquet"), FLEET / "router" / "router.json"
    assert table.digest == json.loads(manifest.read_text())["table"]["digest"]
    chat, told = (table.take([n for n, t in enumerate(table.tasks) if t == task])
                  for task in ("chat", everyday.TASK))  # fmt: skip
    assert told.scores[:, 0] == pytest.approx(chat.scores[:, 0].mean())
    assert not told.scores[:, 1:].any() and table.experts[0] == everyday.BASE


@pytest.mark.engine
@pytest.mark.parametrize("config", ["experts.yaml", "experts.local.yaml"])
def test_what_no_specialist_is_for_goes_to_the_base(everyday, config):
    unseen = [prompt for _, prompt in everyday.prompts("test")]
    parts = assemble(load(config))
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()))

    async def lead(text):
        message = {"role": "user", "content": text}
        return (await pipeline.decide(Request(model="auto", messages=(message,)))).primary

    async def leads():
        return [await lead(text) for text in unseen], [await lead(text) for text in SPECIAL]

    general, special = asyncio.run(leads())
    parts.encoders.close()
    astray = [text for text, who in zip(unseen, general, strict=True) if who != everyday.BASE]
    assert len(astray) <= 0.05 * len(unseen), astray
    assert special == list(SPECIAL.values())


SPECIAL = {
    "Anna has 12 shells and finds 7 more. How many shells does Anna have now?": "arithmetic",
    "Convert 4 hours and 12 minutes to minutes.": "units",
    "Table: boats(id, name, harbour, length)\nQuestion: How many boats are there?\nSQL:": "sql",
    "Extract name, city as JSON: Ruth Adler lives in Basel and works as a baker.": "extraction",
    "Which team should answer, billing, shipping, praise? My parcel never arrived.": "triage",
    "Give me a regex for exactly 4 digits followed by a dash.": "regexes",
}
