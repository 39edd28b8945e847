"""`motet route`: who would answer, by a config or by a service."""

import json

from tests.cli.command import motet


def test_route(config):
    shown = motet("route", "hello", "--config", config)
    assert shown.stdout.startswith("echo  by r")
    decision = json.loads(motet("route", "hello", "--config", config, "--json").stdout)
    assert decision["primary"] == "echo"
    assert motet("route", "hello", "--config", config, "--model", "nope").returncode == 1


def test_a_running_service_is_asked(service):
    assert motet("route", "some sql", "--url", service.url).stdout.startswith("coder")
