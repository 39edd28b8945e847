"""A window of sixty seconds, exact to a tenth of a second."""

from hypothesis import given
from hypothesis import strategies as st

from motet.operations.rates import Window


@given(steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 9)), max_size=60))
def test_no_minute_has_more_than_the_limit_and_none_waits_longer_than_needed(steps):
    window, now, let = Window(), 0.0, []
    for wait, amount in steps:
        now += wait
        if not (again := window.room_in(amount, 20, now)):
            window.add(amount, now)
            let.append((now, amount))
        else:
            assert 0 < again <= 60.01
            window.forget(now + again)
            assert window.room_in(amount, 20, now + again) == 0
            now += again
    for at, _ in let:
        # To a tenth of a second, in which amounts are counted together.
        assert sum(amount for then, amount in let if at - 59.8 < then <= at) <= 20


def test_what_is_taken_back_leaves_where_it_was_counted():
    window = Window()
    part = window.add(90, 0.0)
    window.take_back(90, part, 50.0)
    window.add(30, 50.0)
    assert window.total == 30
    window.forget(60.0)
    assert window.total == 30  # nothing owes a later minute what an earlier one has got back
    late = window.add(5, 70.0)
    window.take_back(5, late, 140.0)
    assert window.total == 0
