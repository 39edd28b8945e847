"""Every command stands under one name."""

from tests.cli.command import motet


def test_help_and_version():
    assert "serve" in motet("--help").stdout
    assert motet("--version").stdout.strip() == "0.1.0"
