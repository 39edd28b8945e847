"""Who a key is: every key of a config, found in a time that tells nothing of any of them."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from dataclasses import dataclass

from motet.config import Config, Rates
from motet.config.keys import SHORT, Budget
from motet.types import ANYBODY, Caller

_SALT = os.urandom(32)
"""Of this process: what is looked up says nothing of a key, not even beside other processes'."""
_BY_HAND = "motet-admin"


_FREE = Rates()


@dataclass(frozen=True, slots=True)
class Holder:
    """A key's holder, and what bounds it.

    Attributes
    ----------
    expires
        Unix time of its end, in seconds; None where it has none.
    """

    caller: Caller
    rates: Rates = _FREE
    budget: Budget | None = None
    expires: float | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing bounds what it asks."""
        return self.budget is None and self.rates == _FREE

    @property
    def is_over(self) -> bool:
        """Whether the key has ended."""
        return self.expires is not None and time.time() >= self.expires


class Callers:
    """The keys that a service takes.

    A key is looked up by its keyed hash, which whoever sends one cannot steer: however near it is
    to a good one, the look-up takes the same time.

    Parameters
    ----------
    admin_hash
        `hash_of` the key that only this machine's user knows (`motet apply` sends it), if there is
        one.
    """

    def __init__(self, config: Config, admin_hash: str | None = None) -> None:
        self._holders: dict[bytes, Holder] = {}
        self._admin_hash = admin_hash
        for key in config.service.api_keys:
            self._add(key.get_secret_value(), Holder(_short(key.get_secret_value())))
        for entry in config.keys:
            caller = Caller(
                key=entry.name,
                tenant=entry.tenant or entry.name,
                scopes=frozenset(entry.scopes),
                models=None if entry.models is None else frozenset(entry.models),
            )
            expires = None if entry.expires is None else entry.expires.timestamp()
            holder = Holder(caller, entry.limits, entry.budget, expires)
            self._add(entry.key.get_secret_value(), holder)
        self._is_open = not self._holders

    @property
    def are_asked(self) -> bool:
        """Whether a key is asked for at all."""
        return not self._is_open

    def find(self, given: bytes) -> Holder | None:
        """Return who holds a key that was sent; None where it is nobody's, or is over."""
        if self._admin_hash is not None:
            if hmac.compare_digest(hash_of(given), self._admin_hash):
                return _ADMIN
        holder = self._holders.get(_keyed(given))
        return None if holder is None or holder.is_over else holder

    def _add(self, key: str, holder: Holder) -> None:
        self._holders[_keyed(key.encode())] = holder


OPEN = Holder(ANYBODY)
"""Who asks a service that asks for no key."""
_ADMIN = Holder(Caller(key=_BY_HAND, tenant=_BY_HAND))


def hash_of(key: bytes) -> str:
    """Return the hash of a long random key, to be kept or sent in its place."""
    return hashlib.sha256(key).hexdigest()


def _keyed(key: bytes) -> bytes:
    return hmac.digest(_SALT, key, "sha256")


def _short(key: str) -> Caller:
    """Return who a key of `service.api_keys` is: a name that tells nothing of the key itself."""
    name = f"key-{hash_of(key.encode())[:8]}"
    return Caller(key=name, tenant=name, scopes=SHORT)
