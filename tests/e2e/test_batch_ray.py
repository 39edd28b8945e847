"""A batch on a Ray cluster, its groups as Ray Data jobs."""

import json
import subprocess

import pytest
from tests.batch.helpers import line, read, write
from tests.e2e.conftest import motet

pytestmark = pytest.mark.ray

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
