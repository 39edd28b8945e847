"""The words of Motet that check themselves."""

import math

import pytest

from motet.types import Choice, Decision


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["weight", "quality", "cost", "confidence"])
def test_a_decision_has_numbers_that_can_be_kept_and_shown(field, number):
    choice = Choice("a", **({} if field == "confidence" else {field: number}))
    confidence = number if field == "confidence" else 1.0
    with pytest.raises(ValueError, match="router 'r' decided with a number that is none"):
        Decision(choices=(choice,), router="r", reason="", confidence=confidence)


def test_a_decision_names_somebody():
    with pytest.raises(ValueError, match="at least one"):
        Decision(choices=(), router="r", reason="")
