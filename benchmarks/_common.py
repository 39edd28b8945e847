"""What the benchmarks share: arguments, processes, peers, and results that can be repeated."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

RESULTS = Path(__file__).parent / "results"
_PEERS = Path.home() / ".cache" / "motet" / "peers"
console = Console(highlight=False)
_Z = 1.96


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="minutes: fewer, shorter rounds")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    made.add_argument("--seed", type=int, default=0, help="for every random choice")
    made.add_argument(
        "--out",
        type=Path,
        nargs="?",
        const=RESULTS,
        metavar="FOLDER",
        help="write a dated result; benchmarks/results unless a folder is named",
    )
    return made


def machine() -> dict[str, Any]:
    """Return what is known of this machine."""
    found = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return {
        "cpu": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of installed packages."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in packages}}


class NoPeer(SystemExit):
    """A peer cannot be had on this machine; ends the run with the reason unless it is caught."""


def peer(name: str, version: str, requirement: str, *beside: str) -> Path:
    """Return the `bin` folder of an environment that holds a peer, made on first use.

    Parameters
    ----------
    requirement
        What pip installs, without the version; the environment is kept under `~/.cache/motet`.
    beside
        Further requirements, such as the version of a library that both sides shall use.

    Raises
    ------
    NoPeer
        It cannot be installed.
    """
    folder = _PEERS / f"{name}-{version}"
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q"]
    making = [
        [sys.executable, "-m", "venv", "--clear", folder],
        [*pip, f"{requirement}=={version}", *beside],
    ]
    _install(f"{name} {version}", folder, making)
    return folder / "bin"


def node_peer(name: str, version: str, package: str, **beside: str) -> Path:
    """Return the folder of a peer's npm package, installed on first use; like `peer`.

    Parameters
    ----------
    beside
        Versions of packages that it needs, where its own range admits ones that break it.

    Raises
    ------
    NoPeer
        There is no Node here, or it cannot be installed.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        raise NoPeer(f"{name} {version} needs Node and npm, which are not installed here.")
    folder = _PEERS / f"{name}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"dependencies": {package: version}, "overrides": beside}
    (folder / "package.json").write_text(json.dumps(wanted))
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
    _install(f"{name} {version}", folder, [npm])
    return folder / "node_modules" / package


def _install(what: str, folder: Path, making: Sequence[Sequence[str | Path]]) -> None:
    """Run the commands that fill `folder`, unless they have done so before."""
    done = folder / ".installed"
    if done.exists():
        return
    with console.status(f"Installing {what} in a folder of its own ..."):
        for command in making:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise NoPeer(f"{what} cannot be installed:\n{made.stderr[-2000:]}")
    done.touch()


def wilson(right: int, count: int) -> tuple[float, float, float]:
    """Return a share with its 95% interval (Wilson 1927)."""
    share, square = right / count, _Z**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = (share * (1 - share) / count + square / (4 * count**2)) ** 0.5
    half *= _Z / (1 + square / count)
    return share, centre - half, centre + half


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Processes that end with the `with` block, whatever ends it, and their descendants too."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Processes:
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell in the background ignores SIGINT
            signal.signal(number, _interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C would leave what the first one was about to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _, process in reversed(self._running):
            _end(process)

    def start(
        self, name: str, command: Sequence[str | Path], **env: str
    ) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes to a log that `wait_for` shows if it fails."""
        with (self._logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )
        self._running.append((name, process))
        return process

    def wait_for(self, name: str, url: str, seconds: float = 180) -> None:
        """Wait until `url` answers 200; a process that ends before fails the run with its log."""
        process = dict(self._running)[name]
        end = time.monotonic() + seconds
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > end:
                log = _text(self._logs / f"{name}.log")[-3000:]
                raise SystemExit(f"{name} did not come up at {url}:\n{log}")
            time.sleep(0.2)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Stop a process and everything below it: politely, then not."""
    if process.poll() is not None:
        return
    # Taken before the parent is gone; afterwards nobody knows whose children they were.
    below = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    process.wait()
    for child in psutil.wait_procs(below, timeout=3)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def finish(
    arguments: argparse.Namespace,
    theme: str,
    report: Mapping[str, Any],
    tables: Iterable[str],
) -> None:
    """Write the JSON and the dated result, as far as they were asked for.

    Parameters
    ----------
    report
        `figures`, `settings`, `machine` and `versions`.
    tables
        What the dated result shows between its figures and its settings, in Markdown.
    """
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.out:
        facts = report["machine"]
        hardware = _slug(f"{facts['cpu']} {facts['cores']} cores")
        date = datetime.date.today().isoformat()
        file = arguments.out / f"{theme}_{hardware}_{date}.md"
        arguments.out.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(_page(theme, date, report, tables)) + "\n")
        console.print(f"Wrote {file}")


def _page(theme: str, date: str, report: Mapping[str, Any], tables: Iterable[str]) -> Iterator[str]:
    yield f"# {theme.capitalize()}, {date}\n"
    yield f"    {shlex.join(['python', *_command()])}\n"
    yield markdown(["figure", "value"], [[f"`{k}`", v] for k, v in report["figures"].items()])
    yield from tables
    for part in ("settings", "machine", "versions"):
        yield f"## {part.capitalize()}\n"
        yield markdown(["name", "value"], report[part].items())


def _command() -> list[str]:
    """Return this run's arguments, without the places of this machine."""
    script = f"benchmarks/{Path(sys.argv[0]).name}"
    shown = [Path(part).name if "/" in part else part for part in sys.argv[1:]]
    for output in ("--json", "--pages"):
        if output in shown:
            at = shown.index(output)
            shown = shown[:at] + shown[at + 2 :]
    return [script, *shown]


def markdown(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table, with an empty line after it."""
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
