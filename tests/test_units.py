"""Sizes are read and shown in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet import units
from motet.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * units.GIB),
        ("1.5 gib", 3 * units.GIB // 2),
        ("800MB", 800_000_000),
        ("4096", 4096),
        ("much", None),
        ("-1GiB", None),
        ("2 apples", None),
        ("", None),
    ],
)
def test_what_people_write(text, size):
    assert units.parse(text) == size


def test_a_wrong_size_is_named_with_its_option():
    assert units.option("--memory", "1MiB") == units.MIB
    with pytest.raises(ConfigError, match=r"--memory 'much' is no size such as 2GiB or 800MB\."):
        units.option("--memory", "much")


@given(size=st.integers(0, 2**50))
def test_what_a_message_says_can_be_written_and_is_enough(size):
    written = units.parse(units.mib(size))
    assert size <= written < size + units.MIB


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 MiB"), (units.MIB, "1 MiB"), (units.GIB // 4, "0.25 GiB"), (81559 * units.MIB, "79.6 GiB")],
)  # fmt: skip
def test_what_people_read(size, text):
    assert units.readable(size) == text
