"""The contenders of `overhead.py`: Motet in its ways, and gateways of others, before one upstream.

Each is one process with the settings its makers advise for production. A gateway of others has a
release of its own, in an environment or a folder of its own below `~/.cache/motet/peers`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from _common import Processes, free_port, node_peer, peer

KEY = "sk-only-for-this-benchmark-0123456789abcdef"
"""Sent to every contender. Motet and LiteLLM check it; vllm-router and Portkey check none."""
VERSIONS = {"litellm": "1.108.6", "vllm_router": "0.1.17", "portkey": "1.15.2"}
"""The newest releases whose requirements could be installed when this was last run."""
SHOWN = {
    "direct": "direct",
    "inproc": "Motet --local",
    "bare": "Motet, operations off",
    "full": "Motet, operations on",
    "before": "Motet before",
    "ray": "Motet on Ray",
    "litellm": "LiteLLM",
    "vllm_router": "vllm-router",
    "portkey": "Portkey",
}
"""Every contender, and what tables call it."""
_HERE = Path(__file__).parent

_MOTET = """
version: 1
experts:
  - {{id: general, engine: openai, url: "{upstream}", model: upstream}}
  - {{id: coder, engine: openai, url: "{upstream}", model: upstream}}
routers:
  rules:
    kind: symbolic
    rules:
      - {{name: code, when: "has_code || mentions(['sql', 'python'])", use: [coder]}}
  front: {{kind: chain, of: [rules], fallback: general}}
compositions:
  auto: {{router: front}}
service: {{host: 127.0.0.1, port: {port}, replicas: 1, api_keys: ["{key}"]}}
"""
_EXPERTS, _, _ = _MOTET.partition("service:")
_BARE = f"""{_EXPERTS}
store: {{{{records: false}}}}
service: {{{{host: 127.0.0.1, port: {{port}}}}}}
"""
_FULL = f"""{_EXPERTS}
store: {{{{text: true, redact: ['[0-9]{{{{13,19}}}}']}}}}
service: {{{{host: 127.0.0.1, port: {{port}}}}}}
keys:
  - name: all
    key: "{{key}}"
    limits: {{{{requests_per_minute: 10000000, tokens_per_minute: 10000000000}}}}
    budget: {{{{usd: 1000000, per: day}}}}
"""
_CONFIGS = {"bare": _BARE, "full": _FULL}
"""Motet with nothing that runs beside an answer, and with all of it."""
_LITELLM = """
model_list:
  - model_name: auto
    litellm_params: {{model: openai/upstream, api_base: "{upstream}", api_key: none}}
litellm_settings: {{telemetry: false, set_verbose: false}}
general_settings: {{master_key: "{key}"}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender is asked.

    Attributes
    ----------
    url
        Its base URL, which ends in `/v1`.
    headers
        What each of its requests carries beside the key.
    """

    url: str
    headers: Mapping[str, str]


class Contenders:
    """Starts contenders, all in front of one upstream.

    Parameters
    ----------
    folder
        Where their configs are written.
    before
        A checkout of another commit, for the contender `before`.
    """

    def __init__(self, processes: Processes, folder: Path, before: Path | None) -> None:
        self._processes = processes
        self._folder = folder
        self._before = before
        self._upstream = ""

    def start(self, name: str) -> Place:
        """Start a contender and wait until it answers; `direct`, the upstream, is the first.

        Raises
        ------
        NoPeer
            It cannot be had on this machine.
        """
        port = free_port()
        {
            "direct": self._start_upstream,
            "litellm": self._start_litellm,
            "vllm_router": self._start_vllm_router,
            "portkey": self._start_portkey,
        }.get(name, self._start_motet)(name, port)
        # Portkey is told by each request where the model is, as its documentation has it.
        where = {"x-portkey-provider": "openai", "x-portkey-custom-host": self._upstream}
        return Place(f"http://127.0.0.1:{port}/v1", where if name == "portkey" else {})

    def _up(self, name: str, command: list[str | Path], ready: str, **env: str) -> None:
        self._processes.start(name, command, **env)
        self._processes.wait_for(name, ready)

    def _start_upstream(self, name: str, port: int) -> None:
        self._upstream = f"http://127.0.0.1:{port}/v1"
        self._up(name, [sys.executable, _HERE / "_upstream.py", str(port)], self._upstream)

    def _start_motet(self, name: str, port: int) -> None:
        command: list[str | Path] = [sys.executable, "-m", "motet.cli.main", "serve"]
        config = self._config(name, _CONFIGS.get(name, _MOTET), port)
        command += [config, *([] if name == "ray" else ["--local"])]
        source = {"PYTHONPATH": f"{self._before}/src"} if name == "before" else {}
        state = {"MOTET_STATE": str(self._folder / f"{name}-state")}
        self._up(name, command, f"http://127.0.0.1:{port}/ready", **state, **source)

    def _start_litellm(self, name: str, port: int) -> None:
        binaries = peer(name, VERSIONS[name], "litellm[proxy]")
        command = [binaries / "litellm", "--config", self._config(name, _LITELLM, port)]
        command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        # As its documentation advises; the list of prices would come from the network.
        quiet = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
        quiet["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        self._up(name, command, f"http://127.0.0.1:{port}/health/liveliness", **quiet)

    def _start_vllm_router(self, name: str, port: int) -> None:
        binaries = peer("vllm-router", VERSIONS[name], "vllm-router")
        command = [binaries / "vllm-router", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--worker-urls", self._upstream.removesuffix("/v1"), "--policy", "round_robin"]
        command += ["--log-level", "error", "--prometheus-port", str(free_port())]
        self._up(name, command, f"http://127.0.0.1:{port}/readiness")

    def _start_portkey(self, name: str, port: int) -> None:
        # Its streams fail with releases of this library that are newer than its build.
        beside = {"@hono/node-server": "1.3.3"}
        package = node_peer(name, VERSIONS[name], "@portkey-ai/gateway", **beside)
        # It has no option for the interface, and listens on all of them.
        command: list[str | Path] = ["node", package / "build" / "start-server.js"]
        command += [f"--port={port}", "--headless"]
        self._up(name, command, f"http://127.0.0.1:{port}/", NODE_ENV="production")

    def _config(self, name: str, text: str, port: int) -> Path:
        config = self._folder / f"{name}.yaml"
        config.write_text(text.format(upstream=self._upstream, port=port, key=KEY))
        return config
