"""The configs that the pages of embeddings and moderation show are right."""

import re
from pathlib import Path

import pytest
from tests.encoders.test_domains import domains

from motet.composer.assembly import assemble
from motet.config import parse

DOCS = Path(__file__).parents[2] / "docs"


def shown():
    """Yield every config of those pages."""
    for page in ("embeddings", "moderation"):
        path = DOCS / f"{page}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for number, config in enumerate(re.findall(r"```yaml\n(version: 1\n.*?)```", text, re.S)):
            yield pytest.param(config, id=f"{page} {number}")


@pytest.mark.parametrize("config", shown())
def test_a_config_of_the_documentation_is_right(config, tmp_path):
    domains().save(tmp_path / "domains")  # of law and sea
    parts = assemble(parse(config, folder=tmp_path))
    assert set(parts.experts) == {entry.id for entry in parts.document.config.served}
