"""The expert that judges is asked about one answer, and its first verdict counts."""

from motet.grading import GRADERS


async def test_judge_reads_the_first_verdict():
    seen = []

    async def ask(question: str) -> str:
        seen.append(question)
        return "Verdict: RIGHT, not wrong" if "Paris" in question else "hm"

    judge = GRADERS.load("judge")(ask)
    assert await judge.grade("Capital of France?", "Paris", "It is Paris") == 1.0
    assert await judge.grade("2 + 2?", "5", "4") == 0.0
    assert "Capital of France?" in seen[0]
