"""Anthropic's Messages over HTTP: its official client, its order of events, its errors."""

import anthropic
import httpx
import orjson
import pytest
from tests.conftest import running

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: thinks, engine: fake, reasoning: let me see, tokens: [four]}
  - id: agent
    engine: fake
    tokens: [done]
    calls: [{name: look, arguments: '{"path": "a"}'}, {name: look, arguments: '{"path": "bé"}'}]
  - {id: breaks, engine: fake, tokens: [a, b, c], fail_after: 2}
  - {id: dead, engine: fake, fail_after: 0, error: unavailable}
  - {id: blind, engine: fake, capabilities: [chat]}
routers:
  always: {kind: constant, expert: echo}
compositions:
  auto: {router: always}
"""
LOOK = {
    "name": "look",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def service():
    with running(FLEET) as found:
        yield found


@pytest.fixture
def client(service):
    with anthropic.Anthropic(base_url=service.url, api_key="none", max_retries=0) as found:
        yield found


def ask(client, model="auto", said="good day", **more):
    messages = said if isinstance(said, list) else [{"role": "user", "content": said}]
    return client.messages.create(model=model, max_tokens=50, messages=messages, **more)


def test_answers_as_one_message(client):
    message = ask(client, system="be brief")
    assert [block.text for block in message.content] == ["good day"]
    assert (message.role, message.model, message.stop_reason) == ("assistant", "echo", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (4, 2)
    assert message.id.startswith("msg_") and message._request_id == message.id.replace(
        "msg_", "req_"
    )


def test_says_why_it_ended(client):
    cut = client.messages.create(
        model="echo", max_tokens=1, messages=[{"role": "user", "content": "a b"}]
    )
    assert (cut.stop_reason, cut.content[0].text) == ("max_tokens", "a ")


def test_streams_in_order(client):
    with client.messages.stream(
        model="thinks", max_tokens=50, messages=[{"role": "user", "content": "2+2"}]
    ) as stream:
        kinds = [
            event.type for event in stream if event.type not in ("text", "thinking", "signature")
        ]
        message = stream.get_final_message()
    assert kinds == [
        "message_start",
        "content_block_start", *["content_block_delta"] * 4, "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == "let me see " and message.content[1].text == "four"
    assert message.usage.output_tokens == 1 and message.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_answered(client, streamed):
    first = [{"role": "user", "content": "what is in a and bé?"}]
    options = {"model": "agent", "max_tokens": 50, "tools": [LOOK]}
    if streamed:
        with client.messages.stream(messages=first, **options) as stream:
            called = stream.get_final_message()
    else:
        called = client.messages.create(messages=first, **options)
    assert called.stop_reason == "tool_use"
    assert [(block.name, block.input) for block in called.content] == [
        ("look", {"path": "a"}),
        ("look", {"path": "bé"}),
    ]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "nothing", "is_error": at == 0}
        for at, block in enumerate(called.content)
    ]
    messages = [
        *first,
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": results},
    ]
    assert client.messages.create(messages=messages, **options).content[0].text == "done"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
         "messages[0].content[0].source.type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "look"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"messages": []}, "messages"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)  # fmt: skip
def test_wrong_bodies_are_told_by_their_field(service, said, field):
    body = {
        "model": "auto",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        **said,
    }
    answer = service.post("/v1/messages", body)
    error = answer.json()
    assert answer.status_code == 400 and error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["message"].startswith(f"{field}: ")


def test_errors_have_anthropics_shape(client, service):
    with pytest.raises(anthropic.NotFoundError, match="does not exist"):
        ask(client, "nobody")
    with pytest.raises(anthropic.APIStatusError, match="scripted failure") as caught:
        ask(client, "dead")
    assert (
        caught.value.status_code == 503 and caught.value.body["error"]["type"] == "overloaded_error"
    )
    with pytest.raises(anthropic.APIStatusError, match="scripted failure") as caught:
        ask(client, "breaks", stream=True).__iter__().__next__()
        list(ask(client, "breaks", stream=True))
    assert caught.value.body["error"]["type"] == "api_error"
    for path in ("/v1/messages", "/v1/messages/unknown"):
        error = httpx.get(f"{service.url}{path}").json()
        assert error["type"] == "error" and error["error"]["type"] in (
            "not_found_error",
            "invalid_request_error",
        )


def test_images_go_to_those_who_see(client):
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
    }
    said = [{"role": "user", "content": [image, {"type": "text", "text": "what is it"}]}]
    assert ask(client, "echo", said).content[0].text == "what is it"
    with pytest.raises(anthropic.BadRequestError, match="'blind'.*vision"):
        ask(client, "blind", said)


def test_counts_tokens(client):
    few = client.messages.count_tokens(
        model="auto", messages=[{"role": "user", "content": "x" * 40}]
    )
    more = client.messages.count_tokens(
        model="auto",
        messages=[{"role": "user", "content": "x" * 40}],
        tools=[LOOK],
        system="y" * 40,
    )
    assert 10 <= few.input_tokens <= 20 and more.input_tokens > few.input_tokens + 20
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nobody", messages=[{"role": "user", "content": "x"}])


def test_explains_when_asked(service):
    body = {
        "model": "auto",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "motet": {"explain": True},
    }
    assert service.post("/v1/messages", body).json()["motet"]["decision"]["primary"] == "echo"
    lines = service.post("/v1/messages", {**body, "stream": True}).text.split("\n")
    ends = [
        orjson.loads(line[6:])
        for line in lines
        if line.startswith("data: ") and b"message_delta" in line.encode()
    ]
    assert ends[0]["motet"]["decision"]["primary"] == "echo"


def test_models_are_listed_for_its_client_too(client):
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", "echo"} <= set(listed) and listed["echo"].display_name == "echo"
    assert client.models.retrieve("auto").type == "model"
