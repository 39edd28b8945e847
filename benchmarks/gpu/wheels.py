"""Wheels for a machine without a network: fetched here, unpacked there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).with_name("wheels")
"""Where the wheels lie; git ignores it."""

MOST_BYTES = 16 * 2**20
"""Of all wheels together: they travel with the sources."""

NEEDED = ("orjson", "pydantic")
"""What Motet's own requirements name, its engines import, and such a machine lacks."""

PYTHON, PLATFORMS = "3.12", ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64")

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def pack() -> int:
    """Fetch the wheels, in the versions that Motet asks for; 1 where they are too large."""
    wanted = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    wanted = [line for line in wanted if re.split(r"[<>=~!\[]", line)[0] in NEEDED]
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run([*command, "-d", str(FOLDER), *wanted], check=True)
    size = sum(wheel.stat().st_size for wheel in FOLDER.glob("*.whl"))
    for wheel in sorted(FOLDER.glob("*.whl")):
        print(f"{wheel.stat().st_size / 2**20:6.2f} MiB  {wheel.name}")
    print(f"{size / 2**20:6.2f} MiB of {MOST_BYTES / 2**20:.0f}")
    return int(size > MOST_BYTES)


def unpack(folder: Path) -> list[str]:
    """Unpack into `folder` each wheel whose package this interpreter lacks; return their names."""
    names = []
    for wheel in sorted(FOLDER.glob("*.whl")):
        name = wheel.name.split("-")[0].replace("_", "-")
        if not _installed(name):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            names.append(name)
    return names


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
