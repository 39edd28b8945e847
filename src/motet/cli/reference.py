"""Writes docs/config.md from the schemas: `python -m motet.cli.reference docs/config.md`.

With `--check` it changes nothing and fails when the file is not what the schemas say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from motet import files
from motet.composer.strategies import STRATEGIES
from motet.conditions.features import FEATURES
from motet.config import (
    Batches,
    Component,
    CompositionEntry,
    Config,
    ExpertEntry,
    KeyEntry,
    Limits,
    Options,
    Rates,
    Retention,
    Service,
    Store,
    Telemetry,
)
from motet.config.keys import Budget
from motet.config.moderation import ModerationEntry, ScreenEntry
from motet.config.schema import PriceEntry, Replicas, Residency, Resources
from motet.config.sessions import Sessions
from motet.experts import ENGINES
from motet.registry import Registry
from motet.routers import ROUTERS
from motet.routers.symbolic import Rule

_HEAD = """# Every field of experts.yaml

Generated from the schemas by `make docs`; do not edit.

A config is checked in two steps: its structure, then the options of each engine, router and
strategy. `motet check` does both, with no GPU and no network, and names the line, the field, the
bad value, the allowed ones and the nearest match. `${NAME}` and `${NAME:-default}` in a string
are replaced from the environment. Only `true` and `false` are booleans: `no` and `on` are words.
"""
_SECTIONS: tuple[tuple[str, type[Options], str], ...] = (
    ("The file", Config, ""),
    ("experts", ExpertEntry, "One entry an expert. Its engine adds the fields listed below."),
    ("experts[].price", PriceEntry, ""),
    ("experts[].resources", Resources, ""),
    ("experts[].resources.replicas", Replicas, ""),
    ("encoders", ExpertEntry, "One entry an encoder, as those of `experts`."),
    ("classifiers", ExpertEntry, "One entry a classifier, as those of `experts`."),
    ("moderations", ModerationEntry, "One entry an ensemble, by name, which is a model name."),
    ("routers", Component, "One entry a router, by name. Its kind adds the fields listed below."),
    ("compositions", CompositionEntry, "One entry a composition, by name, which is a model name."),
    ("compositions.*.screen", ScreenEntry, ""),
    ("residency", Residency, ""),
    ("service", Service, ""),
    ("service.limits and compositions.*.limits", Limits, ""),
    ("service.batches", Batches, ""),
    ("keys", KeyEntry, "One entry a key."),
    ("keys[].limits", Rates, ""),
    ("keys[].budget", Budget, ""),
    ("store", Store, ""),
    ("store.retention", Retention, ""),
    ("sessions", Sessions, ""),
    ("telemetry", Telemetry, ""),
)


def reference() -> str:
    """Return the text of docs/config.md."""
    parts = [_HEAD]
    for title, model, note in _SECTIONS:
        parts.append(
            _section(f"## `{title}`" if title != "The file" else "## The file", model, note)
        )
    parts += _kinds("Engines", "engine", ENGINES)
    parts += _kinds("Routers", "kind", ROUTERS)
    parts.append(_section("#### `rules[]`", Rule, ""))
    parts.append(_rule_language())
    parts += _kinds("Strategies", "kind", STRATEGIES)
    return "\n".join(parts)


def _kinds(title: str, field: str, registry: Registry[Any]) -> Iterator[str]:
    yield f"## {title}\n"
    names: dict[Any, list[str]] = {}  # several kinds may share a class, and so its options
    for name in registry.names():
        names.setdefault(registry.load(name), []).append(name)
    for kind, known in names.items():
        note = (kind.__doc__ or "").strip().splitlines()[0]
        title = ", ".join(f"`{field}: {name}`" for name in known)
        yield _section(f"### {title}", kind.Config, note)


def _section(title: str, model: type[Options], note: str) -> str:
    lines = [title, ""]
    if note:
        lines += [note, ""]
    schema = model.model_json_schema()
    properties, definitions = schema.get("properties", {}), schema.get("$defs", {})
    if not properties:
        return "\n".join([*lines, "No options of its own.", ""])
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        about = properties[name]
        default = (
            "required"
            if field.is_required()
            else _default(field.get_default(call_default_factory=True))
        )
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {_type(about, definitions)} | {default} | {meaning} |")
    return "\n".join([*lines, ""])


def _rule_language() -> str:
    lines = [
        "#### The rule language",
        "",
        "`when` is a CEL expression over these variables; text is cut to 64 Ki characters and",
        "lists to 64 items, and a rule may take 100,000 steps, which bounds its time: a macro",
        "takes its steps for each item. `mentions(['word', ...])` is true when the text",
        "holds one of the words whole, in any case; `text.matches('regex')` searches a pattern.",
        "",
        "| variable | type and meaning |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, (_, meaning) in FEATURES.items()]
    return "\n".join([*lines, ""])


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        target = definitions[name]
        return _type(target, definitions) if "enum" in target else "mapping"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        kinds = [_type(part, definitions) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {_type(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    return _bounded(schema)


def _bounded(schema: dict[str, Any]) -> str:
    signs = {
        "minimum": "at least",
        "exclusiveMinimum": "over",
        "maximum": "at most",
    }
    bounds = [f"{words} {schema[key]:g}" for key, words in signs.items() if key in schema]
    return " ".join([schema.get("type", "any"), ", ".join(bounds)]).strip()


def _default(value: Any) -> str:
    if isinstance(value, frozenset):
        value = sorted(value)
    if value is None or value in ((), "", {}, []) or isinstance(value, Options):
        return ""
    return f"`{value}`"


def main() -> None:
    """Write or check the file named on the command line."""
    *flags, path = sys.argv[1:]
    target, text = Path(path), reference()
    if "--check" not in flags:
        files.write_text(target, text)
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        sys.exit(f"{path} is not what the schemas say. Run: make docs")


if __name__ == "__main__":
    main()
