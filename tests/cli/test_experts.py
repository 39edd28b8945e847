"""`motet experts list`: of a config or of a service."""

import json

from tests.cli.command import motet


def test_experts_list(config):
    assert "echo" in motet("experts", "list", "--config", config).stdout
    rows = json.loads(motet("experts", "list", "--config", config, "--json").stdout)
    assert rows[0]["engine"] == "fake"


def test_a_running_service_says_who_is_down(service):
    assert "gone fishing" in motet("experts", "list", "--url", service.url).stdout
