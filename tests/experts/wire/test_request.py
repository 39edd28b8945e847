"""The body that asks an expert."""

from motet.experts.wire.request import body_of
from motet.types import Request

MESSAGES = ({"role": "user", "content": "hi"},)


def test_what_is_not_asked_for_does_not_go_out():
    request = Request(model="auto", messages=MESSAGES)
    assert body_of(request, "m") == {"model": "m", "messages": list(MESSAGES)}
    assert body_of(Request(model="auto", prompt="p"), "m") == {"model": "m", "prompt": "p"}


def test_a_choice_of_tools_goes_out_only_with_tools():
    tool = {"type": "function", "function": {"name": "f"}}
    without = Request(model="auto", messages=MESSAGES, tool_choice="auto")
    assert "tool_choice" not in body_of(without, "m")
    body = body_of(Request(model="auto", messages=MESSAGES, tools=(tool,), tool_choice="auto"), "m")
    assert (body["tools"], body["tool_choice"]) == ([tool], "auto")


def test_no_extra_field_takes_the_place_of_a_known_one():
    request = Request(model="auto", prompt="p", extra={"model": "other", "top_k": 4})
    assert body_of(request, "m") == {"model": "m", "top_k": 4, "prompt": "p"}


def test_the_bound_on_tokens_goes_out_under_the_name_it_came_with():
    request = Request(model="auto", messages=MESSAGES, max_tokens=5)
    assert body_of(request, "m")["max_tokens"] == 5
    named = Request(model="auto", prompt="p", max_tokens=5, max_tokens_name="max_completion_tokens")
    assert body_of(named, "m") == {"model": "m", "prompt": "p", "max_completion_tokens": 5}
