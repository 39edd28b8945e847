"""A batch on a Ray cluster, its groups as Ray Data jobs."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.batch.helpers import line, read, write
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import motet

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FLEET = """
version: 1
experts:
  - {id: a, engine: fake, price: {input: 1, output: 2}}
  - {id: b, engine: fake, tokens: [bee]}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
"""


def test_groups_run_on_the_cluster(joined_ray, tmp_path):
    address, env = joined_ray
    (tmp_path / "experts.yaml").write_text(FLEET)
    lines = [line(f"q{n}", f"text {n}", model=["a", "b", "dead"][n % 3]) for n in range(60)]
    write(tmp_path / "in.jsonl", lines)
    done = subprocess.run(
        motet("batch", "in.jsonl", "out.jsonl", "--address", address, "--json"),
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["completed"], report["failed"], report["loads"]) == (40, 20, 3)
    assert [each["custom_id"] for each in read(tmp_path / "out.jsonl")][:3] == ["q0", "q1", "q3"]
    error = read(tmp_path / "out.errors.jsonl")[0]["response"]["body"]["error"]
    assert error["code"] == "expert_rejected"


SWAPPED = """
version: 1
experts:
  - {id: x, engine: fake-pool, tokens: [ex], resources: {memory: 1MiB}}
  - {id: y, engine: fake-pool, tokens: [why], resources: {memory: 1MiB}}
routers: {r: {kind: constant, expert: x}}
compositions: {auto: {router: r}}
residency: {memory: 1MiB, turn_s: 0.2}
"""
BESIDE = """
import asyncio, json, pathlib, sys
from motet.config import parse
from motet.deploy.batch.pools import PoolLoader
from tests.batch.helpers import line, run_batch

folder, fleet, address = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
who = {}

class Joined(PoolLoader):
    def __init__(self, experts, broken):
        super().__init__(parse(fleet, folder=folder), experts, address)

    def expert(self, expert):
        found = super().expert(expert)
        who[expert] = type(found).__name__
        return found

lines = [line(f"q{n}", f"text {n}", model="xy"[n % 2]) for n in range(12)]
done = asyncio.run(run_batch(folder, lines, fleet=fleet, memory=None, loader=Joined))
print(json.dumps([who, sorted(done.texts.values()), done.errors]))
"""


def test_a_batch_waits_its_turn_at_the_pools_of_a_service(joined_ray, tmp_path):
    """Their engines share a memory that holds one: a batch leases them as requests do."""
    address, env = joined_ray
    port = free_port()
    fleet = f"service: {{port: {port}}}\n{SWAPPED}"
    (tmp_path / "experts.yaml").write_text(fleet)
    deploy = motet("deploy", tmp_path / "experts.yaml", "--address", address)
    subprocess.run(deploy, env=env, check=True, capture_output=True, timeout=90)
    url = f"http://127.0.0.1:{port}"

    def states():
        try:
            ready = httpx.get(f"{url}/ready", timeout=10)
            experts = ready.json()["experts"].values()
        except (httpx.TransportError, ValueError):  # nobody there yet, or Serve alone
            return []
        return sorted(about["state"] for about in experts)

    wait_for(lambda: states() == ["asleep", "ready"], 90)
    done = subprocess.run(
        [sys.executable, "-c", BESIDE, str(tmp_path), fleet, address],
        cwd=Path(__file__).parents[2], env=env, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    who, texts, errors = json.loads(done.stdout.splitlines()[-1])
    assert who == {"x": "LeasedExpert", "y": "LeasedExpert"}
    assert ([text.strip() for text in texts], errors) == (["ex"] * 6 + ["why"] * 6, [])
    assert states() == ["asleep", "ready"]  # the pools are the service's, and stay


POOLS = """
version: 1
experts:
  - {id: llama, engine: transformers, model: llama, dtype: float32, max_tokens: 5, temperature: 0}
  - {id: gemma, engine: transformers, model: gemma, dtype: float32, max_tokens: 5, temperature: 0}
"""
TURNS = """
import asyncio, json, pathlib, sys
from motet.config import parse
from motet.deploy.batch.pools import PoolLoader
from tests.batch.helpers import line, run_batch

folder, fleet = pathlib.Path(sys.argv[1]), sys.argv[2]
loads = []

class Counted(PoolLoader):
    def __init__(self, experts, broken):
        super().__init__(parse(fleet, folder=folder), experts)

    async def load(self, engine):
        assert not self._own
        loads.append(engine)
        await super().load(engine)

lines = [line(f"q{n}", f"text {n}", model=["llama", "gemma"][n % 2]) for n in range(8)]
done = asyncio.run(run_batch(folder, lines, fleet=fleet, memory=200_000, loader=Counted))
print(json.dumps([loads, len(done.out), done.errors]))
"""


@pytest.mark.engine
def test_pools_take_turns_on_a_ray_of_their_own(tmp_path):
    from tests.experts.test_transformers import save_tiny

    for kind in ("llama", "gemma"):
        save_tiny(tmp_path / kind, kind)
    done = subprocess.run(
        [sys.executable, "-c", TURNS, str(tmp_path), POOLS],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loads, answered, errors = json.loads(done.stdout.splitlines()[-1])
    assert sorted(loads) == ["gemma", "llama"] and (answered, errors) == (8, [])
