"""From a table to a router in use, as Python programs do it."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.lab.routers.synthetic import ENCODER, synthetic, vectors

from motet.errors import ArtifactError, TableError
from motet.lab.routers.data import Data, data_for, read_data
from motet.lab.routers.evaluate import evaluate
from motet.lab.routers.promotion import promote
from motet.lab.routers.publish import publish
from motet.lab.routers.training import Target, train
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries


def data(rows=240, seed=0, **options):
    table = synthetic(rows, seed, **options)
    return Data(table=table, embeddings=vectors(table), encoder=ENCODER)


def spent(router, on):
    queries = Queries(embeddings=on.embeddings, texts=on.table.queries, tasks=on.table.tasks)
    chosen = router.decide(router.estimate(queries)).chosen
    return on.table.costs[np.arange(len(chosen)), chosen].mean(), (chosen == 2).mean()


def test_a_target_is_kept_on_queries_to_come():
    learned, later = data(), data(seed=1)
    dear, _ = spent(train(learned, "ridge")[0], later)
    cheap, _ = spent(train(learned, "ridge", target=Target(cost=0.002))[0], later)
    assert cheap < 0.7 * dear and cheap == pytest.approx(0.002, rel=0.25)
    shared, _ = train(learned, "ridge", target=Target(share=("both", 0.25)))
    assert spent(shared, later)[1] == pytest.approx(0.25, abs=0.12)
    with pytest.raises(TableError, match="Did you mean 'both'"):
        train(learned, "ridge", target=Target(share=("bot", 0.25)))


def test_papers_names_are_known_and_the_fit_is_timed_alone():
    router, seconds = train(data(), "constant")
    assert router.kind == "best-single" and router.terms.lam == 0 and seconds > 0


def test_who_has_proven_itself_is_promoted(tmp_path):
    learned, later = data(), data(seed=1)
    for kind, proven in (("knn", True), ("best-single", False)):
        router, _ = train(learned, kind)
        report = evaluate(router, later.table, later.embeddings)
        if proven:
            promote(router, report, tmp_path / kind)
            assert Artifact.load(tmp_path / kind).kind == kind
        else:
            with pytest.raises(ArtifactError, match="Not promoted.*does not beat"):
                promote(router, report, tmp_path / kind)
            assert not (tmp_path / kind).exists()


def test_a_report_becomes_files_as_far_as_they_are_wanted(tmp_path):
    router, _ = train(data(), "best-single")
    later = data(seed=1)
    report = evaluate(router, later.table, later.embeddings)
    publish(report, page_file=None, folder=None)
    assert not list(tmp_path.iterdir())
    publish(report, page_file=tmp_path / "new" / "page.html", folder=tmp_path / "pictures")
    assert (tmp_path / "new" / "page.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "pictures" / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArtifactError, match="The report cannot be written"):
        publish(report, page_file=tmp_path / "new" / "page.html" / "x", folder=None)


def test_a_table_is_embedded_only_where_a_kind_reads_that(tmp_path):
    table = synthetic(30)
    columns = {"query": table.queries, "task": table.tasks}
    columns |= {f"score:{e}": table.scores[:, n] for n, e in enumerate(table.experts)}
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    told = []
    read = read_data(
        tmp_path / "table.parquet", {"constant": {}}, progress=lambda *it: told.append(it)
    )
    assert read.embeddings is None and read.encoder is None and len(read.table) == 30
    assert told == [("reading table.parquet", 0, 0)]
    router, _ = train(read, "constant")
    assert data_for(router, tmp_path / "table.parquet").embeddings is None
