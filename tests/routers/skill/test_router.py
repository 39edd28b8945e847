"""`kind: skill` in a config: what it decides, says and refuses."""

import asyncio

import pytest
from tests.asks import NOBODY
from tests.routers.skill import world

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ArtifactError, ConfigError, ExpertUnavailable
from motet.routers.skill.profile import AnnotatorRecord
from motet.service.motet import Motet
from motet.types import ExpertCard, Fleet, Member

ALGEBRA = "Solve for the variable in this quadratic equation"


async def test_decides_and_explains(tmp_path):
    decision = await world.router(tmp_path).route(world.ask(ALGEBRA), world.FLEET, NOBODY)
    assert decision.experts == ("solver", "coder")
    assert [choice.weight for choice in decision.choices] == [1.0, 1.0]
    assert 0.5 < decision.choices[1].quality < decision.choices[0].quality < 1
    assert 0.5 < decision.confidence < 1
    assert "'solver' has algebra: +18 of 20" in decision.reason
    assert "'newcomer' is not known to this profile yet" in decision.reason


async def test_alternatives_follow_without_weight(tmp_path):
    decision = await world.router(tmp_path, experts=1).route(
        world.ask(ALGEBRA), world.FLEET, NOBODY
    )
    assert [(c.expert, c.weight) for c in decision.choices] == [("solver", 1.0), ("coder", 0.0)]


@pytest.mark.parametrize("recruit", ["top", "sample"])
@pytest.mark.parametrize("present", [("coder",), ("jurist", "coder"), ("newcomer", "solver")])
async def test_chooses_among_the_fleet_alone(tmp_path, recruit, present):
    fleet = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in present)
    decision = await world.router(tmp_path, recruit=recruit).route(
        world.ask(ALGEBRA), fleet, NOBODY
    )
    assert set(decision.experts) <= set(present) - {"newcomer"}
    assert len(set(decision.experts)) == len(decision.experts)


async def test_only_newcomers(tmp_path):
    fleet = Fleet([Member(ExpertCard(id="newcomer", engine="fake"))])
    assert await world.router(tmp_path).route(world.ask(ALGEBRA), fleet, NOBODY) is None


async def test_draws_are_the_same_for_the_same_text(tmp_path):
    router = world.router(tmp_path, recruit="sample", experts=7)
    decisions = [await router.route(world.ask(ALGEBRA), world.FLEET, NOBODY) for _ in range(2)]
    assert decisions[0].choices == decisions[1].choices
    assert sum(choice.weight for choice in decisions[0].choices) == 7
    others = [
        await world.router(tmp_path, recruit="sample", experts=7, seed=seed).route(
            world.ask(ALGEBRA), world.FLEET, NOBODY
        )
        for seed in range(8)
    ]
    assert len({decision.choices for decision in others}) > 1


async def test_published_counts(tmp_path):
    decision = await world.router(tmp_path, counts="published").route(
        world.ask(ALGEBRA), world.FLEET, NOBODY
    )
    assert decision.experts == ("solver", "coder")


async def test_the_trimmed_are_not_recruited(tmp_path):
    made = world.profile(picks={"solver": 1, "coder": 60, "jurist": 39})
    decision = await world.router(tmp_path, made).route(world.ask(ALGEBRA), world.FLEET, NOBODY)
    assert [(c.expert, c.weight) for c in decision.choices] == [("coder", 1.0), ("solver", 0.0)]


async def test_nothing_known_is_no_decision_or_the_fallback(tmp_path):
    stranger = world.ask("Compose haiku")
    assert await world.router(tmp_path).route(stranger, world.FLEET, NOBODY) is None
    decision = await world.router(tmp_path, fallback="jurist").route(stranger, world.FLEET, NOBODY)
    assert decision.experts == ("jurist",) and decision.confidence == 0
    assert "the profile knows none of: " in decision.reason


async def test_an_unsure_choice_goes_to_the_fallback(tmp_path):
    router = world.router(tmp_path, min_confidence=1.0, fallback="jurist")
    decision = await router.route(world.ask(ALGEBRA), world.FLEET, NOBODY)
    assert decision.experts == ("jurist", "solver", "coder")
    assert "confidence" in decision.reason
    assert await world.router(tmp_path, min_confidence=1.0).route(
        world.ask(ALGEBRA), world.FLEET, NOBODY) is None  # fmt: skip


async def test_a_near_keyword_is_found_and_named(tmp_path):
    encoder = world.FakeEncoder()
    router = world.router(tmp_path, world.profile(encoder), encoder)
    decision = await router.route(world.ask("the snake"), world.FLEET, NOBODY)
    assert decision.primary == "coder"
    assert "python (for 'snake', 1.00): +20 of 20" in decision.reason
    assert await router.route(world.ask("the haiku"), world.FLEET, NOBODY) is None


async def test_nothing_is_encoded_where_keywords_are_equal(tmp_path):
    encoder = world.FakeEncoder()
    router = world.router(tmp_path, world.profile(encoder), encoder)
    await router.start()
    assert sorted(encoder.asked) == ["algebra", "law", "python"]
    await router.route(world.ask(ALGEBRA), world.FLEET, NOBODY)
    assert len(encoder.asked) == 3


async def test_another_encoder_is_refused_at_start(tmp_path):
    made = world.profile(world.FakeEncoder("theirs"))
    router = world.router(tmp_path, made, world.FakeEncoder("mine"))
    for _ in range(2):
        with pytest.raises(ArtifactError, match="is another encoder"):
            await router.start()


class Oracle:
    """Answers what a language model would, and keeps the questions."""

    def __init__(self, *answers, error=None, wait=0.0):
        self.answers, self.error, self.wait = answers, error, wait
        self.asked = []

    async def ask(self, expert, request):
        self.asked.append((expert, request))
        number = len(self.asked) - 1
        await asyncio.sleep(self.wait)
        if self.error:
            raise self.error
        return self.answers[number % len(self.answers)]


async def test_an_expert_annotates_and_is_remembered(tmp_path):
    oracle = Oracle('{"skills": ["Law", "haiku"]}', '{"skills": ["law"]}', '{"skills": ["x"]}')
    router = world.router(tmp_path, annotator="coder")
    for _ in range(2):
        decision = await router.route(world.ask("Compose haiku"), world.FLEET, oracle)
    assert decision.primary == "jurist"
    assert len(oracle.asked) == 5
    assert {request.seed for _, request in oracle.asked} == {0, 1, 2, 3, 4}
    assert all(request.response_format is None for _, request in oracle.asked)


@pytest.mark.parametrize(
    ("oracle", "said"),
    [
        (Oracle("no json"), "'coder' named no skill"),
        (Oracle(*(f'{{"skills": ["s{n}"]}}' for n in range(5))), "agreed with itself on no skill"),
        (Oracle(error=ExpertUnavailable("coder", "is down.")), "(ExpertUnavailable)"),
        (Oracle("{}", wait=5), "(TimeoutError)"),
    ],
)
async def test_without_usable_annotations_the_words_decide(tmp_path, oracle, said):
    router = world.router(tmp_path, annotator="coder", timeout_s=0.2)
    decision = await router.route(world.ask(ALGEBRA), world.FLEET, oracle)
    assert decision.primary == "solver"
    assert said in decision.reason


CONFIG = """version: 1
experts: [{id: solver, engine: fake, tokens: ['42']}, {id: coder, engine: fake}]
routers: {skills: {kind: skill, profile: %s}}
compositions: {auto: {router: skills}}
"""
STALE = {
    "lexical": AnnotatorRecord(kind="lexical", digest="0"),
    "asked": AnnotatorRecord(kind="expert", expert="coder", digest="0"),
    "gone": AnnotatorRecord(kind="expert", expert="codr", digest="0"),
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("missing.json", "routers.skills.profile: Profile"),
        ("damaged.json", "is damaged"),
        ("lexical.json", "routers.skills.profile: the profile is stale: another version of the lexical annotator"),
        ("asked.json", "routers.skills.profile: the profile is stale: 'coder' is asked for skills in other words"),
        ("gone.json", "routers.skills.profile: no expert 'codr' to annotate. Did you mean 'coder'?"),
        ("p.json, annotator: codr", "routers.skills.annotator: no expert 'codr' to annotate. Did you mean 'coder'?"),
        ("p.json, fallback: codr", "routers.skills.fallback: no expert 'codr'. Did you mean 'coder'?"),
        ("p.json, recruit: bottom", "routers.skills.recruit"),
        ("p.json, trim: 2", "routers.skills.trim"),
        ("p.json, flor: 0.5", "unknown field 'flor'. Did you mean 'floor'?"),
    ],
)  # fmt: skip
def test_bad_configs(tmp_path, options, message):
    world.profile().save(tmp_path / "p.json")
    (tmp_path / "damaged.json").write_text('{"format": 1')
    for name, annotator in STALE.items():
        world.profile(annotator=annotator).save(tmp_path / f"{name}.json")
    with pytest.raises(ConfigError) as caught:
        assemble(parse(CONFIG % options, folder=tmp_path))
    assert message in str(caught.value)
    assert "experts.yaml:3" in str(caught.value)


def test_a_profile_of_other_experts_is_refused(tmp_path):
    world.profile().save(tmp_path / "p.json")
    text = (CONFIG % "p.json").replace("solver", "gemma").replace("coder", "llama")
    with pytest.raises(ConfigError, match="knows none of this config's experts"):
        assemble(parse(text, folder=tmp_path))


async def test_a_service_routes_by_skills(tmp_path):
    world.profile().save(tmp_path / "p.json")
    async with Motet(parse(CONFIG % "p.json", folder=tmp_path)) as motet:
        reply = await motet.chat("auto", ALGEBRA)
    assert (reply.text, reply.expert) == ("42", "solver")
    assert "algebra: +18 of 20" in reply.explanation["decision"]["reason"]
