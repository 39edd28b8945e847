"""OpenAI's Responses over HTTP: its official client, its events, and responses that are kept."""

import openai
import pytest
from openai.types.responses import Response
from tests.conftest import running

FLEET = """
version: 1
experts:
  - {{id: echo, engine: fake, price: {{input: 1, output: 2}}}}
  - {{id: thinks, engine: fake, reasoning: let me see, tokens: [four]}}
  - id: agent
    engine: fake
    tokens: [done]
    calls: [{{name: look, arguments: '{{"path": "a"}}'}}, {{name: patch, arguments: '{{"input": "*** é"}}'}}]
  - {{id: breaks, engine: fake, tokens: [a, b, c], fail_after: 2}}
  - {{id: obliging, engine: fake, obliging: true}}
  - {{id: dead, engine: fake, fail_after: 0, error: unavailable}}
  - {{id: blind, engine: fake, capabilities: [chat]}}
routers:
  always: {{kind: constant, expert: echo}}
compositions:
  auto: {{router: always}}
store: {{path: {store}}}
"""
LOOK = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
PATCH = {"type": "custom", "name": "patch", "description": "Change a file."}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return FLEET.format(store=tmp_path_factory.mktemp("kept") / "kept.db")


@pytest.fixture(scope="module")
def service(config):
    with running(config) as found:
        yield found


def test_answers_as_one_response(client):
    response = client.responses.create(model="auto", input="good day", instructions="be brief")
    assert isinstance(response, Response)
    assert (response.output_text, response.status, response.model) == (
        "good day",
        "completed",
        "echo",
    )
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 2)
    assert response.instructions == "be brief" and response.id.startswith("resp_")


def test_says_that_it_was_cut(client):
    cut = client.responses.create(model="echo", input="a b", max_output_tokens=1)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_streams_items_in_order(client):
    events = list(client.responses.create(model="thinks", input="2+2", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", *["reasoning_text.delta"] * 3,
        "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    final = events[-1].response
    assert final.output_text == "four" and final.output[0].content[0].text == "let me see "
    assert final.usage.output_tokens == 1
    with client.responses.stream(model="auto", input="good day") as stream:
        assert (
            "".join(e.delta for e in stream if e.type == "response.output_text.delta") == "good day"
        )
        assert stream.get_final_response().output_text == "good day"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_answered(client, streamed):
    options = {"model": "agent", "tools": [LOOK, PATCH], "store": False}
    said = [{"role": "user", "content": "mend it"}]
    answer = client.responses.create(input=said, stream=streamed, **options)
    response = [event for event in answer][-1].response if streamed else answer
    look, patch = response.output
    assert (look.type, look.name, look.arguments) == ("function_call", "look", '{"path": "a"}')
    assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "patch", "*** é")
    results = [
        {"type": "function_call_output", "call_id": look.call_id, "output": "nothing"},
        {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "ok"},
    ]
    after = client.responses.create(
        input=[*said, *[o.to_dict() for o in response.output], *results], **options
    )
    assert after.output_text == "done"


def test_a_conversation_goes_on_by_its_last_response(client, service):
    first = client.responses.create(model="auto", input="one")
    second = client.responses.create(model="auto", input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens == 3  # one, one, two
    items = client.responses.input_items.list(second.id, order="asc").data
    assert [
        item.content if isinstance(item.content, str) else item.content[0].text for item in items
    ] == ["one", "one", "two"]
    assert client.responses.retrieve(second.id).output_text == "two"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="auto", input="x", previous_response_id=first.id)


def test_what_is_not_to_be_kept_is_not(client):
    response = client.responses.create(model="auto", input="one", store=False)
    assert response.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_kept_by_another_replica_and_after_a_restart(config):
    with running(config) as one, running(config) as other:
        ask = [
            openai.OpenAI(base_url=f"{each.url}/v1", api_key="x", max_retries=0)
            for each in (one, other)
        ]
        last = None
        for turn in range(4):
            last = ask[turn % 2].responses.create(
                model="auto", input=f"t{turn}", previous_response_id=last and last.id
            )
        assert last.usage.input_tokens == 7
    with running(config) as again:
        client = openai.OpenAI(base_url=f"{again.url}/v1", api_key="x", max_retries=0)
        assert (
            client.responses.create(
                model="auto", input="on", previous_response_id=last.id
            ).usage.input_tokens
            == 9
        )


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"input": None}, "input"),
        ({"input": [{"type": "message", "role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"previous_response_id": "resp_none"}, "previous_response_id"),
        ({"temperature": 3}, "temperature"),
    ],
)  # fmt: skip
def test_wrong_bodies_are_told_by_their_field(service, said, field):
    answer = service.post("/v1/responses", {"model": "auto", "input": "x", **said})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["message"].startswith(f"{field}: "), error
    assert error["param"] == field


def test_failures(client):
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody", input="x")
    with pytest.raises(openai.InternalServerError, match="scripted failure"):
        client.responses.create(model="dead", input="x")
    events = list(client.responses.create(model="breaks", input="x", stream=True))
    assert events[-1].type == "response.failed"
    assert "scripted failure" in events[-1].response.error.message
    image = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"}
    with pytest.raises(openai.BadRequestError, match="'blind'.*vision"):
        client.responses.create(model="blind", input=[{"role": "user", "content": [image]}])


def test_tools_of_a_namespace_keep_it(client):
    spaces = [
        {
            "type": "namespace",
            "name": "files",
            "description": "Files.",
            "tools": [{**LOOK, "name": "open"}],
        }
    ]
    response = client.responses.create(model="obliging", input="look", tools=spaces)
    call = response.output[0]
    assert (call.type, call.name, call.to_dict()["namespace"]) == ("function_call", "open", "files")
    items = [
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "ok"},
    ]
    again = client.responses.create(
        model="obliging", input=[{"role": "user", "content": "look"}, *items], tools=spaces
    )
    assert again.output_text == "ok"


def test_a_fault_in_a_continued_conversation_is_where_the_client_sent_it(client):
    first = client.responses.create(model="auto", input="one")
    with pytest.raises(openai.BadRequestError, match=r"input\[0\].type: no item"):
        client.responses.create(
            model="auto", input=[{"type": "odd"}], previous_response_id=first.id
        )


def test_a_conversation_does_not_grow_without_end(config):
    with running(config + "service: {max_body_bytes: 20000}\n") as service:
        body, turns = {"model": "auto", "input": "word " * 3000}, 0
        while (answer := service.post("/v1/responses", body)).status_code == 200:
            body["previous_response_id"], turns = answer.json()["id"], turns + 1
            assert turns < 4
        assert answer.status_code == 400 and turns == 1
        assert "bytes, and 20000 may be continued" in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "previous_response_id"


@pytest.mark.parametrize("id", ["same", 7])
def test_items_are_listed_once_each_whatever_ids_a_client_gives(client, service, id):
    said = [{"id": id, "role": "user", "content": text} for text in ("one", "two", "three")]
    made = service.post("/v1/responses", {"model": "auto", "input": said}).json()["id"]
    listed = client.responses.input_items.list(made, order="asc", limit=1)
    pages = [page.data for page, _ in zip(listed.iter_pages(), range(9), strict=False)]
    assert [item.content for page in pages for item in page] == ["one", "two", "three"]
