"""Sizes in bytes: read from what people write, and shown to them."""

from __future__ import annotations

from pydantic import ByteSize, TypeAdapter, ValidationError

from motet.errors import ConfigError

MIB = 2**20
GIB = 2**30
_SIZE = TypeAdapter(ByteSize)


def parse(text: str) -> int | None:
    """Return the bytes of a size such as `2GiB`, `800MB` or `4096`; None when it is no size."""
    try:
        return int(_SIZE.validate_python(text))
    except ValidationError:
        return None


def option(name: str, text: str) -> int:
    """Return the bytes that the option `name` of a command says.

    Raises
    ------
    ConfigError
        It is no size.
    """
    size = parse(text)
    if size is None:
        raise ConfigError(f"{name} {text!r} is no size such as 2GiB or 800MB.")
    return size


def readable(size: float) -> str:
    """Return bytes for people: in GiB, or where that is under a tenth, in MiB."""
    return f"{size / GIB:.3g} GiB" if size >= 0.1 * GIB else f"{size / MIB:.3g} MiB"


def mib(size: int) -> str:
    """Return bytes in whole MiB, rounded up: who writes that into a config has room for them."""
    return f"{-(-size // MIB)}MiB"
