"""Why a router chooses as it does, for one question."""

from tests.lab.routers.synthetic import ENCODER, EXPERTS, data

from motet.lab.routers.explain import explanation
from motet.routers.learned.base import Queries
from motet.routers.learned.fit import train


def test_explanation_names_choice_runner_up_and_evidence():
    learned = data()
    router = train(learned.table, learned.embeddings, "knn", {"k": [10]}, ENCODER)

    class Encoder:
        def encode(self, texts):
            assert texts == ["add 3 and 4"]
            return learned.embeddings[:1]

    found = explanation(router, "add 3 and 4", Encoder())
    assert found["expert"] == "algebra" and found["runner_up"] == "both"
    assert [row["expert"] for row in found["experts"]] == ["algebra", "both", "poetry"]
    assert 0 <= found["confidence"] <= 1 and "neighbours" in found["reason"]
    assert len(found["evidence"]["neighbours"]) == 3 and found["experts"][0]["cost_usd"] > 0


def test_abilities_are_shown_by_expert_inside_other_kinds_too():
    learned = data()
    parts = {"of": [{"kind": "irt", "epochs": 2}]}
    router = train(learned.table, learned.embeddings, "stack", parts, ENCODER)
    queries = Queries(embeddings=learned.embeddings[:1], texts=("add",), tasks=("sums",))
    part = router.explain(queries)["parts"][0]
    assert set(part["ability"]) == set(EXPERTS) and "by_column" not in part
