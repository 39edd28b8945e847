"""The command line as a user meets it: real processes, exit codes, both outputs."""

import json
import subprocess
import sys
import time

import pytest
from tests.conftest import FLEET, free_port, wait_for

FAKES = "version: 1\nexperts: [{id: echo, engine: fake, license: MIT}]\nrouters: {r: {kind: constant, expert: echo}}\ncompositions: {auto: {router: r}}\n"


def motet(*arguments, **options):
    command = [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "experts.yaml"
    path.write_text(FAKES)
    return path


def test_help_and_version():
    assert "serve" in motet("--help").stdout
    assert motet("--version").stdout.strip() == "0.1.0"


def test_check(config):
    good = motet("check", config)
    assert good.returncode == 0
    assert "1 experts (echo)" in good.stdout and "echo: MIT" in good.stdout
    assert json.loads(motet("check", config, "--json").stdout)["valid"] is True


def test_check_names_every_problem(config):
    config.write_text(
        FAKES.replace("engine: fake", "engine: fkae").replace("expert: echo", "expert: ecko")
    )
    bad = motet("check", config)
    assert bad.returncode == 1 and bad.stdout == ""
    assert "Did you mean 'fake'?" in bad.stderr and "Did you mean 'echo'?" in bad.stderr
    report = json.loads(motet("check", config, "--json").stdout)
    assert report["valid"] is False and len(report["problems"]) == 2


def test_check_missing_file(tmp_path):
    bad = motet("check", tmp_path / "none.yaml")
    assert bad.returncode == 1 and "cannot be read" in bad.stderr


def test_route(config):
    shown = motet("route", "hello", "--config", config)
    assert shown.stdout.startswith("echo  by r")
    decision = json.loads(motet("route", "hello", "--config", config, "--json").stdout)
    assert decision["primary"] == "echo"
    assert motet("route", "hello", "--config", config, "--model", "nope").returncode == 1


def test_experts_list(config):
    assert "echo" in motet("experts", "list", "--config", config).stdout
    rows = json.loads(motet("experts", "list", "--config", config, "--json").stdout)
    assert rows[0]["engine"] == "fake"


def test_against_a_running_service(service):
    chat = motet("chat", "good day", "--url", service.url)
    assert chat.stdout == "good day\n" and "echo" in chat.stderr
    talk = motet("chat", "--url", service.url, input="one\n/new\ntwo\n/quit\n")
    assert "one" in talk.stdout and "two" in talk.stdout
    assert motet("route", "some sql", "--url", service.url).stdout.startswith("coder")
    assert "gone fishing" in motet("experts", "list", "--url", service.url).stdout
    broken = motet("chat", "x", "--url", service.url, "--model", "breaks")
    assert broken.returncode == 1 and "scripted failure" in broken.stderr
    unknown = motet("chat", "x", "--url", service.url, "--model", "nope")
    assert unknown.returncode == 1 and "does not exist" in unknown.stderr


def test_no_service():
    gone = motet("chat", "x", "--url", "http://127.0.0.1:9")
    assert gone.returncode == 1 and "motet serve" in gone.stderr


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
                "start without --local"
                in motet("experts", "list", "--url", f"http://127.0.0.1:{port}").stdout
            ),
            30,
        )
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_fleet_fixture_is_a_right_config(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    assert motet("check", path).returncode == 0
