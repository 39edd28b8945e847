"""What changes between two configs, and what that does."""

from motet.config import parse
from motet.config.difference import difference, kept

OLD = """
version: 1
experts:
  - {id: a, engine: fake, description: one}
  - {id: base, engine: transformers, model: m}
  - {id: tuned, engine: transformers, base: base, adapter: x}
  - {id: gone, engine: fake}
routers:
  r: {kind: constant, expert: a}
  s: {kind: constant, expert: a}
compositions:
  c: {router: r}
  d: {router: s}
service: {port: 8000, body_timeout_s: 30}
"""
NEW = """
version: 1
experts:
  - {id: a, engine: fake, description: two, tokens: [x]}
  - {id: base, engine: transformers, model: other}
  - {id: tuned, engine: transformers, base: base, adapter: x}
  - {id: new, engine: fake}
routers:
  r: {kind: constant, expert: new}
compositions:
  c: {router: r}
  e: {router: r}
service: {port: 8001, body_timeout_s: 20}
"""


def told(old, new):
    changes = difference(parse(old).config, parse(new).config)
    return {(each.what, each.name): (each.how, each.fields, each.effect) for each in changes}


def test_everything_that_differs_is_told_with_what_it_does():
    found = told(OLD, NEW)
    assert found["expert", "a"][:2] == ("changed", ("description", "tokens"))
    assert found["expert", "base"][:2] == ("changed", ("model",))
    assert found["expert", "tuned"][0] == "changed" and "its base" in found["expert", "tuned"][2]
    assert found["expert", "new"][0] == "added" and found["expert", "gone"][0] == "removed"
    assert found["router", "r"][:2] == ("changed", ("expert",))
    assert found["router", "s"][0] == found["composition", "d"][0] == "removed"
    assert found["composition", "e"][0] == "added" and ("composition", "c") not in found
    assert found["service", "port"][2] == "at the next start"
    assert found["service", "body_timeout_s"][2] == "from now on"


def test_the_same_config_changes_nothing():
    assert difference(parse(OLD).config, parse(OLD).config) == []


def test_who_is_kept_and_whose_base_is_not():
    assert kept(parse(OLD).config, parse(OLD).config) == {"a", "base", "tuned", "gone"}
    assert kept(parse(OLD).config, parse(NEW).config) == frozenset()


def test_a_secret_that_changes_is_named_and_not_shown():
    keys = ["sk-one-that-is-long-enough-to-be-a-key", "sk-two-that-is-long-enough-to-be-a-key"]
    text = (
        "version: 1\nexperts: [{{id: a, engine: openai, url: 'http://x', model: m, api_key: '{}'}}]"
    )
    (change,) = difference(*(parse(text.format(key)).config for key in keys))
    assert change.fields == ("api_key",) and "sk-" not in str(change.json())


def test_a_store_is_opened_at_the_start():
    changes = told(OLD, OLD + "store: {path: other.db}\n")
    assert changes == {("store", "store"): ("changed", (), "at the next start")}
