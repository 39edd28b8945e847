"""Prove the GPU parts on this machine: parts in order, each in a process of its own.

facts, correctness, tuning, speed, engine, tokens. A part that fails, hangs or takes too long is
ended, and the others go on with the time that is left; every result is on disk as soon as it is
there. In DIR: report.json, rows.csv, a page for benchmarks/results, hopper.json (the tuning table
to commit), rows.jsonl and log.txt. With --only, DIR keeps the results of the other parts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import wheels
from benchmarks.gpu.recorder import ROWS, read_rows

ROOT = Path(__file__).resolve().parents[2]

PARTS = ("facts", "correctness", "tuning", "speed", "engine", "tokens")

GRACE = 4.0
"""Seconds between the time at which a part begins no more, and its end."""


def main() -> int:
    """Run from the command line; 1 where a part or a check failed."""
    arguments = _arguments()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    chosen = [part for part in PARTS if not arguments.only or part in arguments.only]
    _forget(out, chosen)
    with tempfile.TemporaryDirectory() as unpacked:
        names = wheels.unpack(Path(unpacked))
        print(f"Unpacked {', '.join(names) or 'no wheels: nothing is missing, or none is packed'}")
        env = _environment(Path(unpacked), arguments.dry)
        expected = _expected(env, arguments)
        return _conduct(arguments, chosen, expected, env)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="for all parts together")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, help="for every random choice")
    parser.add_argument(
        "--dry", action="store_true", help="tiny shapes, on a CPU under Triton's interpreter"
    )
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    return arguments


def _forget(out: Path, chosen: list[str]) -> None:
    """Drop the results of the parts that are about to run."""
    kept = [row for row in read_rows(out) if row["part"] not in chosen]
    (out / ROWS).write_text("".join(json.dumps(row) + "\n" for row in kept))
    (out / "log.txt").write_text("")


def _environment(unpacked: Path, dry: bool) -> dict[str, str]:
    paths = [str(ROOT / "src"), str(ROOT), str(unpacked), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    env["HF_HUB_OFFLINE"] = "1"  # nothing is fetched, and nobody waits for a network
    if dry:
        env |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    return env


def _expected(env: dict[str, str], arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds that each part shall take, and print them.

    In another process, which knows what was unpacked and what this one need not import.
    """
    code = (
        "import json; from benchmarks.gpu import budget, scale; "
        f"print(json.dumps(budget.seconds(scale.GPU, {arguments.seed})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"No estimate, so each part gets the same:\n{done.stderr[-1500:]}")
        return dict.fromkeys(PARTS, 1.0)
    expected: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    whole = sum(expected.values())
    print(
        f"Expected on an H100, from operation counts: {whole:.0f} s of {arguments.minutes * 60:.0f}"
    )
    for part, seconds in expected.items():
        print(f"  {part:12} {seconds:5.0f} s")
    return expected


def _conduct(
    arguments: argparse.Namespace,
    chosen: list[str],
    expected: dict[str, float],
    env: dict[str, str],
) -> int:
    from benchmarks.gpu.report import summary, write

    settings = {"minutes": arguments.minutes, "seed": arguments.seed}
    end = time.monotonic() + 60 * arguments.minutes
    parts: dict[str, Any] = {}
    made: dict[str, float] = {}
    for i, part in enumerate(chosen):
        share = expected[part] / sum(expected[later] for later in chosen[i:])
        allowed = max(0.0, end - time.monotonic()) * share
        parts[part] = _run(arguments, part, allowed, env)
        made = write(arguments.out, parts, settings)
        print(f"{part:12} {parts[part]['ended']:24} {parts[part]['seconds']:5.0f} s", flush=True)
    print("\n".join(summary(made)))
    print(f"Results are in {arguments.out}")
    bad = any(about["ended"] != "whole" for about in parts.values())
    return int(bad or made.get("gpu_failed_checks", 0) > 0)


def _run(
    arguments: argparse.Namespace, part: str, allowed: float, env: dict[str, str]
) -> dict[str, Any]:
    """Run one part, and end it with everything below it when its time is over."""
    command = [sys.executable, "-m", "benchmarks.gpu.part", part, "--out", str(arguments.out)]
    command += ["--seconds", str(max(0.0, allowed - GRACE)), "--seed", str(arguments.seed)]
    began = time.monotonic()
    with (arguments.out / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [*command, *(["--dry"] if arguments.dry else [])],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(allowed)
            ended = "whole" if status == 0 else f"failed, status {status}"
        except subprocess.TimeoutExpired:
            ended = "out of time"
        finally:  # also where somebody interrupts
            _end(process)
    return {"ended": ended, "seconds": time.monotonic() - began, "allowed": allowed}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a part's process group: it is in a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
