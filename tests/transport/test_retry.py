"""One policy of waiting, for all calls to others."""

from hypothesis import given
from hypothesis import strategies as st

from motet.transport.retry import Retry

SECONDS = st.floats(0, 100)


@given(st.integers(1, 60), SECONDS, SECONDS, st.none() | SECONDS)
def test_a_wait_is_within_its_bounds(attempt, first, longest, asked):
    wait = Retry(100, first, longest).wait_s(attempt, asked)
    if (asked or 0) > longest:
        assert wait is None  # somebody else is faster
        return
    assert (asked or 0) <= wait <= longest
    assert wait <= max(first * 2 ** (attempt - 1), asked or 0)


def test_tries_come_to_an_end():
    assert [Retry(3).wait_s(attempt) is None for attempt in (1, 2, 3, 4)] == [
        False,
        False,
        True,
        True,
    ]


def test_waits_differ():
    assert len({Retry(9, first_s=1.0).wait_s(3) for _ in range(20)}) > 10
