"""Room made for an engine: no more than it needs, called off when nobody waits, and told."""

from tests.residency.plays import Play, every_policy, two

from motet.residency.actions import Bounds
from motet.residency.engine import Engine


def test_a_request_that_leaves_calls_off_the_swap():
    engines, rules = two(turn_s=5.0)
    busy = [(10 + n * 0.5, "a", 3.0, None) for n in range(40)]
    requests = sorted([*busy, (15.0, "b", 1.0, 6.0)])  # gives up while `a` drains for it
    played = Play(engines, requests, rules, "lru").run()
    assert played.loads == ["a"] and not played.unloads
    assert len(played.waits) == 40 and len(played.left) == 1


def test_a_large_engine_does_not_send_more_away_than_it_needs():
    sizes = {"small": 1, "middle": 2, "large": 3}
    engines = [Engine(name, size, 1.0) for name, size in sizes.items()]
    requests = [(10.0, "small", 0.1, None), (20.0, "middle", 0.1, None), (90.0, "large", 0.1, None)]
    played = Play(engines, requests, Bounds(5), "lru").run()
    assert played.loads == ["small", "middle", "large"]
    assert played.unloads == ["small"]


@every_policy
def test_too_large_is_refused_at_once_with_both_sizes(policy):
    mib = 2**20
    engines = [Engine("home", 3 * mib, 1.0, pinned=True), Engine("huge", 4 * mib, 1.0)]
    played = Play(engines, [(5.0, "huge", 1.0, None)], Bounds(6 * mib), policy).run()
    wait, reason = played.refused[0]
    assert wait == 0
    assert reason == "it takes 4MiB, and residency.memory has 3MiB beside what is pinned (home)"
    assert played.loads == ["home"]


def test_a_refusal_says_who_holds_the_memory():
    engines, rules = two(max_wait_s=4.0, turn_s=60.0)
    requests = [(5.0, "a", 100.0, None), (6.0, "b", 1.0, None)]
    wait, reason = Play(engines, requests, rules).run().refused[1]
    assert wait == 4.0
    assert reason == "it had no turn within 4 s: the memory (1MiB) is held by 'a' (1 under way)"
