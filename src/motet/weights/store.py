"""A folder of the cache that is either whole or absent, whoever builds it and however that ends."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from motet.files import files_below, replacing_folder
from motet.progress import Progress

log = logging.getLogger(__name__)

MANIFEST = "motet-manifest.json"


def build_once(folder: Path, source: str, build: Callable[[Path], None], report: Progress) -> Path:
    """Return `folder`, filled by `build` unless it is there and undamaged.

    `build` fills a temporary sibling, which is renamed when it is done: an interrupted run leaves
    nothing that is used, and the next run removes what is left of it. Of several processes one
    builds and the others wait for it.

    Parameters
    ----------
    folder
        Where the result stands; its parents are made.
    source
        What the result was made of, such as a digest; a folder made of something else is rebuilt.
    build
        Fills the empty folder it is given, or raises.
    report
        Told about waiting and checking.

    Raises
    ------
    OSError
        The cache cannot be written.
    """
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"waiting for another process to make {folder.name}", 0, 0)
        lock.acquire()
    try:
        if folder.exists():
            fault = _fault(folder, source, report)
            if fault is None:
                return folder
            log.warning("%s is damaged (%s) and is made again", folder, fault)
            shutil.rmtree(folder)
        # The lock is ours, so whoever made these is gone.
        for stale in folder.parent.glob(f".{folder.name}.*.tmp"):
            log.info("removing %s, left by an interrupted run", stale)
            shutil.rmtree(stale, ignore_errors=True)
        with replacing_folder(folder) as temporary:
            build(temporary)
            _state(temporary, source)
    finally:
        lock.release()
    return folder


def digest(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(folder: Path, source: str) -> None:
    """Write the manifest: what the folder was made of, and each file's digest."""
    digests = {str(path.relative_to(folder)): digest(path) for path in files_below(folder)}
    manifest = {"source": source, "files": digests}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _fault(folder: Path, source: str, report: Progress) -> str | None:
    """Return what is wrong with `folder`, or None when it holds what its manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        recorded, files = manifest["source"], dict(manifest["files"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"its manifest cannot be read: {error!r}"
    if recorded != source:
        return "it was made of another source"
    for number, (name, expected) in enumerate(files.items()):
        report("checking the cache", number, len(files))
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if digest(path) != expected:
            return f"{name} has changed"
    report("checking the cache", len(files), len(files))
    return None
