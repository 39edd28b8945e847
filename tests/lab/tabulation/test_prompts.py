"""Files of prompts: what is wrong is named by line, what is asked has a digest."""

import pytest
from tests.lab.tabulation.world import PROMPTS, write

from motet.errors import TableError
from motet.lab.tabulation import prompts_of, read_prompts


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", ":2: this line is no JSON"),
        (
            '{"task": "x", "grader": "exact", "reference": "y"}',
            ":2: this line: .*query or messages",
        ),
        ('{"query": "x", "grader": "numerik", "reference": 1}', ":2: .*Did you mean 'numeric'"),
        ('{"query": "x", "grader": "numeric", "reference": "y"}', ":2: reference"),
        ('{"query": "x", "reference": "y"}', ":2: no grader. One of: choice"),
        ('{"query": "x", "graders": "exact"}', ":2: graders: .*Did you mean 'grader'"),
        ('{"query": "x", "grader": "judge", "reference": "y"}', ":2: .*Give --judge"),
        (
            '{"query": "say 7", "grader": "numeric", "reference": 7, "id": "a"}',
            ":2: id 'a' .*line 1",
        ),
    ],
)
def test_wrong_prompts_are_named_by_line(tmp_path, line, said):
    path = write(tmp_path / "p.jsonl", PROMPTS[:1])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TableError, match=said):
        read_prompts(path)


def test_no_prompts_and_no_file(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(TableError, match="there is no prompt"):
        read_prompts(tmp_path / "empty.jsonl")
    with pytest.raises(TableError, match="No such file"):
        read_prompts(tmp_path / "absent.jsonl")


def test_what_a_line_does_not_name_is_the_builds(tmp_path):
    path = write(tmp_path / "p.jsonl", [{"query": "2 + 2?", "reference": "4"}, PROMPTS[0]])
    plain, named = read_prompts(path, grader="exact", max_tokens=9)
    assert (plain.grader, plain.max_tokens, plain.text) == ("exact", 9, "2 + 2?")
    assert (named.grader, named.id) == ("numeric", "a")
    (longer, _) = read_prompts(path, grader="regex", max_tokens=10)
    assert longer.id == plain.id and longer.digest != plain.digest


def test_a_table_says_what_was_asked_so_that_it_can_be_asked_again(tmp_path):
    asked = read_prompts(write(tmp_path / "p.jsonl", PROMPTS))
    rows = [{"query": p.text, "prompt": p.line} for p in asked] + [{"query": "x", "prompt": ""}]
    table = write(tmp_path / "t.jsonl", rows)
    assert prompts_of(table) == {prompt.text: prompt for prompt in asked}
    bare = write(tmp_path / "bare.jsonl", [{"query": "x"}])
    with pytest.raises(TableError, match="cannot be asked again.*Build it again"):
        prompts_of(bare)


def test_what_a_judge_grades_is_not_asked_again(tmp_path):
    path = write(tmp_path / "p.jsonl", [{"query": "x", "grader": "judge", "reference": "y"}])
    (judged,) = read_prompts(path, judge=True)
    assert prompts_of(write(tmp_path / "t.jsonl", [{"prompt": judged.line}])) == {}
