"""What is set aside before a question is never overspent, however many are under way."""

import pytest

from motet.lab.tabulation import Purse


def test_what_is_under_way_is_set_aside():
    purse = Purse(usd=1.0)
    with purse.paying(0.6) as first:
        with purse.paying(0.6) as second:
            assert second is None
        with purse.paying(0.4) as third:
            third(0.1)
        first(0.3)
    assert purse.spent == pytest.approx(0.4)
    with purse.paying(0.6) as fourth:
        assert fourth is not None


def test_a_question_that_fails_gives_back_what_was_set_aside():
    purse = Purse(usd=1.0)
    with pytest.raises(OSError), purse.paying(1.0):
        raise OSError
    with purse.paying(1.0) as pay:
        assert pay is not None and purse.spent == 0


def test_time_ends_new_questions_and_no_bounds_are_none():
    with Purse(seconds=0).paying(0.0) as pay:
        assert pay is None
    with Purse().paying(1e9) as pay:
        assert pay is not None
