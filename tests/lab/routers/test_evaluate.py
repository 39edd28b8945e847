"""One trained router on a table of its own."""

from dataclasses import replace

import pytest
from tests.lab.routers.synthetic import ENCODER, EXPERTS, data

from motet.errors import TableError
from motet.lab.routers.evaluate import evaluate
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.fit import train


def test_evaluate_a_saved_router(tmp_path):
    learned, test = data(seed=0), data(120, seed=1)
    made = train(learned.table, learned.embeddings, "ridge", {}, ENCODER)
    made.save(tmp_path / "router")
    router = Artifact.load(tmp_path / "router")
    report = evaluate(router, test.table.of(EXPERTS[::-1]), test.embeddings, draws=100)
    assert report.rows == 120 and report.routers[0].name == "ridge"
    assert report.routers[0].figures["accuracy_mean_over_tasks"].value > 0.6
    with pytest.raises(TableError, match="240 of 240 queries of synthetic are also in synthetic"):
        evaluate(router, learned.table, learned.embeddings)
    with pytest.raises(TableError, match="no column 'score:both'"):
        evaluate(router, test.table.of(EXPERTS[:2]), test.embeddings)


def test_experts_that_the_router_does_not_know_take_no_part():
    learned, test = data(seed=0), data(seed=1)
    two = replace(learned, table=learned.table.of(["algebra", "poetry"]))
    router = train(two.table, two.embeddings, "ridge", {}, ENCODER)
    report = evaluate(router, test.table, test.embeddings, draws=20)
    assert report.experts == ("algebra", "poetry")
    assert report.settings["experts it does not know"] == ["both"]
