"""Every entry of docs/providers.md is one: it is read, and its engine is made of it."""

import re
from pathlib import Path

import pytest
from tests.asks import setting_of

from motet.config import parse
from motet.experts.build import build
from motet.types import Capability

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
ENTRIES = re.findall(r"\| `(\{id: .*\})` \|", PAGE.read_text())


def test_the_page_has_the_hosts_that_people_use():
    assert len(ENTRIES) >= 20


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_works(entry, monkeypatch):
    for name in re.findall(r"\$\{(\w+)\}", entry):
        monkeypatch.setenv(name, "secret-key")
    document = parse(f"version: 1\nexperts:\n  - {entry}\n")
    expert = build(document.config.experts[0], setting_of())
    assert Capability.CHAT in expert.card.capabilities and expert.card.model
