"""Each grader gives points for right answers in the forms models write, and never fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import ConfigError, TableError
from motet.grading import GRADERS

SQL = {
    "setup": "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1,'x'),(2,'y'),(3,'y');",
    "query": "SELECT b, COUNT(*) FROM t GROUP BY b",
}
ORDERED = {**SQL, "query": "SELECT a FROM t ORDER BY a DESC"}
TEAMS = {"choices": ["billing", "technical", "A", "B"], "answer": "technical"}
CASES = {"match": ["ab1", "xyz22"], "refuse": ["1", "ab", "AB1"]}
DOUBLE = {
    "function": "double",
    "cases": [{"args": [2], "returns": 4}, {"args": ["a"], "returns": "aa"}],
    "seconds": 2,
    "memory_mib": 128,
}

RIGHT = [
    ("exact", "Paris", " paris. "),
    ("exact", ["NYC", "New York"], "**New  York**"),
    ("choice", TEAMS, "technical"),
    ("choice", TEAMS, "Not billing: the label is Technical."),
    ("choice", {"choices": ["A", "B"], "answer": "B"}, "It is a B."),
    ("choice", {"choices": ["day", "Sun day"], "answer": "Sun day"}, "sun day"),
    ("numeric", 1200, "3 * 400 = 1,200. The answer is 1,200.00 metres"),
    ("numeric", -3.5, "So it is -3.5"),
    ("numeric", {"value": 3.14, "tolerance": 0.01}, "about 3.1416"),
    ("regex", r"(?i)\bparis\b", "The capital is PARIS."),
    ("regex-cases", CASES, "[a-z]+[0-9]+"),
    ("regex-cases", CASES, "```regex\n^[a-z]+\\d+$\n```"),
    ("regex-cases", CASES, "`/[a-z]+[0-9]+/`\nThis matches letters, then digits."),
    ("json", {"a": 1, "b": [True, None]}, 'Here: {"b": [true, null], "a": 1.0} as asked'),
    ("json", {"a": 1}, '```json\n{"a": 1}\n```'),
    ("sql", SQL, "SELECT b, COUNT(a) FROM t GROUP BY b ORDER BY 2 DESC"),
    ("sql", SQL, "```sql\nselect b, count(1) from t group by 1;\n```"),
    ("sql", ORDERED, "SELECT a FROM t ORDER BY -a; DROP TABLE t"),
    ("python-cases", DOUBLE, "```python\nimport math\ndef double(x):\n    return x * 2\n```"),
]
WRONG = [
    ("exact", "Paris", "It is Paris"),
    ("choice", TEAMS, "technical or billing"),
    ("choice", TEAMS, "a letter"),
    ("choice", TEAMS, ""),
    ("numeric", 19, "19 or 20"),
    ("numeric", 19, "no number"),
    ("regex", "^x$", "y"),
    ("regex-cases", CASES, ".*"),
    ("regex-cases", CASES, "[a-z"),
    ("json", {"a": 1}, '{"a": true}'),
    ("json", {"a": 1}, '{"a": 1, "b": 2}'),
    ("json", {"a": 1}, "{" * 5000),
    ("sql", ORDERED, "SELECT a FROM t ORDER BY a"),
    ("sql", SQL, "DROP TABLE t"),
    ("sql", SQL, "SELECT writefile('x', 'y')"),
    ("sql", SQL, "nonsense"),
    ("python-cases", DOUBLE, "def double(x): return x"),
    ("python-cases", DOUBLE, "def other(x): return x * 2"),
    ("python-cases", DOUBLE, "this is no Python"),
    ("python-cases", DOUBLE, "print([4, 'aa'])\ndef double(x): raise SystemExit(0)"),
    ("python-cases", DOUBLE, "def double(x): return object()"),
]


async def grade(name: str, reference: object, answer: str) -> float:
    grader = GRADERS.load(name)
    return await grader().grade("?", answer, grader.parse(reference))


@pytest.mark.parametrize(("name", "reference", "answer"), RIGHT)
async def test_right_answers(name, reference, answer):
    assert await grade(name, reference, answer) == 1.0


@pytest.mark.parametrize(("name", "reference", "answer"), WRONG)
async def test_wrong_answers(name, reference, answer):
    assert await grade(name, reference, answer) == 0.0


@pytest.mark.parametrize(
    "code",
    [
        "def double(x):\n    while True: pass",
        "def double(x): return 'a' * (1 << 32)",
        "import subprocess\ndef double(x): return subprocess.run(['true'])",
        "import socket\ndef double(x): return socket.socket() and x * 2",
        "def double(x): return open('/etc/hostname').read() and x * 2",
        "import os\ndef double(x):\n    os.kill(os.getppid(), 9)\n    return x * 2",
        "import os\ndef double(x):\n    os.fork()\n    return x * 2",
    ],
    ids=["endless", "memory", "process", "network", "file", "kill", "fork"],
)
async def test_python_answers_have_little_time_memory_and_reach(code):
    assert await grade("python-cases", DOUBLE, code) == 0.0


async def test_endless_queries_and_slow_patterns_end():
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    assert await grade("sql", SQL, endless) == 0.0
    slow = {"match": ["a" * 40 + "b"], "refuse": []}
    assert await grade("regex-cases", slow, "(a|a)*c|(a|a|a)*d") == 0.0


@given(st.sampled_from([(name, reference) for name, reference, _ in RIGHT]), st.text())
async def test_no_answer_is_an_error(case, answer):
    name, reference = case
    if name != "python-cases":  # a process each is too slow for many examples
        assert await grade(name, reference, answer) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "reference", "said"),
    [
        ("choice", {"choices": ["a", "b"], "answer": "c"}, "none of a, b"),
        ("choice", {"choices": ["a"], "answer": "a"}, "reference.choices"),
        ("numeric", "nineteen", "reference"),
        ("numeric", float("nan"), "finite"),
        ("regex", "[a", "is no regular expression"),
        ("sql", {**SQL, "query": "SELECT c FROM t"}, "no such column"),
        ("sql", {"query": "SELECT 1"}, "reference.setup"),
        ("python-cases", {"function": "f", "cases": []}, "reference.cases"),
        ("exact", 7, "reference"),
    ],
)
def test_wrong_references_are_refused(name, reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load(name).parse(reference)


async def test_judge_reads_the_first_verdict():
    seen = []

    async def ask(question: str) -> str:
        seen.append(question)
        return "Verdict: RIGHT, not wrong" if "Paris" in question else "hm"

    judge = GRADERS.load("judge")(ask)
    assert await judge.grade("Capital of France?", "Paris", "It is Paris") == 1.0
    assert await judge.grade("2 + 2?", "5", "4") == 0.0
    assert "Capital of France?" in seen[0]


def test_unknown_grader_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'numeric'"):
        GRADERS.load("numerik")
