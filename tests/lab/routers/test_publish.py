"""A report becomes files."""

import pytest
from tests.lab.routers.synthetic import data

from motet.errors import ArtifactError
from motet.lab.routers.evaluate import evaluate
from motet.lab.routers.publish import publish
from motet.lab.routers.training import train


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
