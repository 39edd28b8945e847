"""Every error has what the API needs, and survives a trip between processes."""

import inspect
import pickle

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
    errors.ContentFiltered: lambda: errors.ContentFiltered("The prompt", "guard", ["hate"]),
    errors.InputTooLong: lambda: errors.InputTooLong("minilm", 3, limit=5, wanted=9),
    errors.RequestTooLarge: lambda: errors.RequestTooLarge(limit=5, size=9),
    errors.Unauthorized: lambda: errors.Unauthorized(given=True),
    errors.InternalError: errors.InternalError,
    errors.ServiceStopping: errors.ServiceStopping,
    errors.Forbidden: lambda: errors.Forbidden("admin"),
    errors.RateLimited: lambda: errors.RateLimited("ann", "requests per minute", 5, 9.0),
    errors.BudgetSpent: lambda: errors.BudgetSpent("ann", 5.0, "day", 9.0),
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


def test_many_problems_are_counted_after_the_first():
    error = errors.ConfigError([f"problem {number}" for number in range(100)])
    assert str(error).endswith("problem 29\n... and 70 more.") and len(error.problems) == 100


def test_unavailable_expert_is_retryable():
    assert errors.ExpertUnavailable("a", "gone").retryable
