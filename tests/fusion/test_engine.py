"""A fusion served: who is fused, alone and in company, and what happens when a part fails."""

import asyncio
import json

import pytest
from tests.fusion.served import CONFIG, answer, ask, engine, reading, served, started
from tests.fusion.world import QUESTIONS

from motet.composer.assembly import assemble
from motet.config import ExpertEntry, parse
from motet.errors import ArtifactError, SourceError
from motet.experts import ENGINES
from motet.experts.footprint import sizes_of
from motet.experts.transformers import TransformersExpert, TransformersOptions
from motet.fusion.artifact import save
from motet.fusion.card import CARD, read_card
from motet.fusion.engine import LatentExpert
from motet.fusion.hidden_cache import read_latents
from motet.planner.demand import demands


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return served(tmp_path_factory.mktemp("served"))


def test_registered():
    assert ENGINES.load("latent") is LatentExpert
    assert LatentExpert.home == "pool"


async def test_a_batch_of_other_primaries_and_peers_answers_as_each_alone(world):
    requests = [
        ask(QUESTIONS[0]),
        ask(QUESTIONS[1], "bob", ["ann"]),
        ask(QUESTIONS[2], "ann", ["cid"], max_tokens=20),
        ask(QUESTIONS[3], "ann", []),
        ask(QUESTIONS[4], "bob", ["cid", "ann"]),
        ask(QUESTIONS[0], None),
    ]
    async with started(world) as expert:
        alone = [await answer(expert, request) for request in requests]
        together = await asyncio.gather(*(answer(expert, request) for request in requests))
    assert alone == list(together)
    assert len(set(alone)) > 3


async def test_the_answer_comes_from_the_fused_pass(world):
    """Another memory is another text, and no peers is the text of the primary alone."""
    async with started(world) as expert:
        fused = await answer(expert, ask(QUESTIONS[0], max_tokens=20))
        lone = await answer(expert, ask(QUESTIONS[0], peers=[], max_tokens=20))

    def perturbed(member, tokens, draft):
        hidden, drafted = member.read(tokens, draft)
        return [-h for h in hidden], drafted

    async with started(world, load=reading(perturbed)) as expert:
        other = await answer(expert, ask(QUESTIONS[0], max_tokens=20))
    plain = TransformersExpert(
        ExpertEntry(id="ann", engine="transformers"),
        TransformersOptions(model="ann", dtype="float32"),
        world.setting,
    )
    await plain.start()
    assert lone == await answer(plain, ask(QUESTIONS[0], None, max_tokens=20))
    await plain.close()
    assert len({fused, lone, other}) == 3


async def test_leaving_frees_the_row(world):
    async with started(world) as expert:
        expert.fusion.members[0].ends = frozenset()  # it would end by itself
        stream = expert.stream(ask(QUESTIONS[2], max_tokens=200))
        await anext(stream)
        assert expert.engine.running == 1
        await stream.aclose()
        for _ in range(200):
            if not expert.engine.running:
                break
            await asyncio.sleep(0.01)
        assert not expert.engine.running
        assert await answer(expert, ask(QUESTIONS[0]))


async def test_the_mode_trained_is_the_mode_served(world):
    card = world.card.model_copy(update={"mode": "B", "draft_tokens": 4})
    save(world.folder / "drafting", card, world.layers)
    async with started(world, artifact="drafting") as expert:
        drafting = [await answer(expert, ask(q, max_tokens=20)) for q in QUESTIONS]
    async with started(world) as expert:
        assert [await answer(expert, ask(q, max_tokens=20)) for q in QUESTIONS] != drafting
    latents = read_latents(world.members[1], ask(QUESTIONS[0]), 4)
    prompt = len(world.members[1].encode(ask(QUESTIONS[0])).tokens)
    assert len(latents.ends) > prompt and latents.ends[-1] == latents.ends[prompt - 1]
    assert [len(h) for h in latents.hidden] == [len(latents.ends)] * 2
    for mode, drafts in (("A", 4), ("B", 0), ("C", 0)):
        text = json.loads((world.folder / "art" / CARD).read_text())
        (world.folder / "drafting" / CARD).write_text(
            json.dumps(text | {"mode": mode, "draft_tokens": drafts})
        )
        with pytest.raises(ArtifactError, match="mode"):
            read_card(world.folder / "drafting")


def test_its_memory_is_that_of_all_members(world):
    text = CONFIG.replace("FIRST", "ann").replace("OTHERS", "bob")
    document = parse(text, folder=world.folder)
    demand = {d.expert: d.weights for d in demands(document)}
    assert demand["fusion"] == sum(demand[name] for name in world.card.ids)
    sizes = sizes_of(assemble(document).experts)
    assert sizes["fusion"] == sum(sizes[name] for name in world.card.ids)


async def test_other_weights_than_those_trained_with_are_refused(world, tmp_path):
    card = json.loads((world.folder / "art" / CARD).read_text())
    for change, match in (
        ({"revision": "0" * 64}, "trained with revision 000000000000 of 'bob'"),
        ({"model": "cid"}, "revision"),
    ):
        (world.folder / "other").mkdir(exist_ok=True)
        members = [m | (change if m["id"] == "bob" else {}) for m in card["members"]]
        (world.folder / "other" / CARD).write_text(json.dumps(card | {"members": members}))
        (world.folder / "other" / "fusion.safetensors").write_bytes(
            (world.folder / "art" / "fusion.safetensors").read_bytes()
        )
        with pytest.raises(SourceError, match=match):
            await engine(world, "other").start()
