"""Which kinds take part, by name or by what the table has."""

import re
from pathlib import Path

import pytest
from tests.lab.routers.synthetic import synthetic

from motet.errors import ConfigError
from motet.lab.routers.kinds import choose
from motet.routers.learned import ESTIMATORS


def test_kinds_are_chosen_by_what_the_table_has():
    table = synthetic(queries=False)
    chosen, left_out = choose("all", table, {})
    assert "best-single" in chosen and "knn" not in chosen
    assert left_out["knn"] == "the table has no queries"
    chosen, _ = choose("constant, ridge", table, {"ridge": {"alphas": [1]}})
    assert chosen == {"best-single": {}, "ridge": {"alphas": [1]}}
    with pytest.raises(ConfigError, match="Did you mean 'ridge'"):
        choose("rigde", table, {})
    with pytest.raises(ConfigError, match="No kind is named"):
        choose(" ,", table, {})
    with pytest.raises(ConfigError, match="'knn', which is not compared"):
        choose("ridge", table, {"knn": {"k": [1]}})


def test_the_guide_lists_every_kind():
    guide = (Path(__file__).parents[3] / "docs" / "routing.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)`", guide.split("## Kinds")[1].split("## ")[0], re.M))
    assert listed == set(ESTIMATORS.names())
