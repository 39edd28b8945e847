"""The persona's gate: in character where something is to be written, untouched elsewhere."""

import pytest

from motet.config import parse
from motet.errors import ConfigError
from motet.service.motet import Motet

TEXT = """
version: 1
experts:
  - {id: plain, engine: fake}
  - {id: bard, engine: fake, tokens: [Hark]}
routers:
  one: {kind: constant, expert: plain}
compositions:
  prompted: {router: one, strategy: {kind: persona, prompt: You are a pirate.}}
  adapted: {router: one, strategy: {kind: persona, expert: bard, when: "generative && turns < 3"}}
"""
GENERATIVE = [
    "Write a short story about a lighthouse.",
    "Can you tell me a joke?",
    "Draft an email to my landlord",
    "Give me three slogans for a bakery.",
    "Pretend you are a dragon.",
    "Brainstorm names for a cat",
]
FACTUAL = [
    "What is the capital of France?",
    "Write a regular expression that matches 3 digits.",
    "Which author wrote the story of Gregor Samsa?",
    "Write SQL for: Count the books per genre.",
    "Give the highest rating of all movies.",
    "Anna has 3 letters and writes 4 more. How many letters are there?",
    "Extract name, city as JSON: Ann lives in Rome.",
]


async def ask(composition: str, messages) -> tuple[str, str]:
    async with Motet(parse(TEXT.replace("", ""))) as motet:
        seen = []
        plain = motet.fleet["plain"]
        stream = plain.stream
        plain.stream = lambda request: (seen.append(request), stream(request))[1]
        reply = await motet.chat(composition, messages)
        return reply.expert, seen[0].messages[0]["content"] if seen else ""


@pytest.mark.parametrize("prompt", GENERATIVE)
async def test_generative_requests_get_the_persona(prompt):
    assert await ask("prompted", prompt) == ("plain", "You are a pirate.")
    assert (await ask("adapted", prompt))[0] == "bard"


@pytest.mark.parametrize("prompt", FACTUAL)
async def test_factual_requests_pass_as_they_came(prompt):
    assert await ask("prompted", prompt) == ("plain", prompt)
    assert (await ask("adapted", prompt))[0] == "plain"


async def test_the_clients_own_instructions_stand():
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell a story"}]
    assert await ask("prompted", own) == ("plain", "Be brief.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{kind: persona}", "a prompt, an expert or both"),
        (
            "{kind: persona, expert: bord}",
            r"strategy\.expert: no expert 'bord'. Did you mean 'bard'",
        ),
        (
            "{kind: persona, prompt: x, when: generativ}",
            r"strategy\.when: .*Did you mean 'generative'",
        ),
        ("{kind: persona, prompt: x, wen: x}", "unknown field 'wen'. Did you mean 'when'"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(ConfigError, match=said):
        Motet(
            parse(
                TEXT.replace("{kind: persona, prompt: You are a pirate.}", options).replace("", "")
            )
        )
