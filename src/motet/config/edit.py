"""Small changes to the text of a config, which leave its comments and the rest of it alone."""

from __future__ import annotations

import re
import textwrap

import yaml

from motet.config.load import Document, parse
from motet.errors import ConfigError
from motet.wording import did_you_mean

_ENABLED = re.compile(r"^(\s*)enabled\s*:.*$")


def with_expert(document: Document, entry: str) -> str:
    """Return the text of a config with one more expert, given as a YAML mapping, at its end.

    Raises
    ------
    ConfigError
        The entry is no mapping, or the experts are not written as a list of lines.
    """
    try:
        values = yaml.safe_load(entry)
    except yaml.YAMLError as error:
        raise ConfigError(f"the expert is no YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError("an expert is a mapping, such as: {id: far, engine: openai, url: ...}")
    lines, starts, end = _blocks(document)
    indent = re.match(r"\s*", lines[starts[0]])
    assert indent is not None
    written = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    body = textwrap.indent(written, f"{indent[0]}  ").splitlines()
    body[0] = f"{indent[0]}- {body[0].strip()}"
    return _joined([*lines[:end], *body, *lines[end:]])


def without_expert(document: Document, expert: str) -> str:
    """Return the text of a config less one expert.

    Raises
    ------
    ConfigError
        There is none of that name, or the experts are not written as a list of lines.
    """
    lines, start, end = _block(document, expert)
    return _joined([*lines[:start], *lines[end:]])


def with_enabled(document: Document, expert: str, enabled: bool) -> str:
    """Return the text of a config in which an expert is asked, or is not.

    Raises
    ------
    ConfigError
        There is none of that name, or the experts are not written as a list of lines.
    """
    lines, start, end = _block(document, expert)
    if any(entry.id == expert and entry.enabled is enabled for entry in document.config.experts):
        return document.text
    kept = [line for line in lines[start:end] if not _ENABLED.match(line)]
    if not enabled:  # written in front, as a list of lines or within braces
        dash = lines[start].index("-")
        after = len(lines[start]) - len(lines[start][dash + 1 :].lstrip())
        if lines[start][after:].startswith("{"):
            at = lines[start].index("{") + 1
            kept[0] = f"{lines[start][:at]}enabled: false, {lines[start][at:]}"
        else:
            kept.insert(1, f"{' ' * after}enabled: false")
    elif "enabled: false, " in kept[0]:
        kept[0] = kept[0].replace("enabled: false, ", "", 1)
    return _joined([*lines[:start], *kept, *lines[end:]])


def with_option(document: Document, router: str, option: str, value: str) -> str:
    """Return the text of a config in which an option that a router has is another text.

    Raises
    ------
    ConfigError
        The router is not there, or has no such option.
    """
    node: yaml.Node | None = yaml.compose(document.text, Loader=yaml.SafeLoader)
    for name in ("routers", router, option):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == name), None)
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{document.name}: router {router!r} has no {option!r} of its own.")
    # In quotes within braces and beside them alike, and without where that is read the same.
    written = yaml.safe_dump([value], default_flow_style=True, width=10_000, allow_unicode=True)
    start, end = node.start_mark.index, node.end_mark.index
    text = f"{document.text[:start]}{written.strip()[1:-1]}{document.text[end:]}"
    return _joined(text.splitlines())


def _block(document: Document, expert: str) -> tuple[list[str], int, int]:
    """Return the lines of a config, and where the block of an expert begins and ends."""
    known = [entry.id for entry in document.config.experts]
    if expert not in known:
        raise ConfigError(f"no expert {expert!r} in {document.name}. {did_you_mean(expert, known)}")
    lines, starts, end = _blocks(document)
    at = known.index(expert)
    return lines, starts[at], [*starts, end][at + 1]


def _blocks(document: Document) -> tuple[list[str], list[int], int]:
    """Return the lines of a config, where the block of each expert begins, and where all end."""
    lines = document.text.splitlines()
    root = yaml.compose(document.text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    experts = next(value for name, value in root.value if name.value == "experts")
    starts = [node.start_mark.line for node in experts.value]
    if experts.flow_style or len(set(starts)) < len(starts):
        raise ConfigError(
            f"{document.name}: its experts are not written one below the other.",
            hint="Edit the file by hand, and run: motet apply",
        )
    end = experts.end_mark.line if experts.end_mark.column == 0 else experts.end_mark.line + 1
    while end > starts[-1] + 1 and not lines[end - 1].strip():
        end -= 1  # what stands behind an empty line belongs to what follows
    while end > starts[-1] + 1 and lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return lines, starts, end


def _joined(lines: list[str]) -> str:
    text = "\n".join(lines) + "\n"
    parse(text)  # else a slip of ours would come out as a fault of the config's
    return text
