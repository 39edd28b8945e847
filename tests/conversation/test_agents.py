"""How an agent gets on, by its messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.conversation.agents import Progress, progress
from motet.types import Request


def calls(*asked):
    each = [{"function": {"name": name, "arguments": said}} for name, said in asked]
    return {"role": "assistant", "content": None, "tool_calls": each}


def result(text, **more):
    return {"role": "tool", "content": text, **more}


def after(*messages):
    return progress(Request(model="m", messages=({"role": "user", "content": "go"}, *messages)))


def test_nothing_is_done_at_first():
    assert after() == Progress()


def test_calls_and_errors_are_counted():
    got = after(
        calls(("ls", "a"), ("cat", "b")),
        result("file"),
        result("cat: b: No such file or directory"),
        calls(("cat", "c")),
        result("Error: denied"),
    )
    assert got == Progress(calls=3, errors=2, errors_in_a_row=2, stalled=1)


def test_going_in_circles_is_stalling():
    turn = (calls(("ls", "a")), result("file"))
    got = after(*turn, *turn, *turn)
    assert got == Progress(calls=3, repeated=2, stalled=2)
    assert after(*turn, *turn, calls(("ls", "b")), result("other")).stalled == 0


@pytest.mark.parametrize(
    ("text", "is_error"),
    [
        ("Traceback (most recent call last):\n  ...", True),
        ("ValueError: no", True),
        ("exit code: 1", True),
        ('{"error": "no such user"}', True),
        ('{"error": null, "rows": 3}', False),
        ("exit code 0", False),
        ("The error rate was 3%.", False),
        ("3 files", False),
    ],
)
def test_what_tells_of_an_error(text, is_error):
    assert after(calls(("t", "")), result(text)).errors == int(is_error)


def test_a_client_may_mark_it():
    assert after(calls(("t", "")), result("no", is_error=True)).errors == 1


@given(
    st.lists(
        st.one_of(
            st.builds(lambda n: calls(("t", str(n))), st.integers(0, 2)),
            st.builds(result, st.sampled_from(["fine", "Error: no"])),
        ),
        max_size=20,
    )
)
def test_parts_never_exceed_the_whole(messages):
    got = after(*messages)
    assert got.repeated <= got.calls and got.errors_in_a_row <= got.errors
    assert 0 <= got.stalled <= len(messages)
