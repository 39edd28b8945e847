"""Tables from runs: what is asked, what is kept through an interruption, what is written."""

import pytest
from tests.lab.tabulation.world import FLEET, PROMPTS, experts, write

from motet import tables
from motet.config import parse
from motet.errors import ExpertUnavailable, TableError
from motet.lab.tabulation import AnswerLog, Tabulation, read_prompts, tabulate


class Counting:
    """Counts the calls of an expert, and stops it after some."""

    def __init__(self, expert, stop_after=None):
        self.expert, self.card, self.asked, self.stop_after = expert, expert.card, 0, stop_after

    async def stream(self, request):
        if self.asked == self.stop_after:
            raise ExpertUnavailable(self.card.id, "gone")
        self.asked += 1
        async for chunk in self.expert.stream(request):
            yield chunk


async def build(path, out, found, states):
    seen = []
    prompts = read_prompts(path)
    with AnswerLog(out.with_suffix(".answers.jsonl")) as log:
        tabulation = Tabulation(prompts, found, states, log, concurrency=2)
        await tabulation.run(lambda *told: seen.append(told))
        return tabulation.write(out, await tabulation.grade(lambda *told: seen.append(told))), seen


async def test_a_build_writes_a_table_that_routers_can_read(tmp_path):
    out = tmp_path / "new" / "table.parquet"
    found, states = experts("echo", "seven")
    totals, seen = await build(write(tmp_path / "p.jsonl", PROMPTS), out, found, states)
    table = tables.read(out)
    assert table.experts == ("echo", "seven")
    assert table.tasks == ("sum", "sum", "chat")
    assert table.queries == ("say 7", "3 + 4", "hello")
    assert table.scores.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert table.costs is not None and (table.costs[:, 0] > 0).all() and not table.costs[:, 1].any()
    assert table.latencies is not None and (table.latencies > 0).all()
    assert {(t.expert, t.task, t.score) for t in totals} == {
        ("echo", "sum", 0.5),
        ("echo", "chat", 1.0),
        ("seven", "sum", 1.0),
        ("seven", "chat", 0.0),
    }
    assert ("echo", 3, 3) in seen and ("grading", 3, 3) in seen


async def test_an_interrupted_build_goes_on_and_doubles_nothing(tmp_path):
    path, out = write(tmp_path / "p.jsonl", PROMPTS), tmp_path / "t.parquet"
    found, states = experts("echo", "seven")
    stopping = {**found, "seven": Counting(found["seven"], stop_after=1)}
    with pytest.raises(ExpertUnavailable):
        await build(path, out, stopping, states)
    assert not out.exists()
    log = out.with_suffix(".answers.jsonl")
    log.write_bytes(log.read_bytes() + b'{"expert": "echo", "torn')
    counted = {name: Counting(expert) for name, expert in found.items()}
    before = len(log.read_bytes().splitlines()) - 1
    await build(path, out, counted, states)
    assert counted["echo"].asked + counted["seven"].asked == 6 - before
    assert len(log.read_bytes().splitlines()) == 6
    assert tables.read(out).scores.tolist() == [[1, 1], [0, 1], [1, 0]]


async def test_a_new_expert_is_asked_alone_and_a_changed_one_again(tmp_path):
    path, out = write(tmp_path / "p.jsonl", PROMPTS), tmp_path / "t.parquet"
    found, states = experts("echo")
    await build(path, out, found, states)
    both, states = experts("echo", "seven")
    counted = {name: Counting(expert) for name, expert in both.items()}
    await build(path, out, counted, states)
    assert (counted["echo"].asked, counted["seven"].asked) == (0, 3)

    changed, states = experts("echo", "seven", text=FLEET.replace('["7"]', '["8"]'))
    counted = {name: Counting(expert) for name, expert in changed.items()}
    await build(path, out, counted, states)
    assert (counted["echo"].asked, counted["seven"].asked) == (0, 3)
    assert tables.read(out).scores[:, 1].tolist() == [0, 0, 0]


async def test_a_refusal_scores_nothing_and_is_counted(tmp_path):
    text = FLEET.replace("{id: dead, engine: fake, fail_after: 0, error: unavailable}",
                         "{id: dead, engine: fake, fail_after: 0, error: rejected}")  # fmt: skip
    found, states = experts("dead", text=text)
    totals, _ = await build(
        write(tmp_path / "p.jsonl", PROMPTS), tmp_path / "t.parquet", found, states
    )
    assert [(t.score, t.refused) for t in totals] == [(0.0, 2), (0.0, 1)]


async def test_a_table_in_one_call_asks_only_what_is_missing(tmp_path):
    prompts = read_prompts(write(tmp_path / "p.jsonl", PROMPTS))
    out = tmp_path / "new" / "table.parquet"
    told = []
    for names in (("seven",), ("seven", "echo")):
        found, _ = experts(*names)
        totals = await tabulate(
            parse(FLEET), prompts, found, out, progress=lambda *it: told.append(it)
        )
        assert {total.expert for total in totals} == set(names)
    assert tables.read(out).experts == ("echo", "seven")
    log = (tmp_path / "new" / "table.answers.jsonl").read_text().splitlines()
    assert len(log) == 2 * len(PROMPTS)
    assert ("seven", 3, 3) in told and ("grading", 3, 3) in told


async def test_a_table_has_one_form(tmp_path):
    with pytest.raises(TableError, match="in a .parquet file"):
        await tabulate(parse(FLEET), [], {}, tmp_path / "table.csv")
    assert not list(tmp_path.iterdir())
