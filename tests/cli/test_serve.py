"""`motet serve` in this process."""

import subprocess
import sys
import time

from tests.cli.command import FAKES, motet
from tests.conftest import free_port, wait_for


def serve_local(config, port):
    command = [sys.executable, "-m", "motet.cli.main", "serve", str(config), "--local"]
    return subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_serve_local(config):
    port = free_port()
    process = serve_local(config, port)
    try:
        chat = None

        def answers():
            nonlocal chat
            chat = motet("chat", "hello", "--url", f"http://127.0.0.1:{port}")
            return chat.returncode == 0

        wait_for(answers, 30)
        assert chat.stdout == "hello\n"
        second = motet("serve", config, "--local", "--port", port)
        assert second.returncode == 1
        assert f"Cannot bind 127.0.0.1:{port}" in second.stderr and "--port" in second.stderr
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert f"Motet answers at http://127.0.0.1:{port}" in output
    assert "curl" in output and "auto" in output and "MIT" in output


def test_local_says_what_needs_ray(tmp_path):
    config = tmp_path / "experts.yaml"
    config.write_text(
        FAKES.replace(
            "{id: echo, engine: fake, license: MIT}",
            "{id: echo, engine: fake}, {id: big, engine: vllm, model: a/b}",
        )
    )
    port = free_port()
    process = serve_local(config, port)
    try:
        time.sleep(1)
        wait_for(
            lambda: (
                "without --local"
                in motet("experts", "list", "--url", f"http://127.0.0.1:{port}").stdout
            ),
            30,
        )
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert "no answers here from big: engine vllm runs on Ray" in output
