"""The lines of result files: their ids are the same whenever they are made, and faults are told."""

import json

import pytest

from motet.batch.results import Job
from motet.errors import ExpertRejected, InvalidLine

JOB = Job("j", "seed", 7)


def test_ids_are_of_the_input_and_the_line_alone():
    again = Job("other", "seed", 9)
    assert JOB.request_id(3) == again.request_id(3) and JOB.request_id(3).startswith("req-")
    ids = {job.made_id("x-", n) for job in (JOB, Job("j", "seed2", 7)) for n in range(20)}
    assert len(ids) == 40


@pytest.mark.parametrize("name", ["q1", None])
def test_a_line_that_is_none_is_told_with_its_number(name):
    told = json.loads(JOB.refused(4, name, InvalidLine("url: no.", param="url")))
    assert (told["custom_id"], told["response"]) == (name, None)
    assert told["error"]["line"] == 4 and told["error"]["message"] == "Line 4: url: no."
    assert told["error"]["param"] == "url"


def test_a_request_that_fails_has_the_answer_that_it_would_have_had():
    told = json.loads(JOB.refused(4, "q", ExpertRejected("a", "no.")))
    assert told["error"] is None and told["id"].startswith("batch_req_")
    response = told["response"]
    assert (response["status_code"], response["request_id"]) == (400, JOB.request_id(4))
    assert response["body"]["error"]["code"] == "expert_rejected"


def test_what_was_not_asked_to_its_end_says_why():
    line = JOB.unfinished(4, "q", "batch_expired", "The window is over.")
    assert line.endswith(b"\n")
    told = json.loads(line)
    assert told["error"] == {"code": "batch_expired", "message": "The window is over."}
