"""Small changes to a config's text leave its comments and the rest alone."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from motet.config import parse
from motet.config.edit import with_enabled, with_expert, with_option, without_expert
from motet.errors import ConfigError

TEXT = """\
# Ours.
version: 1
experts:
  # The first.
  - id: a
    engine: fake
    tokens: [x]   # its words

  - {id: b, engine: fake}
  - id: c
    engine: fake

# Who asks whom.
routers:
  r: {kind: constant, expert: a}
compositions:
  auto: {router: r}
"""


def ids(text):
    return [expert.id for expert in parse(text).config.experts]


def test_an_expert_is_added_behind_the_others():
    text = with_expert(parse(TEXT), "{id: d, engine: fake, tokens: ['y: z', w]}")
    assert ids(text) == ["a", "b", "c", "d"]
    assert parse(text).config.experts[3].options == {"tokens": ["y: z", "w"]}
    assert set(TEXT.splitlines()) <= set(text.splitlines())
    assert text.index("id: d") < text.index("# Who asks whom.")


@pytest.mark.parametrize("gone", ["b", "c"])
def test_an_expert_is_taken_out_and_nothing_else(gone):
    text = without_expert(parse(TEXT), gone)
    assert ids(text) == [name for name in "abc" if name != gone]
    for kept in ("# Ours.", "# The first.", "# its words", "# Who asks whom."):
        assert kept in text


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_an_expert_is_disabled_and_enabled_again(name):
    off = with_enabled(parse(TEXT), name, False)
    assert [e.id for e in parse(off).config.experts if not e.enabled] == [name]
    assert with_enabled(parse(off), name, False) == off
    assert with_enabled(parse(off), name, True) == TEXT


def test_what_cannot_be_edited_is_told():
    flow = "version: 1\nexperts: [{id: a, engine: fake}]\n"
    with pytest.raises(ConfigError, match="one below the other"):
        without_expert(parse(flow), "a")
    with pytest.raises(ConfigError, match="Did you mean 'b'|no expert 'bb'"):
        without_expert(parse(TEXT), "bb")
    for entry in ("just words", "[1]", "{id: "):
        with pytest.raises(ConfigError):
            with_expert(parse(TEXT), entry)
    with pytest.raises(ConfigError, match="taken"):
        with_expert(parse(TEXT), "{id: a, engine: fake}")


ENTRIES = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=6
)


@given(entries=ENTRIES, at=st.integers(0, 5), indent=st.sampled_from(["", "  "]))
def test_any_list_of_experts_can_be_edited(entries, at, indent):
    lines = ["version: 1", "experts:"]
    for number, (flow, comment, blanks) in enumerate(entries):
        lines += [""] * blanks
        lines += [f"{indent}# about {number}"] * comment
        entry = [f"{indent}- id: e{number}", f"{indent}  engine: fake"]
        lines += [f"{indent}- {{id: e{number}, engine: fake}}"] if flow else entry
    document = parse("\n".join([*lines, "service: {port: 1}", ""]))
    name = f"e{at % len(entries)}"
    off = with_enabled(document, name, False)
    assert [e.id for e in parse(off).config.experts if not e.enabled] == [name]
    assert with_enabled(parse(off), name, True) == document.text
    more = with_expert(document, "{id: new, engine: fake}")
    assert ids(more) == [*ids(document.text), "new"]
    if len(entries) > 1:
        fewer = yaml.safe_load(without_expert(document, name))
        assert [e["id"] for e in fewer["experts"]] == [n for n in ids(document.text) if n != name]
        assert fewer["service"] == {"port": 1}


@pytest.mark.parametrize("value", ["routers/auto@2", "a: b", "{x}", "it's", "- y", "#z"])
@pytest.mark.parametrize(
    "router",
    ["{kind: ridge, artifact: old, table: t}", "\n    kind: ridge\n    artifact: 'old'  # x"],
)
def test_an_option_of_a_router_is_exchanged(router, value):
    text = TEXT.replace("routers:\n", f"routers:\n  learned: {router}\n")
    edited = with_option(parse(text), "learned", "artifact", value)
    assert parse(edited).config.routers["learned"].options["artifact"] == value
    assert len(edited.splitlines()) == len(text.splitlines()) and edited.count("#") >= text.count(
        "#"
    )
    assert with_option(parse(edited), "learned", "artifact", "old").count("old") == 1
    for nobody, option in (("lerned", "artifact"), ("learned", "lambda"), ("r", "artifact")):
        with pytest.raises(ConfigError, match="has no"):
            with_option(parse(text), nobody, option, value)
