"""Read `experts.yaml`: YAML with line numbers, `${ENV}`, the schema, then references.

Every problem found is reported at once, each with file, line, field, the bad value, the allowed
ones and the nearest match.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from motet.config.judges import broken_moderations
from motet.config.lines import Field, located, read_yaml
from motet.config.redactors import REDACTORS
from motet.config.schema import Config, Service, guarded
from motet.errors import ConfigError
from motet.files import read_text
from motet.wording import did_you_mean, nearest, shown

Model = TypeVar("Model", bound=BaseModel)

_ENV = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:[^$}]|\$(?!\{))*))?\}")
_WORDS = {
    "dict_type": "a mapping is expected here, such as {name: value}",
    "list_type": "a list is expected here, such as [value]",
    "model_type": "a mapping is expected here, such as {name: value}",
    "string_type": "a text is expected here",
    "tuple_type": "a list is expected here, such as [value]",
}
"""Faults of form in the words of YAML; by the names that pydantic gives them."""
_SECRET_LENGTH = 4
"""Characters from which on a value of the environment may be a secret, and is no common word."""
_PASSWORD = re.compile(r"://[^/@\s]{1,500}@")
_SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)


@dataclass
class Document:
    """A config file in memory: its values and where each one stands.

    Attributes
    ----------
    config
        The validated structure; present once `load` or `parse` has returned.
    text
        The file as it is written, `${ENV}` unexpanded.
    written
        Its values as they are written, `${ENV}` unexpanded.
    folder
        Folder that relative paths in the file start from.
    expanded
        Values of environment variables in it, and their names: messages show these instead.
    path
        The file it was read from; None for a text of a program's.
    """

    name: str
    text: str
    folder: Path
    written: Any = None
    values: Any = None
    lines: dict[Field, int] = field(default_factory=dict)
    expanded: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    config: Config = field(init=False)

    def with_service(self, **changes: Any) -> Document:
        """Return a copy with those fields of `service` that are not None changed.

        Raises
        ------
        ConfigError
            A value does not fit its field.
        """
        changes = {name: value for name, value in changes.items() if value is not None}
        service = self.config.service.model_dump() | changes
        copy = replace(self)
        copy.config = self.config.model_copy(
            update={"service": self.validate(Service, service, ("service",))}
        )
        try:
            guarded(copy.config)
        except ValueError as error:
            raise ConfigError([self.problem(("service",), f"{error}.")]) from None
        return copy

    def with_folder(self, folder: Path) -> Document:
        """Return a copy whose relative paths start from `folder`, such as on another machine."""
        copy = replace(self, folder=folder)
        copy.config = self.config
        return copy

    @property
    def mark(self) -> str:
        """What is kept for this file is known by: sixteen digits that are its path's own."""
        return mark_of(self.folder / Path(self.name).name)

    @property
    def shown(self) -> str:
        """Its text, with `***` in the place of secrets that stand in it as they are."""
        text = self.text
        for secret in sorted(_secrets(self.written), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def problem(self, at: Field, message: str) -> str:
        """Return `message` with file, line and field in front, and no value of the environment."""
        return located(self.name, self._line(at), at, self._hidden(message))

    def validate(self, model: type[Model], value: Any, at: Field) -> Model:
        """Return `value`, which stands at `at`, as a `model`.

        Raises
        ------
        ConfigError
            With one line for each fault.
        """
        try:
            return model.model_validate(value)
        except ValidationError as error:
            details = error.errors(include_url=False)
            raise ConfigError([self._explain(model, detail, at) for detail in details]) from None

    def _hidden(self, text: str) -> str:
        """Return `text` with the names of environment variables in the place of their values."""
        for value in sorted(self.expanded, key=len, reverse=True):
            for form in (value, repr(value)[1:-1], value.strip()):
                text = text.replace(form, f"${{{self.expanded[value]}}}")
        return text

    def _line(self, at: Field) -> int:
        for end in range(len(at), -1, -1):
            if at[:end] in self.lines:
                return self.lines[at[:end]]
        return 1

    def _explain(self, model: type[BaseModel], detail: ErrorDetails, at: Field) -> str:
        path = tuple(part for part in detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            owner = _model_at(model, path[:-1])
            known = list(owner.model_fields) if owner else []
            return self.problem(
                at + path, f"unknown field {path[-1]!r}. {did_you_mean(path[-1], known)}"
            )
        if kind == "missing":
            near = nearest(path[-1], _strangers(model, path[:-1], detail["input"]))
            hint = f" Did you mean it by {near!r}?" if near else ""
            return self.problem(at + path[:-1], f"field {path[-1]!r} is required.{hint}")
        message = _WORDS.get(kind) or detail["msg"].removeprefix("Value error, ")
        if any(isinstance(part, str) and _SECRET.search(part) for part in path) or (
            _is_secret(model, path)
        ):
            return self.problem(at + path, f"{message}.")
        given = detail["input"]
        if isinstance(given, str):
            given = self._hidden(given)  # before it is cut to what is shown
        hint = ""
        if allowed := re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", ""))):
            hint = " " + did_you_mean(given, allowed)
        elif kind == "string_type" and isinstance(given, int | float):
            hint = " Put it in quotes, as it is to be read."
        if kind == "value_error" and isinstance(given, dict):
            return self.problem(at + path, f"{message}.")  # it says itself which fields
        return self.problem(at + path, f"{message}, got {self._shown(given)}.{hint}")

    def _shown(self, given: Any) -> str:
        """Return a value for a message: whole ones before they are cut, for a part tells too."""
        if isinstance(given, str):
            for value, name in self.expanded.items():
                given = given.replace(value, f"${{{name}}}")
            given = _PASSWORD.sub("://***@", given)
        return shown(given)


def mark_of(path: Path) -> str:
    """Return sixteen digits that stand for a path in names of files."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]


def load(path: str | Path, env: Mapping[str, str] | None = None) -> Document:
    """Read and check the config file at `path`.

    Raises
    ------
    ConfigError
        The file is missing, not YAML, or wrong; every problem is listed.
    """
    path = Path(path)
    text = _read(path, "a config file, such as experts.yaml")
    document = parse(text, name=str(path), folder=path.resolve().parent, env=env)
    document.path = path.resolve()
    return document


def load_as(path: Path, model: type[Model], what: str) -> Model:
    """Read another YAML file than a config, with the same care; `${ENV}` stays as it is.

    Raises
    ------
    ConfigError
        The file is missing, not YAML, or wrong; every problem is listed.
    """
    document = Document(name=str(path), text=_read(path, what), folder=path.resolve().parent)
    document.written, document.lines = read_yaml(document.text, document.name)
    return document.validate(model, document.written, ())


def _read(path: Path, what: str) -> str:
    try:
        return read_text(path)
    except OSError as error:
        hint = "" if error.errno == errno.EILSEQ else f"Name {what}."
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror or error}.", hint=hint
        ) from None


def parse(
    text: str,
    *,
    name: str = "experts.yaml",
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Document:
    """Check a config given as text; see `load`."""
    document = Document(name=name, text=text, folder=folder or Path.cwd())
    document.written, document.lines = read_yaml(text, name)
    document.values = _expand(document, os.environ if env is None else env)
    document.config = document.validate(Config, document.values, ())
    if problems := list(_broken_references(document)):
        raise ConfigError(problems)
    return document


def _secrets(value: Any, is_secret: bool = False) -> Iterator[str]:
    """Yield the texts in a config whose field, or whose list or mapping, has the name of a secret.

    What is taken from the environment is none: its name is written, and not its value.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            named = str(name) != "keys" and (name == "headers" or _SECRET.search(str(name)))
            yield from _secrets(item, is_secret or bool(named))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, is_secret)
    elif is_secret and isinstance(value, str) and len(value) >= _SECRET_LENGTH:
        if not _ENV.fullmatch(value.strip()):
            yield value
    elif isinstance(value, str) and _PASSWORD.search(value):
        yield value[value.index("://") + 3 : value.rindex("@")]


def _expand(document: Document, env: Mapping[str, str]) -> Any:
    """Return the document's values with `${NAME}` and `${NAME:-default}` replaced in strings."""
    problems: list[str] = []

    def walk(value: Any, at: Field) -> Any:
        if isinstance(value, dict):
            return {key: walk(item, (*at, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*at, number)) for number, item in enumerate(value)]
        return _ENV.sub(lambda match: expand(match, at), value) if isinstance(value, str) else value

    def expand(match: re.Match[str], at: Field) -> str:
        value, default = env.get(match["name"]), cast("str | None", match["default"])
        if value and len(value.strip()) >= _SECRET_LENGTH:
            document.expanded[value] = match["name"]
        if default is not None:  # as shells have it, for what is empty too
            return value or default
        if value is None:
            problems.append(
                document.problem(
                    at,
                    f"environment variable {match['name']} is not set. Set it, or write "
                    f"${{{match['name']}:-default}}.",
                )
            )
        return value or ""

    values = walk(document.written, ())
    if problems:
        raise ConfigError(problems)
    return values


def _broken_references(document: Document) -> Iterator[str]:
    """Yield a problem for each repeated id and each name that points nowhere."""
    config = document.config
    seen: dict[str, Field] = {}
    for section, entries in config.members.items():
        for number, entry in enumerate(entries):
            at: Field = (section, number, "id")
            if entry.id in seen:
                first = document.lines.get(seen[entry.id], 1)
                what = section.removesuffix("s")
                yield document.problem(at, f"{what} id {entry.id!r} is taken on line {first}.")
            seen.setdefault(entry.id, at)
    redactor = config.store.redactor
    if redactor is not None and redactor not in REDACTORS.names():
        hint = did_you_mean(redactor, REDACTORS.names())
        yield document.problem(("store", "redactor"), f"no redactor {redactor!r}. {hint}".rstrip())
    yield from _repeated_keys(document)
    yield from broken_moderations(document, {name: str(at[0]) for name, at in seen.items()})
    for name, composition in config.compositions.items():
        if name in seen:
            what = str(seen[name][0]).removesuffix("s")
            yield document.problem(
                ("compositions", name), f"{name!r} is an {what}'s id too; names must differ."
            )
        if composition.router not in config.routers:
            yield document.problem(
                ("compositions", name, "router"),
                f"no router {composition.router!r}. "
                f"{did_you_mean(composition.router, config.routers)}",
            )


def _repeated_keys(document: Document) -> Iterator[str]:
    """Yield a problem for each key, or name of one, that is another's too."""
    short = document.config.service.api_keys
    names: set[str] = set()
    secrets = {key.get_secret_value() for key in short}
    for number, key in enumerate(document.config.keys):
        if key.name in names:
            at: Field = ("keys", number, "name")
            yield document.problem(at, f"key name {key.name!r} stands twice; names must differ.")
        if key.key.get_secret_value() in secrets:
            yield document.problem(("keys", number, "key"), "another entry has the same key.")
        names.add(key.name)
        secrets.add(key.key.get_secret_value())


def _strangers(model: type[BaseModel], path: Field, given: Any) -> list[str]:
    """Return the keys of a mapping that stands at `path` which no field has."""
    owner = _model_at(model, path)
    known = owner.model_fields if owner else {}
    return [str(key) for key in given if key not in known] if isinstance(given, dict) else []


def _model_at(model: type[BaseModel], path: Field) -> type[BaseModel] | None:
    """Return the model whose fields stand at `path` inside `model`, where there is one."""
    current: type[BaseModel] | None = model
    for part in path:
        # List positions and names of a mapping lead no deeper: their model is already found.
        if current and part in current.model_fields:
            current = _first_model(current.model_fields[str(part)].annotation)
    return current


def _is_secret(model: type[BaseModel], path: Field) -> bool:
    """Return whether the field at `path` is one whose value is never shown."""
    owner = _model_at(model, path[:-1])
    field = owner.model_fields.get(str(path[-1])) if owner and path else None
    return field is not None and "SecretStr" in str(field.annotation)


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_first_model(argument) for argument in getattr(annotation, "__args__", ()))
    return next(filter(None, inner), None)
