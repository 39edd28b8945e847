"""Panels: who writes a draft, and how often."""

from motet.composer.strategies.panel import panel_of, seats
from motet.types import Choice, Decision, Request


def decided(*choices):
    return Decision(choices=tuple(Choice(*c) for c in choices), router="r", reason="")


def test_a_weight_says_how_often_an_expert_writes():
    drawn = decided(("a", 2.0), ("b", 1.0), ("c", 0.0))
    assert panel_of(drawn, 3) == ["a", "a", "b"]
    assert panel_of(drawn, 2) == ["a", "a"]
    assert panel_of(decided(("a", 0.4), ("b", 1.0)), 3) == ["a", "b"]
    assert panel_of(decided(("a", 0.0), ("b", 0.0)), 3) == ["a", "b"]


def test_whoever_writes_twice_is_sampled():
    request = Request(model="m", seed=5, temperature=0.0)
    twice, once, again = seats(request, ["a", "b", "a"], 0.7)
    assert (twice.request.temperature, twice.request.seed) == (0.7, 5)
    assert (again.request.temperature, again.request.seed) == (0.7, 7)
    assert once.request is request
    warm = seats(Request(model="m", temperature=1.2), ["a", "a"], 0.7)
    assert [seat.request.temperature for seat in warm] == [1.2, 1.2]
