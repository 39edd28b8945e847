"""Weights that learn: the bound on regret holds, whatever the labels are."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.moderation.hedge import Hedge, best_eta, regret_bound

LOSS = st.floats(0, 1)
ROUNDS = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(LOSS, min_size=n, max_size=n), min_size=1, max_size=30)
)
ROOM = 1e-6


def names(count):
    return tuple(f"m{number}" for number in range(count))


def learned(rounds, eta, share=0.0):
    members = names(len(rounds[0]))
    hedge = Hedge(members, eta, share)
    for losses in rounds:
        hedge.learn(dict(zip(members, losses, strict=True)))
    return hedge


@given(ROUNDS, st.floats(0.01, 5))
def test_regret_is_within_its_bound(rounds, eta):
    hedge = learned(rounds, eta)
    assert hedge.regret <= hedge.bound() + ROOM
    assert math.isclose(sum(hedge.weights.values()), 1)


@given(ROUNDS)
def test_the_best_eta_has_the_bound_of_the_textbook(rounds):
    count, labels = len(rounds[0]), len(rounds)
    if count > 1:
        hedge = learned(rounds, best_eta(count, labels))
        assert math.isclose(hedge.bound(), math.sqrt(labels * math.log(count) / 2))
        assert hedge.regret <= hedge.bound() + ROOM


@given(ROUNDS, st.floats(0.05, 3), st.floats(0.01, 0.5), st.integers(0, 3))
def test_with_a_share_it_keeps_up_with_a_best_member_that_changes(rounds, eta, share, switches):
    hedge = learned(rounds, eta, share)
    switches = min(switches, len(rounds) - 1)
    best = best_sequence(rounds, switches)
    assert hedge.loss - best <= hedge.bound(switches) + ROOM


def best_sequence(rounds, switches):
    """Return the least loss of a sequence of members that changes so often at most."""
    least = [[loss] * (switches + 1) for loss in rounds[0]]
    for losses in rounds[1:]:
        least = [
            [
                losses[m]
                + min(
                    least[m][k],
                    *(least[o][k - 1] for o in range(len(losses)) if k and o != m),
                    math.inf,
                )
                for k in range(switches + 1)
            ]
            for m in range(len(losses))
        ]
    return min(itertools.chain(*least))


@given(st.integers(2, 8), st.integers(20, 500), st.floats(0.002, 0.2), st.floats(0.2, 5))
def test_no_other_eta_has_a_better_bound(members, labels, share, other):
    for shared in (0.0, share):
        switches = round(shared * labels)
        eta = best_eta(members, labels, shared)
        least = regret_bound(members, labels, eta, share=shared, switches=switches)
        worse = regret_bound(members, labels, eta * other, share=shared, switches=switches)
        assert least <= worse + ROOM


def test_an_adversary_comes_near_the_bound():
    # Whoever weighs most is wrong: no ensemble does better than the bound says.
    hedge = Hedge(names(2), best_eta(2, 200))
    for _ in range(200):
        wrong = max(hedge.weights, key=hedge.weights.get)
        hedge.learn({name: float(name == wrong) for name in hedge.members})
    assert 0 < hedge.regret <= hedge.bound()


def test_the_best_member_gets_the_weight():
    hedge = learned([[0.1, 0.9, 0.5]] * 50, best_eta(3, 50))
    assert hedge.best == "m0" and hedge.weights["m0"] > 0.99


def test_without_a_share_no_bound_holds_for_changes():
    assert regret_bound(2, 100, 0.1, switches=1) == math.inf
    assert regret_bound(2, 0, 0.1) == 0


def test_who_says_nothing_keeps_its_place():
    hedge = Hedge(names(3), 1.0)
    hedge.learn({"m0": 1.0, "m1": 0.0})
    assert hedge.losses == {"m0": 1.0, "m1": 0.0, "m2": 0.5} and hedge.loss == 0.5
    assert hedge.weights["m1"] > hedge.weights["m2"] > hedge.weights["m0"]
    before = hedge.json()
    hedge.learn({})
    assert hedge.json() == before


@given(ROUNDS, st.floats(0.01, 2), st.floats(0, 0.5))
def test_what_is_kept_goes_on_where_it_was(rounds, eta, share):
    hedge = learned(rounds, eta, share)
    kept = json.loads(json.dumps(hedge.json()))
    again = Hedge(hedge.members, eta, share).restored(kept)
    assert again.json() == hedge.json()


@pytest.mark.parametrize("members", [("m0", "new"), ("new",), ("m1", "m0", "m2")])
def test_other_members_begin_to_count_anew_and_the_known_keep_their_share(members):
    kept = learned([[0.0, 1.0]] * 9, 1.0).json()
    again = Hedge(members, 1.0).restored(kept)
    assert again.labels == 0 and again.loss == 0 and set(again.weights) == set(members)
    assert math.isclose(sum(again.weights.values()), 1)
    if "m0" in members and "m1" in members:
        assert again.weights["m0"] > again.weights["m1"]


def test_a_member_whose_weight_is_too_small_for_a_float_can_be_alone_to_say_something():
    hedge = Hedge(names(2), 5.0)
    for _ in range(400):
        hedge.learn({"m0": 1.0, "m1": 0.0})
    assert hedge.weights["m0"] == 0.0
    hedge.learn({"m0": 1.0})
    assert math.isclose(sum(hedge.weights.values()), 1) and hedge.labels == 401
