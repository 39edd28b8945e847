"""What many experts cost, and what a service costs that nobody asks.

A config of 500 experts and one of 2,000, at five hosts, start as one process each in turn, from
nothing to `/ready`; then routers of several kinds decide on 2,000 experts. On Ray Serve, the
shipped experts and routers, with answers from a script in the place of all engines but one, are
left alone for a while: what an ingress replica takes of a core, and of memory, then. Times and
shares are medians over the rounds.

With `--before FOLDER`, a checkout of another commit, all of it is measured there too, in turn.

Run as `python benchmarks/scale.py [--quick] [--before FOLDER] [--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import yaml

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
SIZES = (500, 2000)
HOSTS = 5
ASKED = 20
"""Decisions that the replicas take between them before they are left alone."""
WARM_S = 20.0
"""Seconds from then until the time that counts."""
Measured = dict[str, list[float]]


def many(size: int, hosts: list[int], port: int) -> dict[str, Any]:
    """Return a config of `size` experts at some hosts, and routers of several kinds."""
    ids = [f"expert-{number}" for number in range(size)]
    experts = [
        {
            "id": name,
            "engine": "openai",
            "url": f"http://127.0.0.1:{hosts[number % len(hosts)]}/v1",
            "model": name,
            "skills": ["general", f"field-{number % 40}"],
            "context": 8192 if number % 2 else 32768,
        }
        for number, name in enumerate(ids)
    ]

    def rule(**action: Any) -> dict[str, Any]:
        return {"kind": "symbolic", "rules": [{"name": "always", **action}]}

    routers = {
        "use": rule(use=ids[5:7]),
        "allow": rule(allow=ids[::2]),
        "deny": rule(deny=ids[::2]),
        "never": rule(when="chars > 10000000", use=ids[:1]),
        "fallback": {"kind": "chain", "of": ["never"], "fallback": ids[0]},
        "narrowed": {"kind": "chain", "of": ["deny", "use"], "fallback": ids[1]},
    }
    compositions = {f"by-{name}": {"router": name} for name in routers if name != "never"}
    service = {"host": "127.0.0.1", "port": port}
    return {
        "version": 1,
        "experts": experts,
        "routers": routers,
        "compositions": compositions,
        "service": service,
    }


def shipped(port: int) -> dict[str, Any]:
    """Return the shipped config with one engine of its own, and answers from a script elsewhere."""
    config: dict[str, Any] = yaml.safe_load((_ROOT / "experts.yaml").read_text())
    kept = ("id", "description", "context", "skills", "price")
    config["experts"] = [
        expert
        if expert["engine"] == "transformers"
        else {"engine": "fake", **{name: expert[name] for name in kept}}
        for expert in config["experts"]
    ]
    config["service"] |= {"host": "127.0.0.1", "port": port, "replicas": 2}
    return config


def motet(*arguments: str | Path) -> list[str | Path]:
    """Return the command that serves a config ; `PYTHONPATH` says by which code."""
    return [sys.executable, "-m", "motet.cli.main", "serve", *arguments]


def start_s(source: Path, size: int, hosts: list[int], folder: Path) -> float:
    """Return the seconds that a service takes from nothing to `/ready`."""
    port = free_port()
    config = folder / f"{size}.yaml"
    config.write_text(json.dumps(many(size, hosts, port)))
    with Processes(folder) as processes:
        began = time.perf_counter()
        command = motet(config, "--local")
        processes.start("motet", command, PYTHONPATH=str(source / "src"))
        processes.wait_for("motet", f"http://127.0.0.1:{port}/ready")
        return time.perf_counter() - began


def route_ms(source: Path, size: int, folder: Path) -> dict[str, float]:
    """Return the milliseconds of a decision by composition, taken inside one process."""
    config = folder / "routed.yaml"
    config.write_text(json.dumps(many(size, [9] * HOSTS, 8000)))
    command = [sys.executable, _HERE / "_decisions.py", config]
    env = {**os.environ, "PYTHONPATH": str(source / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def idle(source: Path, folder: Path, seconds: float) -> dict[str, float]:
    """Return what an ingress replica on Ray takes while nobody asks."""
    port = free_port()
    # Relative paths of the shipped config start where it stands.
    with (
        tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix=".idle-", dir=_ROOT) as config,
        Processes(folder) as processes,
    ):
        config.write(json.dumps(shipped(port)))
        config.flush()
        command = motet(config.name)
        service = processes.start("ray", command, PYTHONPATH=str(source / "src"))
        processes.wait_for("ray", f"http://127.0.0.1:{port}/ready", 300)
        for number in range(ASKED):  # what a decision loads is there once it has decided
            _decide(f"http://127.0.0.1:{port}/v1/route", f"How many days has week {number}?")
        time.sleep(WARM_S)
        replicas = [
            process
            for process in psutil.Process(service.pid).children(recursive=True)
            if "ServeReplica:motet:motet" in " ".join(process.cmdline())
        ]
        before = [process.cpu_times() for process in replicas]
        time.sleep(seconds)
        after = [process.cpu_times() for process in replicas]
        shares = [
            (now.user + now.system - then.user - then.system) / seconds
            for then, now in zip(before, after, strict=True)
        ]
        memory = [process.memory_info().rss / 2**20 for process in replicas]
        return {"idle_core_share": median(shares), "ingress_rss_mib": median(memory)}


def _decide(url: str, text: str) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    head = {"content-type": "application/json"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), head)
    with urllib.request.urlopen(asked, timeout=120) as answer:
        answer.read()


def measure(sources: dict[str, Path], rounds: int, idle_s: float) -> dict[str, Measured]:
    """Measure every checkout once a round."""
    found: dict[str, Measured] = {name: defaultdict(list) for name in sources}
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        hosts = [free_port() for _ in range(HOSTS)]
        for number, port in enumerate(hosts):
            command = [sys.executable, _HERE / "_upstream.py", str(port)]
            processes.start(f"host-{number}", command)
            processes.wait_for(f"host-{number}", f"http://127.0.0.1:{port}/v1")
        for number in range(rounds):
            for name, source in sources.items():
                with console.status(f"Round {number + 1} of {rounds}, {name} ..."):
                    for size in SIZES:
                        taken = start_s(source, size, hosts, Path(folder))
                        found[name][f"start_s_{size}"].append(taken)
                    for way, taken in route_ms(source, SIZES[-1], Path(folder)).items():
                        found[name][f"route_ms_p50_2000_experts_{way}"].append(taken)
        for name, source in sources.items():
            with console.status(f"An idle service on Ray, {name} ..."):
                for figure, value in idle(source, Path(folder), idle_s).items():
                    found[name][figure].append(value)
    return found


def figures_of(measured: Measured) -> dict[str, float]:
    """Return the figures of one checkout."""
    found = {name: median(values) for name, values in measured.items()}
    small, large = (found[f"start_s_{size}"] for size in SIZES)
    ways = [value for name, value in found.items() if name.startswith("route_ms")]
    return {
        "route_ms_p50_2000_experts": max(ways),
        "start_2000_vs_500_experts": large / small,
        **found,
    }


def main() -> None:
    """Run the benchmark."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument("--before", type=Path, help="a checkout of another commit")
    arguments = arguments_of.parse_args()
    sources = {"now": _ROOT}
    if arguments.before is not None:
        sources["before"] = arguments.before.resolve()
    rounds, idle_s = (1, 20.0) if arguments.quick else (3, 60.0)
    by_source = {
        name: figures_of(measured) for name, measured in measure(sources, rounds, idle_s).items()
    }
    rows = [
        [name, *(f"{figures[name]:.3f}" for figures in by_source.values())]
        for name in by_source["now"]
    ]
    for name, *values in rows:
        console.print(f"{name:44} {'  '.join(f'{value:>10}' for value in values)}")
    figures = {
        name if source == "now" else f"{name}_before": round(value, 3)
        for source, found in by_source.items()
        for name, value in found.items()
    }
    report = {
        "figures": figures,
        "settings": {
            "rounds": rounds,
            "idle_s": idle_s,
            "experts": "engine openai, five hosts that answer at once",
            "route_ms_p50_2000_experts": "the slowest of the ways below",
            "idle": f"{ASKED} decisions, then nothing; two ingress replicas, one pool",
            "routers": "as shipped, with their encoder",
        },
        "machine": machine(),
        "versions": versions("motet", "ray", "aiohttp", "torch", "sentence-transformers"),
    }
    head = ["figure", *by_source]
    finish(arguments, "scale", report, ["## Medians\n", markdown(head, rows)])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
