"""Hooks that take out of texts what is not to be kept; other distributions bring them."""

from __future__ import annotations

from typing import Any

from motet.registry import Registry

REDACTORS: Registry[Any] = Registry("redactor", "motet.redactors", {})
"""Callables by name, each from a text to the text that may be kept."""
