"""Limits of a key, exact over any minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.config import Rates
from motet.errors import RateLimited
from motet.operations.callers import Holder
from motet.operations.rates import RateLimits, Window
from motet.types import Caller


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def limits(**rates):
    clock = Clock()
    return RateLimits(clock), Holder(Caller(key="ann"), Rates(**rates)), clock


def test_requests_of_a_minute():
    found, ann, clock = limits(requests_per_minute=3)
    for left in (2, 1, 0):
        turn = found.enter(ann, 10)
        assert turn.headers == {
            "x-ratelimit-limit-requests": "3", "x-ratelimit-remaining-requests": str(left),
        }  # fmt: skip
        turn.close()
        clock.now += 10
    with pytest.raises(RateLimited, match="3 requests per minute") as caught:
        found.enter(ann, 10)
    assert caught.value.retry_after == pytest.approx(30)
    clock.now += 30
    found.enter(ann, 10)
    found.enter(Holder(Caller(key="bob"), ann.rates), 10)  # somebody else's are his own


def test_tokens_are_counted_as_they_turn_out():
    found, ann, clock = limits(tokens_per_minute=100)
    turn = found.enter(ann, 90)
    with pytest.raises(RateLimited, match="tokens"):
        found.enter(ann, 20)
    turn.tokens = 30
    turn.close()
    found.enter(ann, 60).close()
    with pytest.raises(RateLimited):
        found.enter(ann, 20)
    clock.now += 60
    found.enter(ann, 5000).close()  # more than a minute has: once there is nothing else
    with pytest.raises(RateLimited):
        found.enter(ann, 1)


def test_requests_at_once():
    found, ann, _ = limits(requests_at_once=2)
    first, _second = found.enter(ann, 1), found.enter(ann, 1)
    with pytest.raises(RateLimited, match="2 requests at once"):
        found.enter(ann, 1)
    first.close()
    found.enter(ann, 1)


def test_who_is_refused_has_asked_nothing():
    found, ann, _ = limits(requests_per_minute=5, tokens_per_minute=10)
    for _ in range(20):
        with pytest.raises(RateLimited):
            found.enter(ann, 8)
            found.enter(ann, 8)
    assert found.enter(ann, 2).headers["x-ratelimit-remaining-requests"] == "3"


@given(steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 9)), max_size=60))
def test_no_minute_has_more_than_the_limit_and_none_waits_longer_than_needed(steps):
    window, now, let = Window(), 0.0, []
    for wait, amount in steps:
        now += wait
        if not (again := window.room_in(amount, 20, now)):
            window.add(amount, now)
            let.append((now, amount))
        else:
            assert 0 < again <= 60
            window.forget(now + again)
            assert window.room_in(amount, 20, now + again) == 0
            now += again
    for at, _ in let:
        # To a tenth of a second, in which amounts are counted together.
        assert sum(amount for then, amount in let if at - 59.8 < then <= at) <= 20
