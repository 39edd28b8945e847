"""What answers are judged against here, and how they are: a reference parsed, an answer graded."""

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


async def grade(name: str, reference: object, answer: str) -> float:
    grader = GRADERS.load(name)
    return await grader().grade("?", answer, grader.parse(reference))
