"""YAML with the line of every value, in bounds: what is deep, circular or endless is refused."""

from __future__ import annotations

import re
from typing import Any, cast

import yaml

from motet.errors import ConfigError

Field = tuple[str | int, ...]
"""A place in the document, such as `("experts", 0, "engine")`."""

_DEEPEST = 64
_MOST_VALUES = 200_000
"""Values of a document, those behind an alias once for each use."""
_WORDS = (":bool", ":timestamp")
"""Tags of YAML 1.1 that nobody means: `no`, `on` and 2024-01-01 are words, such as a name."""
_REMEDIES = {
    "mapping values are not allowed": "A text that holds ': ' stands in quotes; or is the line "
    "above indented otherwise than this one?",
    "found undefined alias": "A text that begins with * stands in quotes.",
    "found another document": "One file holds one config, without lines of ---.",
    "unexpected end of stream": "A quote that opens here is never closed.",
}


class _LinedLoader(yaml.CSafeLoader):
    """The values of YAML 1.2, whose only booleans are true and false."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the base class has it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(_WORDS)]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_LinedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str, name: str) -> tuple[Any, dict[Field, int]]:
    """Return the value of a YAML document, and the line of every place in it.

    Raises
    ------
    ConfigError
        It is empty or no YAML, a key stands twice, or it goes too deep, round in a circle, or on
        and on by aliases.
    """
    try:
        _check_depth(text, name)
        loader = _LinedLoader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
            if node is None:
                raise ConfigError(f"{name}: the file is empty.")
            places = _Places(name)
            places.add(node, ())
            if places.problems:
                raise ConfigError(places.problems)
            return loader.construct_document(node), places.lines
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(_explain(error, name, text)) from None
    except ValueError as error:  # such as the number 0x_
        raise ConfigError(f"{name}: not valid YAML: {error}.") from None


def located(name: str, line: int, at: Field, message: str) -> str:
    """Return `message` with file, line and field in front."""
    where = f"{name}:{line}"
    return f"{where}: {_dotted(at)}: {message}" if at else f"{where}: {message}"


class _Places:
    """The lines of a document's values, and the keys that stand twice."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Field, int] = {}
        self.problems: list[str] = []
        self._name = name
        self._around: list[yaml.Node] = []

    def add(self, node: yaml.Node, at: Field) -> None:
        """Note the line of every value of `node`, which stands at `at`."""
        line = self.lines.setdefault(at, node.start_mark.line + 1)  # a key's line stands before
        if any(node is outer for outer in self._around):
            raise ConfigError(
                located(self._name, line, at, "an alias here stands for what it is part of.")
            )
        if len(self.lines) > _MOST_VALUES:
            raise ConfigError(
                located(
                    self._name,
                    line,
                    at,
                    f"aliases make more than {_MOST_VALUES:,} values of this file.",
                )
            )
        self._around.append(node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*at, str(key.value))
                line = key.start_mark.line + 1
                if place in self.lines and key.value != "<<":
                    doubled = f"the key stands twice; first on line {self.lines[place]}."
                    self.problems.append(located(self._name, line, place, doubled))
                self.lines[place] = line
                self.add(value, place)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self.add(item, (*at, number))
        self._around.pop()


def _check_depth(text: str, name: str) -> None:
    """Refuse a document whose nesting would be too much for whoever walks it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LinedLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                line = cast("yaml.Mark", event.start_mark).line + 1
                raise ConfigError(f"{name}:{line}: values nest over {_DEEPEST} deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _explain(error: yaml.YAMLError, name: str, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}" if mark else name
    reason = getattr(error, "problem", None) or " ".join(str(error).split())
    hint = next((hint for sign, hint in _REMEDIES.items() if sign in reason), "")
    if mark and "cannot start any token" in reason:
        character = text.splitlines()[mark.line][mark.column]
        hint = f"A text that begins with {character} stands in quotes."
        if character == "\t":
            hint = "Indent with spaces, never with tabs."
    return f"{where}: not valid YAML: {reason}. {hint}".rstrip()


def _dotted(at: Field) -> str:
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
