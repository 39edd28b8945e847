"""What is wrong is told with the nearest match, and to a bound."""

import time

import pytest

from motet.wording import did_you_mean, listed, nearest, shown


def test_nearest():
    assert nearest("smolm", ["gemma", "smollm"]) == "smollm"
    assert nearest("zzz", ["gemma", "smollm"]) is None


def test_names_of_clients_are_compared_to_a_bound():
    began = time.process_time()
    assert nearest("ab" * 1_000_000, ["ab" * 1_000_000, "gemma"]) is None
    assert nearest("gema", ["ab" * 1_000_000, *map(str, range(900)), "gemma"]) == "gemma"
    assert nearest(["ab"] * 100_000, [f"{n}" * 100 for n in range(100_000)]) is None
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x", "'x'"),
        (7, "7"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        ("a" * 300, "300 characters"),
    ],
)
def test_a_wrong_value_is_shown_to_a_bound(value, said):
    assert shown(value).endswith(said) and len(shown(value)) < 250


def test_what_is_known_is_listed():
    assert did_you_mean("x", []) == "None is configured."
    assert (
        did_you_mean("gema", ["smollm", "gemma"]) == "Did you mean 'gemma'? Known: gemma, smollm."
    )


def test_of_many_names_the_first_are_listed():
    names = [f"e{number}" for number in range(2000)]
    assert listed(names[:3]) == "e0, e1, e2"
    assert listed(names).endswith("e49 and 1,950 more")
    assert len(did_you_mean("e5x", names)) < 500
