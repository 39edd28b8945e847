"""Graders: one a file; each says how good an answer is, in [0, 1]."""

from motet.grading.base import Ask, Grader
from motet.registry import Registry

GRADERS: Registry[Grader] = Registry(
    "grader",
    "motet.graders",
    {
        "choice": "motet.grading.choice:ChoiceGrader",
        "exact": "motet.grading.exact:ExactGrader",
        "json": "motet.grading.json:JsonGrader",
        "judge": "motet.grading.judge:JudgeGrader",
        "numeric": "motet.grading.numeric:NumericGrader",
        "python-cases": "motet.grading.python_cases:PythonCasesGrader",
        "regex": "motet.grading.regex:RegexGrader",
        "regex-cases": "motet.grading.regex_cases:RegexCasesGrader",
        "sql": "motet.grading.sql:SqlGrader",
    },
)

__all__ = ["GRADERS", "Ask", "Grader"]
