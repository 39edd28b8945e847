"""Which conversation a request is part of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.conversation.identity import answered_at, checked_name, identity, name_in
from motet.errors import RequestError
from motet.types import Caller, Request

OPEN = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"})
LATER = (*OPEN, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "and you?"})


def request(messages=OPEN, **fields):
    return Request(**{"model": "auto", "messages": messages, **fields})


def test_turns_share_an_identity():
    assert identity(request()) == identity(request(LATER))
    named = request(session="s"), request(LATER, session="s")
    assert len({identity(each) for each in named}) == 1


def test_others_do_not():
    others = [
        request(),
        request(model="other"),
        request(caller=Caller(key="k")),
        request(caller=Caller(tenant="k")),
        request(session="s"),
        request(session="s", caller=Caller(key="k")),
        request(({"role": "user", "content": "hello"},)),
        Request(model="auto", prompt="hello"),
    ]
    assert len({identity(each) for each in others}) == len(others)


def test_the_last_answer_tells_how_long_its_request_was():
    assert answered_at(request()) == 0
    assert answered_at(request(LATER)) == 2


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", "\x00"])
def test_a_name_is_short_and_can_be_printed(name):
    with pytest.raises(RequestError, match="x-motet-session: expected up to 256 printable"):
        checked_name(name, "x-motet-session")
    assert name_in({"a": name, "b": 7, "c": "fine"}, "a", "b", "c") == "fine"


@given(st.text(max_size=50), st.text(max_size=50))
def test_names_never_meet(one, other):
    same = identity(request(session=one)) == identity(request(session=other))
    assert same == (one == other)
