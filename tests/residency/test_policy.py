"""Who is loaded next and who leaves for it."""

from tests.residency.plays import Play

from motet.residency.actions import Bounds
from motet.residency.engine import Engine


def test_the_load_that_serves_most_comes_first():
    engines = [Engine(name, 1, 2.0) for name in ("held", "few", "many")]
    requests = [(10.0, "held", 5.0, None), (11.0, "few", 0.1, None)]
    requests += [(11.5 + n / 10, "many", 0.1, None) for n in range(5)]
    assert Play(engines, requests, Bounds(1), "worth").run().loads == ["held", "many", "few"]
    engines = [Engine(name, 1, 2.0) for name in ("held", "few", "many")]
    assert Play(engines, requests, Bounds(1), "lru").run().loads == ["held", "few", "many"]


def test_the_engine_of_least_worth_leaves():
    engines = [Engine("dear", 1, 20.0), Engine("cheap", 1, 1.0), Engine("new", 1, 1.0)]
    requests = [(30.0, "dear", 0.1, None), (31.0, "cheap", 0.1, None), (200.0, "new", 0.1, None)]
    played = Play(engines, requests, Bounds(2), "worth").run()
    assert played.unloads == ["cheap"]
    engines = [Engine("dear", 1, 20.0), Engine("cheap", 1, 1.0), Engine("new", 1, 1.0)]
    assert Play(engines, requests, Bounds(2), "lru").run().unloads == ["dear"]
