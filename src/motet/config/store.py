"""The section `store`: what is kept, where, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ByteSize, PositiveFloat, SecretStr, model_validator

from motet.config.options import Options


def _postgresql(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if not text.startswith(("postgresql://", "postgres://")) or any(map(str.isspace, text)):
        raise ValueError("expected a URL such as postgresql://user:${PASSWORD}@host/database")
    return SecretStr("postgresql://" + text.partition("://")[2])


def _pattern(text: str) -> str:
    import regex

    try:
        regex.compile(text)
    except regex.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    return text


class Retention(Options):
    """How long things are kept. Usage by day, files and batches are not removed."""

    days: PositiveFloat = 90.0
    """Days after which a record is removed."""
    size: ByteSize = ByteSize(1024 * 1024 * 1024)
    """What records may hold together; the oldest are removed beyond that."""
    responses_days: PositiveFloat = 30.0
    """Days after which a response of `/v1/responses` can no longer be continued."""
    responses_size: ByteSize = ByteSize(1024 * 1024 * 1024)
    """What responses may hold together; the oldest are removed beyond that."""


class Store(Options):
    """What is kept: a record of every decision, usage by day, files and batches."""

    path: Path | None = None
    """SQLite file, which the ingress replicas of one machine share; below the folder for state
    (`$MOTET_STATE`, or `~/.local/state/motet`) when absent. Relative paths start at this file's
    folder."""
    url: Annotated[SecretStr, AfterValidator(_postgresql)] | None = None
    """PostgreSQL instead, for ingress replicas on several machines:
    `postgresql://user:${PASSWORD}@host/database`."""
    files: Path | None = None
    """Folder for the content of files; beside the SQLite file, or below the folder for state, when
    absent. Ingress replicas on several machines need one that they share."""
    records: bool = True
    """Whether decisions and usage are recorded; files and batches are kept all the same. Without
    them budgets know only what one process has seen."""
    text: bool = False
    """Whether records hold prompts and answers."""
    responses: bool = True
    """Whether responses of `/v1/responses` are kept, with all that was said, so that their caller
    can continue them by `previous_response_id`. A client keeps one out with `store: false`."""
    redact: tuple[Annotated[str, AfterValidator(_pattern)], ...] = ()
    """Regular expressions whose matches in prompts and answers become `[redacted]` before these
    are kept. A text that cannot be redacted is not kept."""
    redactor: str | None = None
    """A hook that redacts before those do, by its name among the entry points `motet.redactors`."""
    retention: Retention = Retention()
    """How long records and responses are kept."""

    @model_validator(mode="after")
    def _one_place(self) -> Store:
        if self.path is not None and self.url is not None:
            raise ValueError("path and url exclude each other: a store is in one place")
        return self
