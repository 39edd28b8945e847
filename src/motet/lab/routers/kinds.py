"""Which kinds of routers a comparison is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.errors import ConfigError
from motet.routers.learned import ESTIMATORS
from motet.routers.learned.part import empty
from motet.tables.routing import Table
from motet.wording import did_you_mean

ALL = "all"
_ALIASES = {"constant": "best-single"}
"""Names that papers use for what has another one here."""


def canonical(kind: str) -> str:
    """Return the name under which a kind is known here."""
    return _ALIASES.get(kind, kind)


def reads_embeddings(kind: str, options: Mapping[str, Any]) -> bool:
    """Return whether a kind with these options reads embeddings where there are queries.

    Raises
    ------
    ConfigError
        The kind or an option is not known.
    """
    estimator = empty(canonical(kind), options)
    return "embeddings" in estimator.needs | estimator.uses


def choose(
    text: str, table: Table, options: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """Return the kinds named in `text` with their options, and those that cannot take part.

    Parameters
    ----------
    text
        Names separated by commas, or `all`: then kinds that the table has no columns for, or that
        cannot do without options, are left out, with the reason.

    Raises
    ------
    ConfigError
        A kind is not known, or options are given for one that is not compared.
    """
    if text != ALL:
        named = [canonical(kind.strip()) for kind in text.split(",") if kind.strip()]
        kinds = {kind: options.get(kind, {}) for kind in named}
        if not kinds:
            raise ConfigError("No kind is named.", hint=did_you_mean(text, ESTIMATORS.names()))
        for kind, values in kinds.items():
            empty(kind, values)
        return kinds, _unused(options, kinds)
    chosen: dict[str, Mapping[str, Any]] = {}
    left_out = {}
    for kind in ESTIMATORS.names():
        reason = _obstacle(kind, table, options.get(kind, {}))
        if reason:
            left_out[kind] = reason
        else:
            chosen[kind] = options.get(kind, {})
    _unused(options, chosen)
    return chosen, left_out


def _obstacle(kind: str, table: Table, options: Mapping[str, Any]) -> str:
    """Return why a kind cannot be fitted on a table; empty when it can."""
    try:
        needs = empty(kind, options).needs
    except ConfigError as error:
        return str(error)
    if needs & {"embeddings", "texts"} and table.queries is None:
        return "the table has no queries"
    return ""


def _unused(options: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, str]:
    """Refuse options of kinds that are not compared; return that nothing is left out."""
    for kind in options:
        if kind not in kinds:
            raise ConfigError(
                f"Options are given for {kind!r}, which is not compared.",
                hint=did_you_mean(kind, kinds),
            )
    return {}
