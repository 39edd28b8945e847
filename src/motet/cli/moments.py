"""Moments of the past, as commands take them."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated

import typer

from motet.errors import ConfigError

Since = Annotated[
    str | None, typer.Option("--since", help="From then on: 30m, 24h, 7d ago, or 2026-11-28.")
]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(option: str, text: str | None, now: float | None = None) -> float | None:
    """Return the Unix time in seconds that an option says; None where it is not given.

    Raises
    ------
    ConfigError
        It is no moment.
    """
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if ago:
        return (time.time() if now is None else now) - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"{option} {text!r} is no moment.",
            hint="Write how long ago, such as 30m, 24h or 7d, or a date such as 2026-11-28.",
        ) from None
