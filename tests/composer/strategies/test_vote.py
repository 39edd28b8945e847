"""Votes: the answer that most agree on, found as early as it can be."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.composer.fitted.ballots import FittedBallots
from motet.composer.fitted.belief import Belief
from motet.composer.fitted.tasks import TaskTeller
from motet.composer.strategies.ballot import leader, settled
from motet.config import parse
from motet.errors import ConfigError, ExpertError, NoExpertAvailable, UnsupportedRequest
from motet.service.motet import Motet
from motet.types import Choice, Decision, Request

FLEET = """
version: 1
experts:
  - {id: four, engine: fake, tokens: ["2 + 2 = 4, so the answer is 4"]}
  - {id: vier, engine: fake, tokens: ["The answer is 4.0."]}
  - {id: five, engine: fake, tokens: ["The answer is 5"]}
  - {id: dead, engine: fake, fail_after: 0}
  - {id: slow, engine: fake, tokens: [late], delay_s: 30}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [OTHERS]}
compositions:
  jury: {router: r, strategy: {kind: vote, STRATEGY}}
"""


@asynccontextmanager
async def jury(*voters, strategy="experts: 3"):
    text = FLEET.replace("FIRST", voters[0]).replace("OTHERS", ", ".join(voters[1:]))
    async with Motet(parse(text.replace("STRATEGY", strategy))) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        yield motet


async def ask(motet, **fields):
    request = Request(model="jury", messages=({"role": "user", "content": "2+2?"},), **fields)
    async with motet.answer(request) as answer:
        return "".join([chunk.text async for chunk in answer]), answer


async def test_the_majority_wins_in_the_words_of_its_first_voter():
    async with jury("five", "four", "vier") as motet:
        text, answer = await ask(motet)
    assert text == "2 + 2 = 4, so the answer is 4" and answer.author == "four"


async def test_a_settled_vote_waits_for_nobody():
    async with jury("four", "vier", "slow") as motet:
        text, answer = await ask(motet)
        assert text.endswith("4") and motet.fleet["slow"].open == 0
    assert answer.calls.trace[2].error == "stopped before its end"


async def test_a_tie_goes_to_the_routers_first():
    async with jury("five", "four") as motet:
        assert (await ask(motet))[1].author == "five"


async def test_failures_leave_the_vote():
    async with jury("dead", "five", "four") as motet:
        assert (await ask(motet))[1].author == "five"
    async with jury("dead") as motet:
        with pytest.raises((ExpertError, NoExpertAvailable)):
            await ask(motet)


async def test_self_consistency_samples_one_expert():
    async with jury("four", "five", strategy="experts: 1, samples: 5") as motet:
        _, answer = await ask(motet)
    assert {call.expert for call in answer.calls.trace} == {"four"}
    assert len(answer.calls.trace) == 5


async def test_what_a_vote_cannot_give_is_refused():
    async with jury("four", "five") as motet:
        with pytest.raises(UnsupportedRequest, match="one answer"):
            await ask(motet, n=2)


async def test_bad_options():
    for strategy, said in [("experts: 1", "two answers"), ("answer: nmber", "'number'")]:
        with pytest.raises(ConfigError, match=said):
            async with jury("four", strategy=strategy):
                pass


def test_stages():
    motet = Motet(
        parse(
            FLEET.replace("FIRST", "four")
            .replace("OTHERS", "five")
            .replace("STRATEGY", "experts: 2, samples: 2")
        )
    )
    decision = Decision(choices=(Choice("four"), Choice("five")), router="r", reason="")
    assert motet.pipeline.compositions["jury"].strategy.stages(decision) == (("four", "five"),)


votes = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 1.0)), min_size=1, max_size=7)


@given(votes, st.randoms())
def test_stopping_early_changes_no_result(cast, random):
    """Whatever order answers come in, a settled vote names the answer that all of them would."""
    weights = [weight for _, weight in cast]
    whole = {n: answer for n, (answer, _) in enumerate(cast)}
    final = whole[leader(whole, weights, "text").seat]
    order = random.sample(sorted(whole), len(whole))
    found = {}
    for number in order:
        found[number] = whole[number]
        seat = settled(found, weights, "text")
        if seat is not None:
            assert found[seat] == final
            break


async def test_a_patient_vote_asks_no_more_than_it_needs():
    async with jury("four", "vier", "five", strategy="experts: 3, first: 2") as motet:
        _, answer = await ask(motet)
        assert [call.expert for call in answer.calls.trace] == ["four", "vier"]
    async with jury("four", "five", "vier", strategy="experts: 3, first: 2") as motet:
        text, answer = await ask(motet)
        assert len(answer.calls.trace) == 3 and text.endswith("4")
    async with jury("dead", "five", "four", strategy="experts: 3, first: 1") as motet:
        assert (await ask(motet))[1].author == "five"


@asynccontextmanager
async def believed(folder, weights, strategy=""):
    experts = ("four", "vier", "five")
    learned = np.zeros((1, 2 * len(experts) + 11))
    learned[0, :3] = weights
    FittedBallots(
        experts=experts, teller=TaskTeller(("",), None), forms=("value",), belief=Belief(learned)
    ).save(folder, "vote", {})
    async with jury("dead", strategy=f"artifact: {folder}{strategy}") as motet:
        yield motet


async def test_a_fitted_vote_counts_as_it_learned(tmp_path):
    async with believed(tmp_path / "v", (1.0, 1.0, 3.0)) as motet:
        text, answer = await ask(motet)
    assert text.endswith("5") and len(answer.calls.trace) == 3
    async with believed(tmp_path / "v", (1.0, 1.0, 1.5)) as motet:
        assert (await ask(motet))[1].author == "four"


async def test_a_fitted_vote_stops_when_it_is_sure(tmp_path):
    async with believed(tmp_path / "v", (4.0, 1.0, 1.0), ", first: 1, sure: 0.9") as motet:
        _, answer = await ask(motet)
    assert [call.expert for call in answer.calls.trace] == ["four"]


async def test_what_a_fitted_vote_needs_is_said(tmp_path):
    for options in ("artifact: nowhere", "sure: 0.5"):
        with pytest.raises(ConfigError):
            async with jury("four", "five", strategy=options):
                pass
