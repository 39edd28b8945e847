"""Who a key is."""

import statistics
import time

from motet.config import parse
from motet.operations.callers import Callers, hash_of

HEAD = "version: 1\nexperts: [{id: a, engine: fake}]\n"


def callers(text, **more):
    return Callers(parse(HEAD + text).config, **more)


def test_every_key_is_found_with_what_it_may():
    found = callers(
        "service: {api_keys: [short-form]}\n"
        "keys:\n"
        "  - {name: ann, key: anns, tenant: lab, scopes: [admin], models: [a]}\n"
        "  - {name: bob, key: bobs, limits: {requests_per_minute: 3}}\n"
    )
    assert found.are_asked
    ann, bob, short = (found.find(key) for key in (b"anns", b"bobs", b"short-form"))
    assert (ann.caller.key, ann.caller.tenant, ann.caller.models) == ("ann", "lab", {"a"})
    assert ann.caller.may("admin") and not ann.caller.may("chat") and ann.is_free
    assert bob.caller.tenant == "bob" and bob.caller.may("chat") and not bob.is_free
    assert short.caller.may("batch") and not short.caller.may("metrics")
    assert short.caller.key.startswith("key-") and "short" not in short.caller.key
    assert found.find(b"") is found.find(b"ann") is found.find(b"anns ") is None


def test_a_key_that_is_over_is_nobodys():
    text = "keys: [{{name: x, key: k, expires: '{}'}}]"
    assert callers(text.format("2020-01-01T00:00:00Z")).find(b"k") is None
    assert callers(text.format("2999-01-01T00:00:00Z")).find(b"k").caller.key == "x"


def test_the_users_own_key_may_everything_and_asks_for_none_of_others():
    found = callers("", admin_hash=hash_of(b"own"))
    assert not found.are_asked
    assert found.find(b"own").caller.may("admin") and found.find(b"other") is None


def test_the_time_of_a_wrong_key_says_nothing_of_how_near_it_is():
    good = "a" * 48
    found = callers(f"keys: [{{name: x, key: {good}}}]", admin_hash=hash_of(b"own"))
    near, far = good[:-1].encode() + b"b", b"z" * 48
    times = {near: [], far: []}
    for _ in range(400):
        for key, seconds in times.items():
            began = time.perf_counter()
            for _ in range(20):
                found.find(key)
            seconds.append(time.perf_counter() - began)
    low = {key: statistics.quantiles(seconds, n=10)[0] for key, seconds in times.items()}
    assert 0.8 < low[near] / low[far] < 1.25
