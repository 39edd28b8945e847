"""The services that run on this machine: where they are, and the key that may change them.

`motet serve` leaves a note in a folder that only its user can read; commands find it there.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from motet import files
from motet.config import Document, default_state
from motet.errors import DeployError


@dataclass(frozen=True, slots=True)
class Note:
    """A service of this machine.

    Attributes
    ----------
    url
        Where it answers on this machine.
    config
        The file it was started with.
    key
        What may do everything; it ends with the service.
    """

    url: str
    config: str
    pid: int
    key: str


@contextmanager
def noted(document: Document) -> Iterator[str]:
    """Leave a note of a service for as long as the block runs; yields its key.

    A folder that cannot be written is no reason not to serve: commands then need `--url`.
    """
    service, key = document.config.service, f"motet-admin-{secrets.token_hex(24)}"
    host = "127.0.0.1" if service.host in ("0.0.0.0", "::") else service.host  # noqa: S104
    url = f"http://[{host}]:{service.port}" if ":" in host else f"http://{host}:{service.port}"
    path = _folder() / f"{os.getpid()}.json"
    note = Note(url, str(document.path or ""), os.getpid(), key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with files.replacing(path) as temporary, files.private(temporary) as file:
            file.write(orjson.dumps(asdict(note)))
    except OSError:
        yield key
        return
    try:
        yield key
    finally:
        path.unlink(missing_ok=True)


def service_of(config: Path | None) -> Note:
    """Return the service of this machine that runs a config file, or the only one there is.

    Raises
    ------
    DeployError
        There is none, or there are several and none runs this file.
    """
    running = sorted(_running(), key=lambda note: note.pid)
    if config is not None:
        mine = [note for note in running if note.config == str(config.resolve())]
        running = mine or running if len(running) == 1 else mine
    if len(running) == 1:
        return running[0]
    if running:
        shown = ", ".join(f"{note.url} ({note.config})" for note in running)
        raise DeployError(f"Several services run here: {shown}.", hint="Name one with --url.")
    about = "" if config is None else f" that runs {config}"
    raise DeployError(
        f"No service of yours{about} is on this machine.",
        hint="Start one with: motet serve; or name one elsewhere with --url and --key.",
    )


def _running() -> Iterator[Note]:
    for path in _folder().glob("*.json"):
        try:
            note = Note(**orjson.loads(path.read_bytes()))
            os.kill(note.pid, 0)
        except (OSError, ValueError, TypeError):
            continue  # it ended without a word, or its note is of another release
        yield note


def _folder() -> Path:
    return default_state() / "services"
