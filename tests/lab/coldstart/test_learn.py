"""A new expert is asked, graded and added beside what was known; the config then names that."""

import pytest
from tests.lab.coldstart.world import GREETER, config, world

from motet.composer.assembly import assemble
from motet.config import load, parse
from motet.errors import TableError
from motet.lab.coldstart import learn, newcomers
from motet.lab.tabulation import Purse, started
from motet.routers.learned.artifact import Artifact
from motet.routers.skill.profile import Profile
from motet.service.motet import Motet
from motet.types import Request

GREETING = "greet a friend politely at the bakery"


def request(model, text=GREETING):
    return Request(model=model, messages=({"role": "user", "content": text},))


async def learned(path, **bounds):
    document = load(path)
    names = newcomers(document)
    experts = {name: assemble(document).experts[name] for name in names}
    async with started(experts.values()):
        return await learn(document, experts, **bounds)


async def led_by(text, folder, model, asked=GREETING):
    async with Motet(parse(text, folder=folder)) as motet:
        await motet.fleet.settled()
        decision = await motet.route(request(model, asked))
        return decision.primary, decision.reason


async def test_a_new_expert_is_asked_once_for_all_that_learn_and_then_leads(tmp_path):
    path = await world(tmp_path, GREETER)
    before = {f: f.read_bytes() for f in (*(tmp_path / "auto").iterdir(), tmp_path / "skills.json")}
    first, why = await led_by(path.read_text(), tmp_path, "auto")
    assert first != "greeter" and "'greeter' is not known to this router yet" in why
    asked_before = len((tmp_path / "t.answers.jsonl").read_text().splitlines())
    said = await learned(path, prompts=20)
    assert [(one.expert, one.routers, one.version) for one in said.lessons] == [
        ("greeter", ("learned",), "auto@2"),
        ("greeter", ("skills",), "skills@2.json"),
    ]
    assert said.lessons[0].asked == 20 and 0.3 < said.lessons[0].score < 0.7
    assert 0.3 < said.lessons[0].leads < 0.7 and said.lessons[1].leads is None
    assert len((tmp_path / "t.answers.jsonl").read_text().splitlines()) == asked_before + 20
    assert said.cost_usd > 0
    assert "# Who knows what." in said.text and "# the base" in said.text
    assert all(file.read_bytes() == content for file, content in before.items())
    for model in ("auto", "council"):
        first, why = await led_by(said.text, tmp_path, model)
        assert first == "greeter" and "known" not in why
        assert (await led_by(said.text, tmp_path, model, "add the numbers 4 and 3"))[0] == "seven"
    path.write_text(said.text)
    assert newcomers(load(path)) == []


async def test_a_version_is_never_written_over_and_answers_are_not_asked_again(tmp_path):
    path = await world(tmp_path, GREETER)
    assert (await learned(path, prompts=20)).cost_usd > 0
    again = await learned(path, prompts=20)
    assert [one.version for one in again.lessons] == ["auto@3", "skills@3.json"]
    assert again.cost_usd == 0 and again.lessons[0].asked == 20
    assert (
        Artifact.load(tmp_path / "auto@3").manifest == Artifact.load(tmp_path / "auto@2").manifest
    )


async def test_money_and_time_bound_what_is_asked(tmp_path):
    path = await world(tmp_path, GREETER)
    for purse in (Purse(usd=0.0), Purse(seconds=0)):
        nothing = await learned(path, purse=purse)
        assert nothing.text == path.read_text() and nothing.cost_usd == 0
        assert {one.note for one in nothing.lessons} == {"0 answers are too few to learn from"}
    some = await learned(path, purse=Purse(usd=700e-6))  # one answer may cost 560e-6, and costs 10
    assert some.cost_usd <= 700e-6 and 10 <= some.lessons[0].asked < 20
    assert some.lessons[0].version == "auto@2"


async def test_one_that_cannot_be_asked_keeps_no_other_from_being_learned(tmp_path):
    dead = "  - {id: dead, engine: fake, fail_after: 0, error: unavailable, optional: true}\n"
    path = await world(tmp_path, dead + GREETER)
    said = await learned(path, prompts=20)
    told = {(one.expert, one.version) for one in said.lessons}
    assert told == {("dead", ""), ("greeter", "auto@2"), ("greeter", "skills@2.json")}
    assert all("dead" in one.note for one in said.lessons if one.expert == "dead")


async def test_what_the_table_says_already_is_not_asked(tmp_path):
    path = await world(tmp_path, GREETER.replace("greeter", "dull2"))
    import pyarrow.parquet as parquet

    table = parquet.read_table(tmp_path / "t.parquet")
    for name in ("score", "cost", "latency"):
        table = table.append_column(f"{name}:dull2", table[f"{name}:dull"])
    parquet.write_table(table, tmp_path / "t.parquet")
    said = await learned(path, purse=Purse(usd=0))
    assert said.lessons[0].asked == 48 and said.cost_usd == 0


async def test_a_table_that_does_not_say_what_was_asked_is_refused(tmp_path):
    import pyarrow.parquet as parquet

    path = await world(tmp_path, GREETER)
    table = parquet.read_table(tmp_path / "t.parquet").drop_columns(["prompt"])
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t\.parquet: .*Build it again"):
        await learned(path)


async def test_a_kind_that_cannot_says_so_before_anybody_is_asked(tmp_path):
    path = await world(tmp_path, GREETER)
    stale = Profile.load(tmp_path / "skills.json")
    by_expert = stale.annotator.model_copy(update={"kind": "expert", "expert": "seven"})
    stale.model_copy(update={"annotator": by_expert}).save(tmp_path / "skills.json")
    path.write_text(config(GREETER).replace("trim: 0", "annotator: lexical, trim: 0"))
    said = await learned(path, prompts=20)
    notes = {one.routers: one.note for one in said.lessons}
    assert "'seven' named its skills" in notes[("skills",)] and notes[("learned",)] == ""
    assert not (tmp_path / "skills@2.json").exists()


async def test_without_a_table_it_stays_unknown_where_nothing_is_described(tmp_path):
    path = await world(tmp_path, GREETER.replace("description: greets friends", "skills: [x]"))
    path.write_text(path.read_text().replace("table: t.parquet, ", ""))
    said = await learned(path)
    assert said.text == path.read_text()
    assert "stays unknown" in said.lessons[0].note and "Name the table" in said.lessons[0].note
    assert "stays unknown" in said.lessons[1].note


async def test_without_a_table_it_is_judged_by_those_described_alike_until_there_is_one(tmp_path):
    adder = GREETER.replace("greeter", "adder").replace("greets friends", "adds up numbers")
    path = await world(tmp_path, adder)
    text = path.read_text()
    path.write_text(text.replace("table: t.parquet, ", ""))
    said = await learned(path)
    assert said.lessons[0].version == "auto@2" and said.lessons[0].asked == 0
    assert "described like" in said.lessons[0].note and "seven" in said.lessons[0].note
    path.write_text(said.text)
    assert newcomers(load(path)) == ["adder"]  # to the profile, which counts answers alone
    # With a table its answers take the place of the likeness.
    path.write_text(text.replace("artifact: auto", "artifact: auto@2"))
    said = await learned(path, prompts=20)
    assert said.lessons[0].version == "auto@3" and said.lessons[0].asked == 20
    (adder,) = (e for e in Artifact.load(tmp_path / "auto@3").manifest.experts if e.name == "adder")
    assert adder.column == 2 and adder.like == {} and "20 of 48" in adder.added.name
