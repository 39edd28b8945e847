"""Traces made up or read."""

import json

import numpy as np
import pytest

from motet.errors import TableError
from motet.planner.simulate.trace import make_trace, read_trace


def test_a_made_trace_is_what_was_asked_for():
    names = [f"e{n}" for n in range(10)]
    trace = make_trace(names, 20_000, rate=5.0, skew=1.0, burst=4.0, seconds=2.0, seed=3)
    assert len(trace) == 20_000 and (np.diff(trace.at) >= 0).all()
    assert trace.at[-1] == pytest.approx(4_000, rel=0.1)
    counts = np.bincount(trace.expert, minlength=10)
    assert counts[0] / counts[1] == pytest.approx(2.0, rel=0.2)
    assert trace.seconds.mean() == pytest.approx(2.0, rel=0.05)
    again = make_trace(names, 20_000, rate=5.0, skew=1.0, burst=4.0, seconds=2.0, seed=3)
    assert (again.at == trace.at).all() and (again.expert == trace.expert).all()
    only = make_trace(names, 100, rate=1.0, weights={"e3": 1.0, "e4": 3.0})
    assert set(only.expert) == {3, 4}


def test_a_trace_from_a_file(tmp_path):
    rows = [{"at": 12.5, "expert": "b", "seconds": 2}, {"at": 10, "expert": "a", "seconds": 1}]
    jsonl, csv = tmp_path / "t.jsonl", tmp_path / "t.csv"
    jsonl.write_text("\n".join(map(json.dumps, rows)))
    csv.write_text("at,expert\n12.5,b\n10,a\n")
    trace = read_trace(jsonl, ["a", "b"], 9.0)
    assert trace.at.tolist() == [0.0, 2.5] and trace.expert.tolist() == [0, 1]
    assert trace.seconds.tolist() == [1.0, 2.0]
    assert read_trace(csv, ["a", "b"], 9.0).seconds.tolist() == [9.0, 9.0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "when,expert\n1,a\n", "no column 'at'"),
        ("t.csv", "at,expert\n1,alpha\n", "row 1: no expert 'alpha'.*Did you mean 'alphas'"),
        ("t.csv", "at,expert\n-1,alphas\n", "row 1: at is -1.0"),
        ("t.csv", "at,expert\nsoon,alphas\n", "column 'at' holds something other than numbers"),
        ("t.csv", "at,expert\n", "holds no request"),
        ("t.jsonl", "{", "t.jsonl:1: this line is no JSON"),
        ("t.txt", "", "a trace is one of .parquet, .csv, .jsonl"),
    ],
)
def test_bad_traces_say_where(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(TableError, match=said):
        read_trace(tmp_path / name, ["alphas"], 1.0)


def test_the_requests_of_some_experts_and_which_they_were():
    trace = make_trace(["a", "b", "c"], 60, rate=1.0, seed=2)
    part, rows = trace.of({"a", "c"})
    assert set(part.expert.tolist()) == {0, 2} and len(part) == len(rows)
    assert (trace.at[rows] == part.at).all() and (trace.expert[rows] == part.expert).all()
