"""What keeps a Ray of one machine to loopback, without a Ray."""

import os
import subprocess
from types import SimpleNamespace

from motet.deploy import loopback

CONFIG = """global
    stats socket /tmp/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
frontend prometheus
    bind :9101
frontend http
    bind *:8000
listen stats
  bind *:8404
"""


def test_haproxys_pages_are_bound_to_loopback_and_its_frontend_stays(tmp_path, monkeypatch):
    asked = tmp_path / "asked"
    real = tmp_path / "real"
    real.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    real.chmod(0o700)
    monkeypatch.setattr(loopback, "_haproxy", lambda: str(real))
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    env = {**os.environ, "RAY_SERVE_HAPROXY_STATS_PORT": "8404", "RAY_SERVE_HAPROXY_METRICS_PORT": "9101"}  # fmt: skip
    for _ in range(2):  # Ray reloads it again and again
        command = [loopback.write_haproxy(tmp_path), "-db", "-f", config, "-sf", "7"]
        subprocess.run(command, env=env, check=True)
    assert asked.read_text().split() == ["-db", "-f", str(config), "-sf", "7"]
    lines = [line.strip() for line in config.read_text().splitlines()]
    assert [line for line in lines if line.startswith("bind")] == [
        "bind 127.0.0.1:9101", "bind *:8000", "bind 127.0.0.1:8404",
    ]  # fmt: skip
    assert lines.count("timeout http-request 30s") == 1 and "mode 600 level admin" in lines[1]


def test_without_haproxy_there_is_nothing_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr(loopback, "_haproxy", lambda: None)
    assert loopback.write_haproxy(tmp_path) is None


def test_serves_own_server_listens_near(monkeypatch):
    from ray._common import tls_utils

    bound = []
    monkeypatch.setattr(
        tls_utils, "add_port_to_grpc_server", lambda server, address: bound.append(address) or 7
    )
    loopback.listen_near()
    assert tls_utils.add_port_to_grpc_server(SimpleNamespace(), "[::]:0") == 7
    assert bound == ["127.0.0.1:0"]
