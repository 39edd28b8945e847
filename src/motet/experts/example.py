"""A value that a JSON schema allows, for scripted experts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NUMBER = re.compile(r"-?\d+")
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")
_DEEPEST = 20


def example(schema: Any, text: str = "", root: Any = None, depth: int = 0) -> Any:
    """Return a value for a schema: the first that fits, with what `text` says in digits or quotes.

    Parameters
    ----------
    schema
        What JSON Schema says of types, properties, items, `enum`, `const`, `anyOf` and local
        references; the rest is not looked at.
    text
        The prompt.
    root
        The schema that references start at; `schema` itself when absent.
    """
    root = schema if root is None else root
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return example(_referred(schema["$ref"], root), text, root, depth + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return example(schema[name][0], text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            inner: Mapping[str, Any] = schema.get("properties") or {}
            return {name: example(each, text, root, depth + 1) for name, each in inner.items()}
        case "array":
            return [example(schema.get("items", {}), text, root, depth + 1)]
        case "integer" | "number":
            number = _NUMBER.search(text)
            return int(number[0]) if number else 1
        case "boolean":
            return True
        case "string":
            quoted = _QUOTED.search(text)
            return quoted[1] if quoted else "something"
    return None


def _referred(path: Any, root: Any) -> Any:
    """Return the part of a schema that a local reference names."""
    for name in str(path).removeprefix("#").strip("/").split("/"):
        root = root.get(name) if isinstance(root, Mapping) else None
    return root
