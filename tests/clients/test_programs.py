"""Clients of others against a running service; `make clients` installs them beside Motet.

They live in environments of their own (`.clients`), since they want other versions than Motet does.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import running

HERE = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".clients" / "bin" / "python"
NODE = ROOT / ".clients" / "node"
FLEET = """
version: 1
experts:
  - {id: echo, engine: fake}
  - {id: obliging, engine: fake, obliging: true}
  - id: bash
    engine: fake
    tokens: ["The file ", "is written."]
    calls: [{name: Bash, arguments: '{"command": "printf made > made.txt", "description": "Write"}'}]
  - id: exec
    engine: fake
    tokens: ["The file ", "is written."]
    calls: [{name: exec_command, arguments: '{"cmd": "printf made > made.txt"}'}]
routers:
  agents:
    kind: symbolic
    rules:
      - {name: codex, when: "tools.exists(tool, tool == 'exec_command')", use: [exec]}
      - {name: claude, when: "has_tools", use: [bash]}
  front: {kind: chain, of: [agents], fallback: echo}
compositions:
  auto: {router: front}
"""
pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]
python_clients = pytest.mark.skipif(not PYTHON.exists(), reason="make clients installs them")
node_clients = pytest.mark.skipif(
    not (NODE / "node_modules").exists() or shutil.which("node") is None,
    reason="make clients installs them, where Node is",
)


@pytest.fixture(scope="module")
def url():
    with running(FLEET) as service:
        yield service.url


def run(program, url, **options):
    environment = {**os.environ, "MOTET_URL": url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environment |= options.pop("env", {})
    done = subprocess.run(
        [str(word) for word in program],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        **options,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@python_clients
@pytest.mark.parametrize(
    "library", ["llm", "instructor", "pydantic_ai", "litellm", "openai_agents_way", "lm_eval"]
)
def test_a_library_for_python(url, library):
    run([PYTHON, HERE / "libraries.py", library], url)


@python_clients
def test_langchains_standard_tests_of_chat_models(url):
    options = [
        "-q",
        "-c",
        os.devnull,
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
    ]
    said = run([PYTHON, "-m", "pytest", *options, HERE / "langchain_standard.py"], url)
    assert int(said.split(" passed")[0].split()[-1]) > 100, said


@node_clients
@pytest.mark.parametrize("library", ["openai", "ai"])
def test_a_library_for_javascript(url, library):
    shutil.copy(HERE / "libraries.mjs", NODE)
    run(["node", "libraries.mjs", library], url, cwd=NODE)


@node_clients
def test_claude_code_uses_a_tool(url, tmp_path):
    program = next(NODE.glob("node_modules/@anthropic-ai/claude-code-linux-*/claude"), None)
    if program is None:
        pytest.skip("its package has no program for this machine")
    (tmp_path / "work").mkdir()
    options = ["--model", "auto", "-p", "write the file", "--allowedTools", "Bash"]
    env = {
        "HOME": str(tmp_path),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    said = run([program, *options], url, env=env, cwd=tmp_path / "work")
    assert said.strip() == "The file is written."
    assert (tmp_path / "work" / "made.txt").read_text() == "made"


@node_clients
def test_codex_uses_a_tool(url, tmp_path):
    for folder in ("work", ".codex"):
        (tmp_path / folder).mkdir()
    (tmp_path / ".codex" / "config.toml").write_text(
        'model = "auto"\nmodel_provider = "motet"\nweb_search = "disabled"\n[model_providers.motet]\n'
        f'name = "motet"\nbase_url = "{url}/v1"\nwire_api = "responses"\n'
    )
    options = [
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "write the file",
    ]
    program = NODE / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
    said = run(["node", program, *options], url, env={"HOME": str(tmp_path)}, cwd=tmp_path / "work")
    assert said.strip().endswith("The file is written.")
    assert (tmp_path / "work" / "made.txt").read_text() == "made"
