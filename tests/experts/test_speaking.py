"""Experts whose hosts speak other protocols than chat: a service asks another one, in each."""

import anthropic
import openai
import pytest
from tests.asks import setting_of
from tests.conftest import running
from tests.hosting import Played

from motet.config import parse
from motet.experts.anthropic import AnthropicExpert
from motet.experts.build import build
from motet.types import Request
from motet.whole import collect

BEHIND = """
version: 1
experts:
  - {id: echo, engine: fake, reasoning: let me see}
  - id: agent
    engine: fake
    tokens: [done]
    calls: [{name: look, arguments: '{"path": "a"}'}, {name: look, arguments: '{}'}]
  - {id: dead, engine: fake, fail_after: 0, error: overloaded}
  - {id: breaks, engine: fake, tokens: [a, b, c], fail_after: 2}
service: {api_keys: [secret]}
"""
BEFORE = """
version: 1
experts:
  - {{id: m-echo, engine: anthropic, url: "{url}/v1", model: echo, api_key: secret, retries: 0}}
  - {{id: m-agent, engine: anthropic, url: "{url}/v1", model: agent, api_key: secret, retries: 0}}
  - {{id: m-dead, engine: anthropic, url: "{url}/v1", model: dead, api_key: secret, retries: 0}}
  - {{id: m-breaks, engine: anthropic, url: "{url}/v1", model: breaks, api_key: secret, retries: 0}}
  - {{id: r-echo, engine: openai, api: responses, url: "{url}/v1", model: echo, api_key: secret, retries: 0}}
  - {{id: r-agent, engine: openai, api: responses, url: "{url}/v1", model: agent, api_key: secret, retries: 0}}
  - {{id: r-dead, engine: openai, api: responses, url: "{url}/v1", model: dead, api_key: secret, retries: 0}}
  - {{id: r-breaks, engine: openai, api: responses, url: "{url}/v1", model: breaks, api_key: secret, retries: 0}}
"""
LOOK = {"name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def service():
    with running(BEHIND) as behind, running(BEFORE.format(url=behind.url)) as before:
        yield before


@pytest.fixture
def client(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="x", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("wire", ["m", "r"])
@pytest.mark.parametrize("streamed", [False, True])
def test_words_thoughts_and_usage(client, wire, streamed):
    asked = {"model": f"{wire}-echo", "messages": [{"role": "user", "content": "good day"}]}
    if not streamed:
        answer = client.chat.completions.create(**asked)
        message = answer.choices[0].message
        assert (message.content, message.reasoning_content) == ("good day", "let me see ")
        assert (answer.choices[0].finish_reason, answer.usage.total_tokens) == ("stop", 4)
        return
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "good day"
    assert (
        "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        == "let me see "
    )
    assert chunks[-1].usage.total_tokens == 4


@pytest.mark.parametrize("wire", ["m", "r"])
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_by_any_protocol(client, service, wire, streamed):
    tools = [{"type": "function", "function": LOOK}]
    said = [{"role": "user", "content": "look"}]
    asked = {"model": f"{wire}-agent", "messages": said, "tools": tools}
    if streamed:
        with client.chat.completions.stream(**asked) as stream:
            called = stream.get_final_completion().choices[0].message
    else:
        called = client.chat.completions.create(**asked).choices[0].message
    assert [(c.function.name, c.function.arguments) for c in called.tool_calls] == [
        ("look", '{"path":"a"}' if wire == "m" and not streamed else '{"path": "a"}'),
        ("look", "{}"),
    ]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "nothing"}
        for call in called.tool_calls
    ]
    calls = [c.to_dict() for c in called.tool_calls]
    after = client.chat.completions.create(
        **{
            **asked,
            "messages": [
                *said,
                {"role": "assistant", "content": None, "tool_calls": calls},
                *results,
            ],
        }
    )
    assert after.choices[0].message.content == "done"
    with anthropic.Anthropic(base_url=service.url, api_key="x", max_retries=0) as theirs:
        tool = {"name": "look", "input_schema": LOOK["parameters"]}
        message = theirs.messages.create(
            model=f"{wire}-agent", max_tokens=9, messages=said, tools=[tool]
        )
    assert [block.input for block in message.content] == [{"path": "a"}, {}]


@pytest.mark.parametrize("wire", ["m", "r"])
def test_failures_are_the_experts(client, wire):
    with pytest.raises(openai.RateLimitError, match="scripted failure"):
        client.chat.completions.create(
            model=f"{wire}-dead", messages=[{"role": "user", "content": "x"}]
        )
    with pytest.raises(openai.APIError, match="scripted failure"):
        list(
            client.chat.completions.create(
                model=f"{wire}-breaks", messages=[{"role": "user", "content": "x"}], stream=True
            )
        )
    with pytest.raises(openai.BadRequestError, match="seed"):
        client.chat.completions.create(
            model=f"{wire}-echo", messages=[{"role": "user", "content": "x"}], seed=1
        )


def expert_that(played):
    entry = parse(
        'version: 1\nexperts: [{id: far, engine: anthropic, url: "http://far/v1", model: big, api_key: k, '
        "price: {input: 10, output: 20}}]"
    ).config.experts[0]
    options = AnthropicExpert.Config.model_validate(entry.options)
    return AnthropicExpert(entry, options, setting_of(), connect=lambda *_, **__: played)


def test_is_built_by_its_name():
    entry = parse(
        'version: 1\nexperts: [{id: far, engine: anthropic, url: "http://far/v1", model: big}]'
    ).config.experts[0]
    assert isinstance(build(entry, setting_of()), AnthropicExpert)


async def test_marks_thoughts_and_versions_go_through():
    answer = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s1"},
            {"type": "redacted_thinking", "data": "zz"},
            {"type": "text", "text": "four"},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "!",
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 5,
            "output_tokens": 2,
        },
    }
    played = Played((200, answer))
    expert = expert_that(played)
    await expert.start()
    mark = {"cache_control": {"type": "ephemeral"}}
    request = Request(
        model="far",
        messages=(
            {"role": "system", "content": [{"type": "text", "text": "be brief", **mark}]},
            {"role": "user", "content": "2+2"},
            {
                "role": "assistant",
                "content": "4",
                "thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s0"}],
            },
            {"role": "user", "content": "sure?"},
        ),
        native={"messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
    )
    whole = await collect(expert.stream(request))
    body = played.body()
    assert body["system"] == [{"type": "text", "text": "be brief", **mark}]
    assert body["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "a",
        "signature": "s0",
    }
    assert (
        body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
        and body["max_tokens"] == 8192
    )
    asked = played.requests[0]
    assert asked.headers["x-api-key"] == "k" and asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in asked.headers
    assert (whole.usage.prompt_tokens, whole.usage.cached_tokens, whole.text) == (48, 40, "four")
    thoughts = whole.choices[0].message_extra["thinking_blocks"]
    assert [thought.get("signature") or thought["data"] for thought in thoughts] == ["s1", "zz"]
    assert whole.choices[0].choice_extra == {"stop_reason": "!"}
