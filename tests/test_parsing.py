"""JSON of others: what is let in can be written again."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.parsing import MOST_LEVELS, parsed, parsed_leniently, whole_characters

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=2), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_what_pythons_writer_makes_is_read_and_can_be_written(value):
    content = json.dumps(value).encode()
    orjson.dumps(whole_characters(parsed_leniently(content)))


@given(VALUES)
def test_where_it_is_json_both_read_the_same(value):
    content = json.dumps(value, allow_nan=False, default=str).encode() if _plain(value) else b"1"
    assert parsed(content) == parsed_leniently(content)


def _plain(value):
    try:
        return orjson.loads(json.dumps(value)) is not None
    except ValueError:
        return False


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("read", [parsed, parsed_leniently])
def test_nesting_is_bounded(brackets, read):
    def nested(levels):
        opens = b"[" * levels if brackets == "[]" else b'{"a":' * levels
        return opens + b"1" + (b"]" if brackets == "[]" else b"}") * levels

    assert orjson.dumps(read(nested(MOST_LEVELS)))
    for levels in (MOST_LEVELS + 1, 1000, 100_000):
        with pytest.raises(ValueError):
            read(nested(levels))
    assert len(read(b"[" + b"[]," * 5000 + b"[]]")) == 5001  # many, but not deep


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"-Infinity", -9999.0), (b"Infinity", None), (b"NaN", None), (b"1e400", None),
        (b"-1e400", -9999.0), (b"1" + b"0" * 30, 1e30), (b'"\\ud83d\\ude00"', "\U0001f600"),
    ],
)  # fmt: skip
def test_numbers_and_characters_that_json_does_not_have(text, value):
    assert parsed_leniently(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b"'a'", b"\xff", b"[1,]"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        parsed_leniently(text)


def test_halves_side_by_side_are_one_character():
    assert whole_characters({"a": ["\ud83d\ude00", "\ud83d", 1]}) == {
        "a": ["\U0001f600", "\ufffd", 1]
    }
