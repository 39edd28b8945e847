"""Whole batches on fake experts that have to be loaded: answers, order, faults, resuming."""

import asyncio
import shutil
import sqlite3

import pytest
from tests.asks import setting_of
from tests.batch.helpers import FLEET, Loaded, line, run_batch

from motet.composer.strategies.base import Strategy
from motet.config import Options
from motet.errors import BatchError, ExpertError
from motet.types import Chunk

NOWHERE = setting_of()
MIXED = [line(f"q{n}", ["hello", "a bee", "so dead"][n % 3] + f" {n}") for n in range(30)]


async def test_lines_are_grouped_and_the_output_keeps_their_order(tmp_path):
    done = await run_batch(tmp_path, MIXED)
    assert [each["custom_id"] for each in done.out] == [f"q{n}" for n in range(30)]
    assert done.texts["q0"] == "hello 0" and done.texts["q1"] == "bee" and done.texts["q2"] == "see"
    assert sorted(done.loader.loads) == ["a", "b", "c", "dead"]
    assert done.loader.most == 1
    assert done.errors == []


async def test_in_arrival_order_an_expert_is_loaded_again_and_again(tmp_path):
    grouped = await run_batch(tmp_path, MIXED)
    (tmp_path / "state").unlink()
    arrival = await run_batch(tmp_path, MIXED, order="arrival")
    assert len(arrival.loader.loads) > 5 * len(grouped.loader.loads)
    assert arrival.out == grouped.out


BAD = [
    ("{oops", "invalid_line", "not valid JSON"),
    ("[1]", "invalid_line", "JSON object"),
    ({"custom_id": "x"}, "invalid_line", "method: field required"),
    ({**line("x"), "custom_id": 7}, "invalid_line", "custom_id"),
    ({**line("x"), "method": "GET"}, "invalid_line", "'POST'"),
    (line("x", url="/v1/chat/completion"), "invalid_line", "Did you mean '/v1/chat/completions'"),
    (line("x", stream=True), "invalid_line", "stream"),
    (line("good"), "invalid_line", "'good' is taken by line 1"),
    (line("x", model="auot"), "model_not_found", "Did you mean 'auto'"),
    (line("x", temperature=9), "invalid_request", "temperature"),
    (line("y", model="dead"), "expert_rejected", "scripted failure"),
]


async def test_bad_lines_are_told_apart_and_the_rest_goes_on(tmp_path):
    done = await run_batch(tmp_path, [line("good"), *(bad for bad, *_ in BAD), "", line("last")])
    assert set(done.texts) == {"good", "last"}
    assert len(done.errors) == len(BAD)
    for number, (each, (_, code, said)) in enumerate(zip(done.errors, BAD, strict=True), start=2):
        fault = each["error"] or each["response"]["body"]["error"]
        assert fault["code"] == code and said in fault["message"]
        if each["error"]:
            assert fault["line"] == number and f"Line {number}:" in fault["message"]
        else:
            assert each["response"]["status_code"] in (400, 404)


async def test_a_default_model_is_for_bodies_that_name_none(tmp_path):
    bare = line("x")
    del bare["body"]["model"]
    done = await run_batch(tmp_path, [bare, line("y", model="b")], model="c")
    assert done.texts == {"x": "see", "y": "bee"}


async def test_completions(tmp_path):
    asked = {"custom_id": "x", "method": "POST", "url": "/v1/completions"}
    done = await run_batch(tmp_path, [{**asked, "body": {"model": "a", "prompt": "one two"}}])
    body = done.out[0]["response"]["body"]
    assert body["object"] == "text_completion" and body["choices"][0]["text"] == "one two"


async def test_explain_names_calls_and_no_times(tmp_path):
    done = await run_batch(tmp_path, [line("x", "so dead", motet={"explain": True})])
    told = done.out[0]["response"]["body"]["motet"]
    assert [call["expert"] for call in told["experts"]] == ["dead", "c"]
    assert told["experts"][0]["error"] and "started" not in told["experts"][0]


async def test_an_expert_without_weights_fails_its_lines_or_is_replaced(tmp_path):
    lines = [line("x", "a bee"), line("y", model="b"), line("z")]
    done = await run_batch(tmp_path, lines, broken={"b"})
    assert done.texts == {"x": "see", "z": "hello"}
    assert "no weights of b" in done.errors[0]["response"]["body"]["error"]["message"]


async def test_what_may_heal_is_tried_again_within_bounds(tmp_path):
    fleet = FLEET.replace("error: overloaded}", "error: overloaded, delay_s: 0}")
    done = await run_batch(tmp_path, [line("x", model="shaky")], fleet=fleet)
    # a retry_after of one second is heeded between the attempts
    assert done.loader.calls["shaky"] == 3 and done.errors
    assert done.totals["shaky"].calls == 1


class Panel(Strategy):
    """Asks three at once, then one of them to sum up: what panels and votes look like."""

    Config = Options

    def stages(self, decision):
        return (("a", "b", "c"), ("b",))

    async def run(self, request, decision, calls):
        async def whole(expert, asked):
            return "".join([c.text async for c in calls.stream(expert, asked) if c.index == 0])

        async with asyncio.TaskGroup() as group:
            drafts = [group.create_task(whole(expert, request)) for expert in ("a", "b", "c")]
        from dataclasses import replace

        question = {"role": "user", "content": " | ".join(d.result() for d in drafts)}
        asked = replace(request, messages=(question,))
        calls.lead("b")
        async for chunk in calls.stream("b", asked):
            yield chunk


@pytest.mark.parametrize("memory", [1, 2, 3])
async def test_a_strategy_of_several_steps_runs_unchanged(tmp_path, memory):
    lines = [line(f"q{n}", f"text {n}") for n in range(20)]
    done = await run_batch(
        tmp_path, lines, strategies={"auto": Panel(Options(), NOWHERE)}, memory=memory,
        fleet=FLEET.replace("expert_calls: 8", ""),
    )  # fmt: skip
    assert len(done.out) == 20
    assert done.out[0]["response"]["body"]["usage"]["completion_tokens"] == 2 + 1 + 1 + 1
    assert done.loader.calls == {"a": 20, "b": 40, "c": 20}
    # the aggregator comes last of the panel, and stays
    assert sorted(done.loader.loads) == ["a", "b", "c"]
    assert done.loader.most <= memory


class Restless(Strategy):
    """Asks something else each time it is run."""

    Config = Options

    async def run(self, request, decision, calls):
        from dataclasses import replace

        from motet.ids import new_id

        async for chunk in calls.stream("a", replace(request, user=new_id("user"))):
            yield chunk


class Broken(Strategy):
    Config = Options

    async def run(self, request, decision, calls):
        yield Chunk(text="x")
        raise KeyError("a fault of its own")


@pytest.mark.parametrize(("kind", "said"), [(Restless, "does not settle"), (Broken, "internal")])
async def test_a_strategy_at_fault_ends_its_lines_and_no_others(tmp_path, kind, said):
    lines = [line("x"), line("y", model="b")]
    done = await run_batch(tmp_path, lines, strategies={"auto": kind(Options(), NOWHERE)})
    assert done.texts == {"y": "bee"}
    assert said in done.errors[0]["response"]["body"]["error"]["message"]


class Interrupted(Loaded):
    """A loader whose experts stop the whole batch after some calls."""

    left = 7

    def expert(self, expert):
        Interrupted.left -= 1
        if Interrupted.left == 0:
            raise BatchError("pulled the plug")
        return super().expert(expert)


async def test_the_same_batch_goes_on_and_asks_nothing_twice(tmp_path):
    (tmp_path / "other").mkdir()
    whole = await run_batch(tmp_path / "other", MIXED)
    shutil.copy2(tmp_path / "other" / "in.jsonl", tmp_path / "in.jsonl")
    with pytest.raises(BatchError, match="pulled the plug"):
        await run_batch(tmp_path, MIXED, loader=Interrupted, concurrency=1)
    assert not (tmp_path / "out.jsonl").exists()
    kept = sqlite3.connect(tmp_path / "state").execute("SELECT COUNT(*) FROM calls").fetchone()[0]
    done = await run_batch(tmp_path, MIXED)
    assert kept == 6
    assert done.loader.calls.total() == whole.loader.calls.total() - kept
    assert done.out == whole.out
    assert done.texts == whole.texts
    again = await run_batch(tmp_path, MIXED)
    assert again.out == done.out and not again.loader.calls


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lines": MIXED[:5]}, "the input file"),
        ({"fleet": FLEET.replace("tokens: [bee]", "tokens: [BEE]")}, "experts.b"),
        ({"fleet": FLEET.replace("'bee'", "'hello'")}, "routers.words"),
        ({"model": "a"}, "--model"),
    ],
)
async def test_another_batch_is_refused_with_what_differs_or_begun_anew(tmp_path, change, said):
    await run_batch(tmp_path, MIXED)
    change = {"lines": MIXED, **change}
    with pytest.raises(BatchError, match=f"Changed since: {said}"):
        await run_batch(tmp_path, **change)
    done = await run_batch(tmp_path, **change, fresh=True)
    assert len(done.out) == len(change["lines"])


async def test_what_changes_no_answer_may_change(tmp_path):
    await run_batch(tmp_path, MIXED)
    same = FLEET.replace("{id: b,", "{id: b, description: of bees, optional: true,")
    assert not (await run_batch(tmp_path, MIXED, fleet=same)).loader.calls


async def test_an_engine_that_raises_what_it_should_not(tmp_path):
    class Wild(Loaded):
        def expert(self, expert):
            found = super().expert(expert)

            async def stream(request):
                raise ZeroDivisionError("oops")
                yield

            found.stream = stream
            return found

    done = await run_batch(tmp_path, [line("x")], loader=Wild)
    assert "ZeroDivisionError" in done.errors[0]["response"]["body"]["error"]["message"]
    assert ExpertError.code == done.errors[0]["response"]["body"]["error"]["code"]


async def test_an_expert_larger_than_the_memory_is_refused_before_anything_loads(tmp_path):
    class Large(Loaded):
        async def sizes(self, engines):
            return dict.fromkeys(engines, 3 * 1024**2)

    with pytest.raises(BatchError, match=r"allowed is 1MiB, but 'a' takes 3MiB.*Allow 3MiB"):
        await run_batch(tmp_path, [line("x")], memory=1024**2, loader=Large)
