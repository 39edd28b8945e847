"""A query is judged by its rows; it reads, and ends."""

import pytest
from tests.grading.references import ORDERED, SQL, grade

from motet.errors import TableError
from motet.grading import GRADERS


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (SQL, "SELECT b, COUNT(a) FROM t GROUP BY b ORDER BY 2 DESC"),
        (SQL, "```sql\nselect b, count(1) from t group by 1;\n```"),
        (ORDERED, "SELECT a FROM t ORDER BY -a; DROP TABLE t"),
    ],
)
async def test_right_answers(reference, answer):
    assert await grade("sql", reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (ORDERED, "SELECT a FROM t ORDER BY a"),
        (SQL, "DROP TABLE t"),
        (SQL, "SELECT writefile('x', 'y')"),
        (SQL, "nonsense"),
    ],
)
async def test_wrong_answers(reference, answer):
    assert await grade("sql", reference, answer) == 0.0


async def test_an_endless_query_ends():
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    assert await grade("sql", SQL, endless) == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({**SQL, "query": "SELECT c FROM t"}, "no such column"),
        ({"query": "SELECT 1"}, "reference.setup"),
    ],
)
def test_wrong_references_are_refused(reference, said):
    with pytest.raises(TableError, match=said):
        GRADERS.load("sql").parse(reference)
