"""Tables from runs: what is asked, what is kept through an interruption, what is written."""

import json
from pathlib import Path

import pytest

from motet import tables
from motet.config import parse
from motet.errors import ExpertUnavailable, TableError
from motet.experts import ENGINES
from motet.lab.tabulation import AnswerLog, Tabulation, read_prompts, state_of, tabulate
from motet.weights import Setting

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: seven, engine: fake, tokens: ["7"]}
  - {id: dead, engine: fake, fail_after: 0, error: unavailable}
"""
PROMPTS = [
    {"query": "say 7", "task": "sum", "grader": "numeric", "reference": 7, "id": "a"},
    {"query": "3 + 4", "task": "sum", "grader": "numeric", "reference": 7, "id": "b"},
    {"query": "hello", "task": "chat", "grader": "exact", "reference": "hello", "id": "c"},
]


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def experts(*names: str, text: str = FLEET):
    document = parse(text)
    setting = Setting(Path(), Path())
    found = {}
    for entry in document.config.experts:
        if entry.id in names:
            engine = ENGINES.load(entry.engine)
            found[entry.id] = engine(entry, engine.Config.model_validate(entry.options), setting)
    states = {e.id: state_of(e, Path()) for e in document.config.experts if e.id in names}
    return found, states


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


async def test_a_refusal_scores_nothing_and_is_counted(tmp_path):
    text = FLEET.replace("{id: dead, engine: fake, fail_after: 0, error: unavailable}",
                         "{id: dead, engine: fake, fail_after: 0, error: rejected}")  # fmt: skip
    found, states = experts("dead", text=text)
    totals, _ = await build(
        write(tmp_path / "p.jsonl", PROMPTS), tmp_path / "t.parquet", found, states
    )
    assert [(t.score, t.refused) for t in totals] == [(0.0, 2), (0.0, 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", ":2: this line is no JSON"),
        (
            '{"task": "x", "grader": "exact", "reference": "y"}',
            ":2: this line: .*query or messages",
        ),
        ('{"query": "x", "grader": "numerik", "reference": 1}', ":2: .*Did you mean 'numeric'"),
        ('{"query": "x", "grader": "numeric", "reference": "y"}', ":2: reference"),
        ('{"query": "x", "reference": "y"}', ":2: no grader. One of: choice"),
        ('{"query": "x", "graders": "exact"}', ":2: graders: .*Did you mean 'grader'"),
        ('{"query": "x", "grader": "judge", "reference": "y"}', ":2: .*Give --judge"),
        (
            '{"query": "say 7", "grader": "numeric", "reference": 7, "id": "a"}',
            ":2: id 'a' .*line 1",
        ),
    ],
)
def test_wrong_prompts_are_named_by_line(tmp_path, line, said):
    path = write(tmp_path / "p.jsonl", PROMPTS[:1])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TableError, match=said):
        read_prompts(path)


def test_no_prompts_and_no_file(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(TableError, match="there is no prompt"):
        read_prompts(tmp_path / "empty.jsonl")
    with pytest.raises(TableError, match="No such file"):
        read_prompts(tmp_path / "absent.jsonl")


def test_a_damaged_log_is_not_guessed_at(tmp_path):
    (tmp_path / "t.answers.jsonl").write_text('{"expert": "a"}\n')
    with pytest.raises(TableError, match=r"t\.answers\.jsonl:1: this line is no answer"):
        AnswerLog(tmp_path / "t.answers.jsonl")


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
