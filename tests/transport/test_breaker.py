"""One breaker: open after failures in a row, and tried by one."""

from hypothesis import given
from hypothesis import strategies as st

from motet.transport.breaker import Breaker


@given(st.lists(st.sampled_from(["ok", "fail", "later"]), max_size=60), st.integers(1, 4))
def test_a_breaker_opens_after_failures_in_a_row_alone(events, most):
    now = [0.0]
    breaker = Breaker(most, rest_s=1.0, longest_s=8.0, now=lambda: now[0])
    row = 0
    for event in events:
        if event == "later":
            now[0] += 0.6
            continue
        rest = breaker.rest_s()
        assert 0 <= rest <= 8
        if row < most:
            assert rest == 0
        if rest:
            continue  # nobody is asked
        if row >= most:
            assert breaker.rest_s() > 0  # one tries, the others wait
        if event == "ok":
            breaker.succeeded()
            row = 0
        else:
            breaker.failed()
            row += 1


def test_a_burst_that_fails_together_is_one_failure_of_the_host():
    now = [0.0]
    breaker = Breaker(2, rest_s=1.0, longest_s=60.0, now=lambda: now[0])
    for _ in range(50):  # they were all under way when it went down
        breaker.failed()
    assert breaker.rest_s() == 1.0
    now[0] = 1.0
    assert breaker.rest_s() == 0.0  # one tries
    breaker.failed()
    breaker.failed()  # and a late one of the burst
    assert breaker.rest_s() == 2.0


def test_one_that_tries_and_never_tells_keeps_nobody_out_for_ever():
    now = [0.0]
    breaker = Breaker(1, rest_s=1.0, now=lambda: now[0])
    breaker.failed()
    now[0] = 1.0
    assert breaker.rest_s() == 0.0  # it is cancelled
    assert breaker.rest_s() == 1.0
    now[0] = 2.0
    assert breaker.rest_s() == 0.0
    breaker.succeeded()
    assert breaker.rest_s() == breaker.rest_s() == 0.0
