"""`keys` in `experts.yaml`: who may ask, what for, and how much."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr, field_validator

from motet.config.options import Name, Options

Scope = Literal["chat", "batch", "feedback", "metrics", "admin"]
SHORT: frozenset[Scope] = frozenset({"chat", "batch", "feedback"})
"""What a key may that says nothing of it."""


def _key(key: SecretStr) -> SecretStr:
    """Return a key less white space around it: files of secrets end in a line break."""
    value = key.get_secret_value().strip()
    if not value:
        raise ValueError("a key is empty, which would let everybody in")
    return SecretStr(value)


Secret = Annotated[SecretStr, AfterValidator(_key)]


class Rates(Options):
    """How much a key may ask; each is without a bound where it is absent."""

    requests_per_minute: PositiveInt | None = None
    """Requests in any sixty seconds."""
    tokens_per_minute: PositiveInt | None = None
    """Tokens, read and generated, in any sixty seconds."""
    requests_at_once: PositiveInt | None = None
    """Requests under way at one time."""


class Budget(Options):
    """What a key may spend."""

    usd: PositiveFloat
    """USD in each period, at the prices of the config."""
    per: Literal["day", "month"] = "month"
    """The period; it begins at midnight UTC."""


class KeyEntry(Options):
    """One key, and who holds it."""

    name: Name
    """What logs, usage and limits call it."""
    key: Secret
    """The key itself. Use `${ENV}`."""
    tenant: str = ""
    """Whom it belongs to: files, batches and usage are shared by the keys of one tenant, and rules
    see it. The key's name when absent."""
    scopes: frozenset[Scope] = SHORT
    """What it may do: `chat` asks, `batch` uses files and batches, `feedback` tells how answers
    were, `metrics` reads `/metrics` and the reasons in `/ready`, `admin` changes the service."""
    models: tuple[str, ...] | None = None
    """The experts and compositions that it may ask; all when absent."""
    limits: Rates = Rates()
    """How much it may ask."""
    budget: Budget | None = None
    """What it may spend; no bound when absent."""
    expires: datetime | None = None
    """When it ends, such as `2027-01-31T00:00:00Z`."""

    @field_validator("expires")
    @classmethod
    def _has_a_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time needs its zone, such as a Z at its end for UTC")
        return value


Keys = Annotated[tuple[KeyEntry, ...], Field(max_length=10_000)]
