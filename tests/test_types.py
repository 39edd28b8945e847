"""What a request says of itself."""

import dataclasses

from motet.types import Capability, Request


def test_what_a_request_needs_of_an_expert():
    chat = {"messages": ({"role": "user", "content": "hi"},)}
    assert Request(model="m", prompt="x").needs == {Capability.COMPLETIONS}
    assert Request(model="m", **chat, top_logprobs=0).needs == {
        Capability.CHAT,
        Capability.LOGPROBS,
    }
    image = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},)
    assert Capability.VISION in Request(model="m", messages=image).needs


def ask(**fields):
    return Request(model="auto", messages=({"role": "user", "content": "one two three"},), **fields)


def test_request_needs():
    assert ask().needs == {Capability.CHAT}
    assert Capability.JSON_SCHEMA in ask(response_format={"type": "json_schema"}).needs
    assert dataclasses.replace(ask(), n=2).needs == {Capability.CHAT}
