"""Reading what clients send by hand: one value at a time, and a fault names where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from motet.errors import RequestError
from motet.wording import did_you_mean, shown


def object_at(value: Any, at: str) -> Mapping[str, Any]:
    """Return an object."""
    return _checked(value, dict, "must be an object", at)  # type: ignore[no-any-return]


def list_at(value: Any, at: str) -> list[Any]:
    """Return a list."""
    return _checked(value, list, "must be a list", at)  # type: ignore[no-any-return]


def text_at(value: Any, at: str) -> str:
    """Return a text."""
    return _checked(value, str, "must be text", at)  # type: ignore[no-any-return]


def typed_at(value: Any, at: str) -> Mapping[str, Any]:
    """Return an object that says its `type`, less its nulls."""
    typed = present(object_at(value, at))
    text_at(typed.get("type"), f"{at}.type")
    return typed


def one_of(value: Any, allowed: tuple[str, ...], at: str, what: str) -> str:
    """Return a word that is one of those allowed."""
    if text_at(value, at) not in allowed:
        fault(at, f"no such {what}. {did_you_mean(value, allowed)}", value)
    return str(value)


def present(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields without those that are null, which is how some clients write absence."""
    if None not in values.values():
        return values
    return {name: value for name, value in values.items() if value is not None or name == "content"}


def fault(at: str, rule: str, *got: Any) -> NoReturn:
    """Refuse what stands at `at`.

    Raises
    ------
    RequestError
        Always; says what was got, where that is given.
    """
    rule = rule if rule.endswith(".") else f"{rule}."
    told = f" Got {shown(got[0])}." if got else ""
    raise RequestError(f"{at}: {rule}{told}", param=at)


def _checked(value: Any, kind: type, rule: str, at: str) -> Any:
    if not isinstance(value, kind):
        if value is None:
            fault(at, "Field required")
        fault(at, rule, value)
    return value
