"""An estimator inside another one, as options name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError

from motet.config import Options
from motet.errors import ConfigError
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motet.routers.learned.base import Estimator


class Part(Options):
    """A kind of learned router, and the hyperparameters of that kind beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Which one."""


def build(part: Part) -> Estimator:
    """Return the empty estimator that `part` names; see `empty`."""
    return empty(part.kind, part.model_extra or {})


def empty(kind: str, options: Mapping[str, Any]) -> Estimator:
    """Return an estimator of a kind that has learned nothing yet.

    Raises
    ------
    ConfigError
        The kind or an option is not known, or a value does not fit.
    """
    from motet.routers.learned import ESTIMATORS

    estimator = ESTIMATORS.load(kind)
    try:
        return estimator(estimator.Config.model_validate(dict(options)))
    except ValidationError as error:
        raise ConfigError(
            [_problem(kind, detail, estimator.Config) for detail in error.errors()]
        ) from None


def _problem(kind: str, detail: Any, config: type[Options]) -> str:
    where = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"{kind}: unknown option {where!r}. {did_you_mean(where, config.model_fields)}"
    return f"{kind}: {where}: {detail['msg']}."
