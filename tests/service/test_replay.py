"""Deciding again: the same with what was learned then, and as the laboratory says with another."""

import shutil
from dataclasses import replace

import numpy as np
import orjson
import pytest
from tests.lab.coldstart.world import GREETER, PLACES, world

from motet.config import load, parse
from motet.errors import ConfigError
from motet.lab.coldstart import learn
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries
from motet.service.keeping import Keeper, kept_by
from motet.service.motet import Motet
from motet.service.replay import replay
from motet.store.decisions import DecisionRows, Wanted

STORE = "store: {path: store.db, text: true}\n"


def asked(count):
    """Texts of both kinds, none of them like another."""
    for number in range(count):
        place = PLACES[number % 8]
        yield (
            f"add the numbers {number} and {number % 13} in the {place}"
            if number % 2
            else (f"greet a friend politely at the {place}, day {number}")
        )


async def served(document, texts, model="auto"):
    """Answer texts, and return what was kept of it."""
    motet = Motet(document)
    async with Keeper(motet), motet:
        await motet.fleet.settled()
        for text in texts:
            await motet.chat(model, text)
    async with kept_by(document) as database:
        return await DecisionRows(database).listing(Wanted(), 10_000)


@pytest.fixture
async def path(tmp_path):
    """A config whose router has learned a greeter since it began: `auto`, then `auto@2`."""
    path = await world(tmp_path, GREETER)
    async with Motet(load(path)) as motet:
        experts = {"greeter": motet.parts.experts["greeter"]}
        learned = await learn(motet.document, experts, prompts=30)
    path.with_name("learned.yaml").write_text(learned.text + STORE)
    path.write_text(path.read_text() + STORE)
    return path


async def test_a_thousand_decisions_are_the_same_with_what_was_learned_then(path):
    document = load(path)
    rows = await served(document, asked(1000))
    assert len(rows) == 1000
    again = await replay(rows, document)
    assert len(again.rows) == 1000 and again.changed == () and again.skipped == {}
    assert [one.id for one in again.rows] == [row.decision for row in rows]
    quality = again.expected()["quality"]
    assert quality.now == quality.then and quality.decisions == 1000


async def test_what_was_learned_then_decides_after_a_new_version_is_in_place(path):
    rows = await served(load(path), asked(40))
    now = load(path.with_name("learned.yaml"))
    assert (await replay(rows, now)).changed == ()
    changed = await replay(rows, now, pinned=False)
    leads = {(one.then[0], one.now[0]) for one in changed.rows if one.then[0] != one.now[0]}
    assert leads and {now for _, now in leads} == {"greeter"}
    shutil.rmtree(path.with_name("auto"))
    gone = await replay(rows, now)
    assert gone.rows == () and gone.skipped == {"the version of its artifact is gone": 40}


async def test_another_artifact_is_judged_as_the_laboratory_judges_it(path):
    document = load(path)
    rows = await served(document, asked(60))
    folder = path.with_name("auto@2")
    said = await replay(rows, document, artifacts={"learned": folder})

    artifact = Artifact.load(folder)
    texts = tuple(orjson.loads(row.prompt)[0]["content"] for row in rows)
    estimate = artifact.estimate(Queries(texts=texts))
    chosen = artifact.decide(estimate).chosen
    lines = np.arange(len(texts))
    assert [one.now[0] for one in said.rows] == [artifact.experts[column] for column in chosen]
    then = [artifact.experts.index(one.then[0]) for one in said.rows]
    quality, cost = said.expected()["quality"], said.expected()["cost_usd"]
    assert quality.now == pytest.approx(estimate.quality[lines, chosen].mean(), abs=1e-4)
    assert quality.then == pytest.approx(estimate.quality[lines, then].mean(), abs=1e-4)
    assert cost.now == pytest.approx(estimate.cost[lines, chosen].mean())
    assert quality.now > quality.then and cost.now > 0 and cost.decisions == 60
    assert said.json()["changed"] == len(said.changed) > 20


async def test_what_cannot_be_decided_again_is_counted_by_its_reason(path):
    document = load(path)
    rows = await served(document, asked(3))
    direct = await served(document, ["hello"], "dull")
    rows[0] = replace(rows[0], prompt=None)
    rows[1] = replace(rows[1], composition="gone")
    rows[2] = replace(rows[2], experts=None)
    text = (
        path.read_text()
        .replace("of: [learned]", "of: [asker]")
        .replace("  front:", "  asker: {kind: llm, expert: dull, by: name}\n  front:")
    )
    said = await replay([*rows, direct[0]], document)
    assert said.rows == () and said.skipped == {
        "it came to no decision": 1,
        "its text was not kept: that takes store.text: true": 1,
        "the client named its expert": 1,
        "the config has no composition 'gone'": 1,
    }
    other = parse(text, folder=path.parent)
    whole = await served(document, asked(1))
    assert (await replay(whole[:1], other)).skipped == {"its router asks an expert": 1}
    assert said.expected() == {}


async def test_an_artifact_for_nobody_is_refused(path):
    with pytest.raises(ConfigError, match="no router 'lerned'.*'learned'"):
        await replay([], load(path), artifacts={"lerned": path.with_name("auto")})
    with pytest.raises(ConfigError, match="has no 'artifact'"):
        await replay([], load(path), artifacts={"front": path.with_name("auto")})
