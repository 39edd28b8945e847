"""Files of examples: what is wrong is named, and a digest tells them apart."""

import json
from dataclasses import replace

import pytest
from tests.fusion.world import ask

from motet.errors import TableError
from motet.fusion.data import Example, data_hash, read_examples


@pytest.mark.parametrize(
    "line, match",
    [
        ({"query": "x", "prompt": "y", "answer": "z"}, ":2: give one of|:2: Value error"),
        ({"query": "x"}, ":2: answer: Field required"),
        ({"query": "x", "answer": " "}, "answer is empty"),
        ({"query": "x", "answer": "z", "right": {"anne": True}}, "Did you mean 'ann'"),
        ({"query": "x", "answer": "z", "grader": "exakt"}, "Did you mean 'exact'"),
        ({"query": "x", "answer": "z", "grader": "regex", "reference": "("}, "no regular"),
        ({"query": "x", "answer": "z", "colour": 1}, "colour"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, match):
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"query": "q", "answer": "a"}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(TableError, match=match):
        read_examples(file, ["ann", "bob"])
    file.write_text("\n")
    with pytest.raises(TableError, match="no example"):
        read_examples(file, [])


def test_a_line_is_a_question_of_one_of_three_forms(tmp_path):
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "q"}]
    lines = [
        {"query": "q", "answer": " a "},
        {"messages": chat, "answer": "a", "task": "t"},
        {"prompt": "q", "answer": "3", "right": {"ann": True}, "grader": "numeric", "reference": 3},
    ]
    file = tmp_path / "d.jsonl"
    file.write_text("\n\n".join(map(json.dumps, lines)))
    by_query, by_messages, by_prompt = read_examples(file, ["ann"])
    assert by_query.request.messages == ({"role": "user", "content": "q"},)
    assert (by_query.answer, by_query.grader, by_query.reference) == (" a ", "exact", "a")
    assert by_messages.request.messages == tuple(chat) and by_messages.task == "t"
    assert by_prompt.request.prompt == "q" and by_prompt.right == {"ann": True}
    assert (by_prompt.grader, by_prompt.reference) == ("numeric", 3)


def test_the_digest_is_of_what_is_learnt():
    example = Example(ask("q"), "a", right={"ann": True})
    known = data_hash([example])
    for change in ({"answer": "b"}, {"task": "t"}, {"right": {}}, {"request": ask("r")}):
        assert data_hash([replace(example, **change)]) != known
    assert data_hash([replace(example, grader="regex", reference="a")]) == known
