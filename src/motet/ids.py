"""Ids that are unique, and that nobody can guess."""

from __future__ import annotations

import os
import re

_DIGITS: list[str] = []
"""Random digits for ids to come. The system is asked for many at once: each call to it lets another
thread have the interpreter, and an answer takes three ids."""
os.register_at_fork(after_in_child=_DIGITS.clear)  # else two processes would give out the same


def new_id(prefix: str, link: str = "-") -> str:
    """Return a unique id such as `chatcmpl-5f1c...` (32 hexadecimal digits), not to be guessed."""
    try:
        digits = _DIGITS.pop()
    except IndexError:
        digits, *more = re.findall("." * 32, os.urandom(16 * 256).hex())
        _DIGITS.extend(more)
    return f"{prefix}{link}{digits}"
