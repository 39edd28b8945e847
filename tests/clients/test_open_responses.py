"""The cases of the Open Responses specification, written anew, against the raw bytes."""

import json

import httpx
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.conftest import running

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake}
  - {id: tools, engine: fake, obliging: true}
"""
REQUIRED = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
    "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
    "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens",
    "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
EVENT = TypeAdapter(ResponseStreamEvent)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}


@pytest.fixture(scope="module")
def url():
    with running(FLEET) as service:
        yield service.url


def ask(url, **body):
    answer = httpx.post(f"{url}/v1/responses", json={"model": "echo", **body}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def whole(url, **body):
    response = ask(url, **body).json()
    assert response.keys() >= REQUIRED
    assert (response["object"], response["status"], response["error"]) == (
        "response",
        "completed",
        None,
    )
    assert response["usage"].keys() >= {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
    }
    Response.model_validate(response)
    return response


def spoken(response):
    return [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"]


def message(role, text, kind="input_text"):
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def test_a_text(url):
    response = whole(url, input=[message("user", "Say hello in exactly 3 words.")])
    assert spoken(response) == ["Say hello in exactly 3 words."]
    item = response["output"][0]
    assert (item["role"], item["status"], item["content"][0]["annotations"]) == (
        "assistant",
        "completed",
        [],
    )


def test_a_stream(url):
    answer = ask(url, input=[message("user", "Count from 1 to 5.")], stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    for number, block in enumerate(blocks[:-1]):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}" and event["sequence_number"] == number
        EVENT.validate_python(event)
    assert spoken(event["response"]) == ["Count from 1 to 5."]


def test_a_system_prompt(url):
    items = [message("system", "You are a pirate."), message("user", "Say hello.")]
    assert spoken(whole(url, input=items)) == ["Say hello."]
    assert spoken(whole(url, input="Say hello.", instructions="You are a pirate.")) == [
        "Say hello."
    ]


def test_a_tool(url):
    said = [message("user", "What is the weather in 'Oslo'?")]
    response = whole(url, model="tools", input=said, tools=[WEATHER])
    call = response["output"][0]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == (
        "function_call",
        "get_weather",
        {"location": "Oslo"},
    )
    assert call["status"] == "completed" and call["call_id"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    assert spoken(whole(url, model="tools", input=[*said, call, result], tools=[WEATHER])) == [
        "rain"
    ]


def test_an_image(url):
    parts = [
        {"type": "input_text", "text": "What is in it?"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
    ]
    assert spoken(whole(url, input=[{"type": "message", "role": "user", "content": parts}])) == [
        "What is in it?"
    ]


def test_several_turns(url):
    items = [
        message("user", "My name is Alice."),
        message("assistant", "Hello Alice!", "output_text"),
        message("user", "What is my name?"),
    ]
    response = whole(url, input=items)
    assert spoken(response) == ["What is my name?"]
    # What was answered can be sent back as it is.
    again = whole(url, input=[*items, *response["output"], message("user", "sure?")])
    assert again["usage"]["input_tokens"] > response["usage"]["input_tokens"]
