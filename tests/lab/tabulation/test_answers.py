"""The log of answers: what is in it stays, a torn end is dropped, and damage is told."""

from dataclasses import replace

import pytest

from motet.errors import TableError
from motet.lab.tabulation import AnswerLog
from motet.lab.tabulation.answers import RecordedAnswer


def test_a_damaged_log_is_not_guessed_at(tmp_path):
    (tmp_path / "t.answers.jsonl").write_text('{"expert": "a"}\n')
    with pytest.raises(TableError, match=r"t\.answers\.jsonl:1: this line is no answer"):
        AnswerLog(tmp_path / "t.answers.jsonl")


def test_answers_are_found_again_and_a_torn_line_is_dropped(tmp_path):
    path = tmp_path / "new" / "t.answers.jsonl"
    answer = RecordedAnswer(
        expert="a",
        state="s",
        prompt="p",
        text="yes",
        prompt_tokens=1,
        completion_tokens=1,
        latency_s=0.1,
    )
    with AnswerLog(path) as log:
        log.add(answer)
        log.add(replace(answer, expert="b"))
    path.write_bytes(path.read_bytes()[:-5])
    with AnswerLog(path) as log:
        assert log.get("a", "s", "p") == answer
        assert log.get("b", "s", "p") is None and log.get("a", "other", "p") is None
        log.add(replace(answer, expert="c"))
    with AnswerLog(path) as log:
        assert log.get("c", "s", "p") == replace(answer, expert="c")
