"""Who has proven itself takes the place of the router in use, and nobody else."""

import pytest
from tests.lab.routers.synthetic import data

from motet.errors import ArtifactError
from motet.lab.routers.evaluate import evaluate
from motet.lab.routers.promotion import promote
from motet.lab.routers.training import train
from motet.routers.learned.artifact import Artifact


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
