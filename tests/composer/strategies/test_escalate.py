"""A weak expert until there is trouble, then the strong one for good."""

import pytest
from tests.composer.helpers import motet, read

from motet.errors import ConfigError
from motet.types import Request

EXPERTS = [
    "{id: weak, engine: fake, tokens: [weak]}",
    "{id: strong, engine: fake, tokens: [strong]}",
    "{id: stuck, engine: fake, tokens: [Stuck.]}",
    "{id: fine, engine: fake, tokens: [progress]}",
    "{id: dead, engine: fake, fail_after: 0}",
]


def strategy(more=""):
    return f", strategy: {{kind: escalate, strong: strong{more}}}"


def chat(*said, session="s", **fields):
    roles = ["user", "assistant"] * len(said)
    messages = tuple({"role": r, "content": t} for r, t in zip(roles, said, strict=False))
    return Request(model="auto", messages=messages, session=session, **fields)


def agent(errors):
    messages = [{"role": "user", "content": "go"}]
    for number in range(errors):
        call = {"function": {"name": "run", "arguments": str(number)}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "Error: it failed"},
        ]
    return Request(model="auto", messages=tuple(messages), session="s")


async def test_the_weak_one_answers_until_there_is_trouble_and_never_again():
    async with motet(EXPERTS, strategy()) as found:
        said = [(await read(found, agent(errors)))[0] for errors in (0, 1, 2, 3)]
        assert said == ["weak", "weak", "weak", "strong"]
        # Cut short by its client, the history tells of no trouble any more: it is remembered.
        assert (await read(found, chat("go", "done", "and now?")))[0] == "strong"
        assert (await read(found, chat("go", "done", "and now?", session="t")))[0] == "weak"


async def test_trouble_is_what_the_config_says():
    async with motet(EXPERTS, strategy(", when: user_turns > 1")) as found:
        assert (await read(found, chat("go")))[0] == "weak"
        assert (await read(found, chat("go", "done", "no!")))[0] == "strong"


async def test_bad_verdicts_in_a_row_are_trouble():
    async with motet(EXPERTS, strategy(", judge: stuck, verdicts: 2")) as found:
        text, answer = await read(found, chat("1"))
        assert text == "weak" and len(answer.calls.trace) == 1  # there is nothing to judge yet
        text, answer = await read(found, chat("1", "a", "2"))
        assert text == "weak" and [c.expert for c in answer.calls.trace] == ["stuck", "weak"]
        assert answer.answered == ("weak",)  # a judge answers nobody
        text, answer = await read(found, chat("1", "a", "2", "b", "3"))
        assert text == "strong"
        text, answer = await read(found, chat("1", "a", "2", "b", "3", "c", "4"))
        assert text == "strong" and len(answer.calls.trace) == 1  # it is not judged any more


@pytest.mark.parametrize("judge", ["fine", "dead", "weak"])
async def test_a_good_verdict_and_none_are_no_trouble(judge):
    async with motet(EXPERTS, strategy(f", judge: {judge}, verdicts: 1")) as found:
        assert (await read(found, chat("1", "a", "2")))[0] == "weak"


async def test_the_others_stand_by():
    async with motet(EXPERTS, strategy(", weak: dead")) as found:
        text, answer = await read(found, chat("go"))
        assert text == "weak" and answer.author == "weak"


@pytest.mark.parametrize(
    ("more", "problem"),
    [(", weak: wea", "Did you mean 'weak'"), (", when: turnz > 1", "Did you mean 'turns'")],
)
async def test_options_are_checked(more, problem):
    with pytest.raises(ConfigError, match=problem):
        async with motet(EXPERTS, strategy(more)):
            pass
