"""A conversation that alternates between two ingress replicas, and goes on after a restart.

Two services over one store stand for two replicas; each turn goes to the other one, at once.
"""

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.conftest import running, wait_for

from motet.config import Options, Store, parse
from motet.routers import ROUTERS
from motet.routers.base import Router
from motet.types import Choice, Decision

FLEET = """
version: 1
experts:
  - {id: a, engine: fake, tokens: [from a], price: {input: 1, cached_input: 0.1}}
  - {id: b, engine: fake, tokens: [from b], price: {input: 1, cached_input: 0.1}}
  - {id: strong, engine: fake, tokens: [from strong]}
  - {id: judge, engine: fake, tokens: [stuck]}
routers:
  wavers: {kind: wavers}
  sticky: {kind: sticky, of: wavers, margin: 0.2}
compositions:
  auto: {router: sticky}
  bouncing: {router: wavers}
  agent: {router: wavers, strategy: {kind: escalate, weak: a, strong: strong}}
  judged:
    router: wavers
    strategy: {kind: escalate, weak: a, strong: strong, judge: judge, verdicts: 2}
"""


class Wavers(Router):
    """Finds `b` a little better at every second turn, and much better where a turn says so."""

    Config = Options

    async def route(self, request, fleet, calls):
        turns = sum(message["role"] == "user" for message in request.messages)
        gain = 0.5 if "switch" in request.text.splitlines()[-1] else 0.1
        quality = {"a": 0.5, "b": 0.5 + gain if turns % 2 == 0 or gain == 0.5 else 0.4}
        ranked = sorted(quality, key=lambda name: -quality[name])
        choices = tuple(Choice(name, quality=quality[name]) for name in ranked)
        return Decision(choices=choices, router=self.name, reason="it wavers")


ROUTERS.register("wavers", Wavers)


class Chat:
    """A client that keeps its messages, and asks whatever service it is told to."""

    def __init__(self, model="auto", **headers):
        self.messages = []
        self._model, self._headers = model, headers

    def say(self, service, *messages):
        """Say something to a service, and return who answered."""
        self.messages += [
            {"role": "user", "content": m} if isinstance(m, str) else m for m in messages
        ]
        body = {"model": self._model, "messages": self.messages}
        answer = httpx.post(
            f"{service.url}/v1/chat/completions", json=body, headers=self._headers, timeout=30
        )
        answer.raise_for_status()
        self.messages.append(answer.json()["choices"][0]["message"])
        return answer.headers["x-motet-experts"]


@pytest.fixture
def document(place, tmp_path):
    """The fleet over each kind of database."""
    made = parse(FLEET, folder=Path.cwd())
    where = {"path": place.path} if place.path else {"url": place.url, "files": tmp_path}
    copy = replace(made)
    copy.config = made.config.model_copy(update={"store": Store(**where)})
    return copy


@contextlib.contextmanager
def replicas(document):
    """Run two services over one store."""
    with running(document) as one, running(document) as other:
        for each in (one, other):
            wait_for(lambda each=each: each.get("/ready").json()["complete"])
        yield one, other


def test_it_stays_with_its_expert_turn_by_turn_and_after_a_restart(document):
    chat, control = Chat(), Chat("bouncing")
    with replicas(document) as both:
        assert [chat.say(both[n % 2], f"turn {n}") for n in range(6)] == ["a"] * 6
        assert {control.say(both[n % 2], f"turn {n}") for n in range(4)} == {"a", "b"}
        assert chat.say(both[0], "please switch") == "b"
        assert [chat.say(both[(n + 1) % 2], f"turn {n}") for n in range(4)] == ["b"] * 4
    with replicas(document) as both:
        assert [chat.say(both[n % 2], f"turn {n}") for n in range(4)] == ["b"] * 4


def test_a_conversation_with_a_name_goes_on_by_it(document):
    named = {"x-motet-session": "mine"}
    with replicas(document) as both:
        first = Chat(**named)
        assert first.say(both[0], "please switch") == "b"
        assert first.say(both[1], "and now?") == "b"
    with replicas(document) as both:
        # Its client sends the last message alone: the name is all there is to go by.
        assert Chat(**named).say(both[1], "turn 9") == "b"
        assert Chat().say(both[1], "turn 9") == "a"


def test_who_escalated_stays_up_on_both_replicas_and_after_a_restart(document):
    chat = Chat("agent", **{"x-motet-session": "task"})
    failed = []
    for number in range(3):
        call = {"id": str(number), "type": "function"}
        call["function"] = {"name": "run", "arguments": str(number)}
        failed += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": str(number), "content": "Error: it failed"},
        ]
    with replicas(document) as both:
        assert chat.say(both[0], "go") == "a"
        assert chat.say(both[1], *failed) == "strong"
        chat.messages = chat.messages[-1:]  # its client cuts the history short, in a while
        time.sleep(0.6)
        assert chat.say(both[0], "go on") == "strong"
        assert chat.say(both[1], "go on") == "strong"
    with replicas(document) as both:
        assert [chat.say(both[n], "go on") for n in (0, 1)] == ["strong"] * 2


def test_verdicts_are_counted_over_replicas(document):
    chat = Chat("judged")
    with replicas(document) as both:
        experts = [chat.say(both[n % 2], f"turn {n}") for n in range(5)]
        assert experts == ["a", "a", "strong", "strong", "strong"]


def test_a_bad_name_is_refused(document):
    with running(document) as service:
        wait_for(lambda: service.get("/ready").json()["ready"])
        body = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
        for path in ("/v1/chat/completions", "/v1/route"):
            answer = service.post(path, body, headers={"x-motet-session": "x" * 300})
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == "x-motet-session"
            assert "256 printable characters" in answer.json()["error"]["message"]
