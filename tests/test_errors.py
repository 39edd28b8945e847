"""Every error has what the API needs, and survives a trip between processes."""

import inspect
import pickle
import time

import pytest

from motet import errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.MotetError)
]
ARGUMENTS = {
    errors.NotFound: lambda: errors.NotFound("file", "file-1", ["file-2"]),
    errors.UnknownModel: lambda: errors.UnknownModel("gpt", ["gpt2", "smollm"]),
    errors.ContextLengthExceeded: lambda: errors.ContextLengthExceeded(limit=5, wanted=9),
    errors.RequestTooLarge: lambda: errors.RequestTooLarge(limit=5, size=9),
    errors.Unauthorized: lambda: errors.Unauthorized(given=True),
    errors.InternalError: errors.InternalError,
}


def example(kind):
    if kind in ARGUMENTS:
        return ARGUMENTS[kind]()
    if issubclass(kind, errors.ExpertError):
        return kind("smollm", "broke.", hint="Look.", retry_after=2)
    return kind("broke.", hint="Look.")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_contract(kind):
    error = example(kind)
    assert 400 <= error.status < 600
    assert error.type and str(error)
    assert kind.__name__ in errors.__doc__
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


def test_both_numbers():
    assert "5" in str(example(errors.ContextLengthExceeded))
    assert "9" in str(example(errors.ContextLengthExceeded))


def test_nearest():
    assert errors.nearest("smolm", ["gemma", "smollm"]) == "smollm"
    assert errors.nearest("zzz", ["gemma", "smollm"]) is None


def test_names_of_clients_are_compared_to_a_bound():
    began = time.process_time()
    assert errors.nearest("ab" * 1_000_000, ["ab" * 1_000_000, "gemma"]) is None
    assert errors.nearest("gema", ["ab" * 1_000_000, *map(str, range(900)), "gemma"]) == "gemma"
    assert errors.nearest(["ab"] * 100_000, [f"{n}" * 100 for n in range(100_000)]) is None
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
    assert errors.shown(value).endswith(said) and len(errors.shown(value)) < 250


def test_many_problems_are_counted_after_the_first():
    error = errors.ConfigError([f"problem {number}" for number in range(100)])
    assert str(error).endswith("problem 29\n... and 70 more.") and len(error.problems) == 100
    assert errors.did_you_mean("x", []) == "None is configured."


def test_unavailable_expert_is_retryable():
    assert errors.ExpertUnavailable("a", "gone").retryable
