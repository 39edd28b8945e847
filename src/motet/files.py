"""Files and folders that are written whole or not at all, and text files read with care.

Each is made beside its place under another name, written through to the disk, and renamed: whoever
reads sees the old content or the new, and a failure leaves the old. All of it raises `OSError`,
which callers put in words of their own.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write a file; what the block has written there becomes `path` at its end.

    A block that raises, or that writes nothing, leaves `path` as it was. The yielded path ends as
    `path` does, for libraries that go by that. Devices and pipes are written to as they stand.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        yield temporary
        if temporary.exists():
            to_disk(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def private(path: Path) -> BinaryIO:
    """Return a new file to write to that nobody else on the machine can read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a file in UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without the mark that some editors put before it.

    Raises
    ------
    OSError
        It cannot be read, or is in another encoding; `strerror` says in which line.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OSError(
            errno.EILSEQ,
            f"line {line} is no text in UTF-8 (byte 0x{content[error.start]:02x}); "
            "save it as UTF-8",
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, which end at line ends alone: JSON may hold other breaks."""
    return read_text(path).split("\n")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it becomes `folder` at the end, in the place of an old one.

    A block that raises leaves `folder` as it was. A killed process leaves `.<name>.*.tmp` beside
    it, and in the moment of the exchange the old content as `.<name>.*.old`. Everybody may read
    the result: some writers give 0600, which is no use in a shared cache.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        yield temporary
        for path in files_below(temporary):
            path.chmod(0o644)
            to_disk(path)
        temporary.chmod(0o755)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def to_disk(path: Path) -> None:
    """Write a file through, so that a power cut cannot leave a renamed file that is empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`, which is kept until the new one stands."""
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.rename(old)  # over an empty folder, as POSIX allows
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
