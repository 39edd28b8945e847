"""Learned routers in a config: what they decide, say and refuse."""

import json

import pytest
from tests.asks import NOBODY
from tests.routers.learned import world
from tests.routers.learned.live import FLEET, around, ask

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ArtifactError, ConfigError
from motet.routers.learned.router import LearnedConfig, LearnedRouter
from motet.service.motet import Motet
from motet.types import ExpertCard, Fleet, Member


@pytest.fixture
def folder(tmp_path):
    for kind in ("ridge", "words", "knn"):
        world.once(kind).save(tmp_path / kind)
    return tmp_path


def router(folder, kind="ridge", **options):
    config = LearnedConfig.model_validate({"artifact": kind, **options})
    return LearnedRouter("learned", config, around(folder, kind=kind))


async def test_decides_and_explains(folder):
    decision = await router(folder).route(ask("python loop class compile"), FLEET, NOBODY)
    assert decision.primary == "coder"
    assert set(decision.experts) == {"solver", "coder", "jurist"}
    assert decision.choices[0].quality > 0.7 and decision.choices[0].cost > 0
    assert 0.9 < decision.confidence <= 1
    assert "runner-up" in decision.reason and "linear in the embedding" in decision.reason
    assert "'newcomer' is not known to this router yet" in decision.reason


async def test_neighbours_are_named(folder):
    decision = await router(folder, "knn").route(ask("python loop class compile"), FLEET, NOBODY)
    assert "neighbours, the nearest at" in decision.reason


async def test_chooses_among_the_fleet_alone(folder):
    few = FLEET.only({"solver": 1.0, "jurist": 1.0})
    decision = await router(folder).route(ask("python loop class compile"), few, NOBODY)
    assert "coder" not in decision.experts


async def test_lambda_and_limits(folder):
    fleet = Fleet([*FLEET.values(), Member(ExpertCard(id="cheap", engine="fake"))])
    text = ask("python loop class compile")
    assert (await router(folder).route(text, fleet, NOBODY)).primary == "coder"
    assert (await router(folder, **{"lambda": 2.0}).route(text, fleet, NOBODY)).primary == "cheap"
    limited = await router(folder, max_cost_usd=0.002).route(text, fleet, NOBODY)
    assert limited.experts == ("cheap",)
    assert await router(folder, max_cost_usd=1e-9).route(text, fleet, NOBODY) is None


async def test_what_it_does_not_know_goes_to_the_fallback(folder):
    text = ask("python loop class compile")
    decision = await router(folder, max_cost_usd=1e-9, fallback="jurist").route(text, FLEET, NOBODY)
    assert decision.experts == ("jurist",) and decision.confidence == 0
    decision = await router(folder, min_confidence=1.0, fallback="jurist").route(
        text, FLEET, NOBODY
    )
    assert decision.primary == "jurist" and decision.experts[1] == "coder"
    assert "confidence" in decision.reason
    assert await router(folder, min_confidence=1.0).route(text, FLEET, NOBODY) is None


async def test_only_newcomers(folder):
    newcomer = Fleet([Member(ExpertCard(id="newcomer", engine="fake"))])
    assert await router(folder).route(ask("python"), newcomer, NOBODY) is None


async def test_a_foreign_encoder_is_refused_at_start(folder):
    surroundings = around(folder)
    surroundings.encoders.encoder = world.FakeEncoder("others")
    found = LearnedRouter("learned", LearnedConfig(artifact="ridge"), surroundings)
    for _ in range(2):
        with pytest.raises(ArtifactError, match="is another encoder"):
            await found.start()


CONFIG = """version: 1
experts: [{id: solver, engine: fake}, {id: coder, engine: fake, tokens: [done]}]
routers: {learned: {%s}}
compositions: {auto: {router: learned}}
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("kind: words, artifact: nothing", "routers.learned.artifact: Artifact"),
        ("kind: words, artifact: ridge", "routers.learned.kind: the artifact is of kind 'ridge', and the config says 'words'"),
        ("kind: words, artifact: words, lambdas: 1", "unknown field 'lambdas'. Did you mean 'lambda'?"),
        ("kind: words, artifact: words, lam: 1", "unknown field 'lam'"),
        ("kind: words, artifact: words, fallback: codr", "routers.learned.fallback: no expert 'codr'. Did you mean 'coder'?"),
    ],
)  # fmt: skip
def test_bad_configs(folder, options, message):
    with pytest.raises(ConfigError) as caught:
        assemble(parse(CONFIG % options, folder=folder))
    assert message in str(caught.value)


def test_an_artifact_of_other_experts_is_refused(folder):
    text = CONFIG % "kind: words, artifact: words"
    text = text.replace("solver", "gemma").replace("coder", "llama")
    with pytest.raises(ConfigError, match="knows none of this config's experts"):
        assemble(parse(text, folder=folder))


async def test_a_service_routes_by_an_artifact(folder):
    document = parse(CONFIG % "kind: words, artifact: words", folder=folder)
    async with Motet(document) as motet:
        reply = await motet.chat("auto", "python loop class compile")
        assert (reply.text, reply.expert) == ("done", "coder")
        assert "linear in its words" in reply.explanation["decision"]["reason"]
        stated = json.loads((folder / "words" / "router.json").read_text())["config_sha256"]
        assert motet.parts.routers["learned"].artifact == stated


async def test_a_service_starts_without_its_artifact_being_whole(folder):
    document = parse(CONFIG % "kind: words, artifact: words", folder=folder)
    motet = Motet(document)
    state = folder / "words" / "state.safetensors"
    state.write_bytes(bytes(state.stat().st_size))
    async with motet:
        assert (await motet.chat("coder", "hi")).text == "done"
        with pytest.raises(ArtifactError, match="state.safetensors has changed"):
            await motet.chat("auto", "hi")
