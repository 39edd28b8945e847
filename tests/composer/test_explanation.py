"""Who answered and why, as plain JSON values."""

import json

from motet.composer.calls import Calls
from motet.composer.explanation import decision_json, explanation
from motet.config import Limits
from motet.types import Call, Choice, Decision, Purpose, Usage

DECISION = Decision(choices=(Choice("a"), Choice("b", 0.0)), router="r", reason="because")
BEFORE = [
    Call("namer", 0.0, 0.1, 0.2, Usage(1, 1), 0.5, purpose=Purpose.ROUTE),
    Call("a", 0.2, error="broke."),
]


def test_a_decision_names_everybody_in_order_and_the_reason():
    told = decision_json("auto", DECISION)
    assert (told["composition"], told["router"], told["primary"]) == ("auto", "r", "a")
    assert [(each["id"], each["weight"]) for each in told["experts"]] == [("a", 1.0), ("b", 0.0)]
    assert told["reason"] == "because" and told["id"] == DECISION.id


async def test_calls_are_told_with_what_they_took_and_times_only_where_they_mean_something():
    calls = Calls({}, Limits(), "auto", before=BEFORE)
    told = json.loads(json.dumps(explanation("auto", DECISION, calls)))
    assert [(c["expert"], c["purpose"]) for c in told["experts"]] == [
        ("namer", "route"), ("a", "answer"),
    ]  # fmt: skip
    assert told["experts"][0]["finished"] == 0.2 and told["experts"][1]["error"] == "broke."
    assert told["usage"] == {"prompt_tokens": 1, "completion_tokens": 1, "details": {}}
    assert told["cost_usd"] == 0.5
    assert "span" not in told["experts"][0]  # of traces nothing is told
    untimed = explanation("auto", DECISION, calls, timed=False)
    assert not {"started", "first_chunk", "finished"} & untimed["experts"][1].keys()
    await calls.close()
