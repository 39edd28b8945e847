"""How many steps a rule may take, at most: counted from its text before it runs.

CEL has no loops but macros, which go through a list. What stands in one is done once for each item,
and so on within. The lists of a request are bounded (`features`), and so is this.
"""

from __future__ import annotations

import re

from motet.conditions.features import LIST_LIMIT, LISTS

MOST = 100_000
"""Steps of a rule: about a tenth of a second."""

_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_READERS = frozenset({"matches", "contains", "startsWith", "endsWith", "mentions", "size"})
_READING = 200  # steps that reading through a text of the longest kind is worth
_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:'{3}(?:[^'\\]|\\.|'(?!''))*'{3}|"{3}(?:[^"\\]|\\.|"(?!""))*"{3}"""
    r"""|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<comment>//[^\n]*)|(?P<mark>[^\s\w])""",
    re.DOTALL,
)


def steps(source: str) -> int:
    """Return a bound on the steps of a rule, a step being an operator or a name that is read."""
    tokens = [(m.lastgroup, m[0]) for m in _TOKEN.finditer(source) if m.lastgroup != "comment"]
    # A list that is no feature may be several of them together, or written out.
    marks = [mark for kind, mark in tokens if kind == "mark"]
    any_list = LIST_LIMIT * (1 + marks.count("+")) + marks.count(",")
    total, rounds = 0, 1
    around: list[int] = []  # the rounds to go back to at each closing parenthesis
    for number, (kind, text) in enumerate(tokens):
        if text == "(":
            around.append(rounds)
            method, receiver = _called(tokens, number)
            if method in _MACROS:
                rounds *= LIST_LIMIT if receiver in LISTS else any_list
        elif text == ")" and around:
            rounds = around.pop()
        total += rounds * (_READING if kind == "word" and text in _READERS else 1)
    return total


def _called(tokens: list[tuple[str | None, str]], opening: int) -> tuple[str, str]:
    """Return the method called at a parenthesis, and the last word of what it is called on."""
    before = [text for _, text in tokens[max(opening - 4, 0) : opening]]
    if len(before) < 3 or before[-2] != ".":
        return "", ""
    # `a.tools` is a field of something else than the request.
    own = len(before) < 4 or before[-4] != "."
    return before[-1], before[-3] if own else ""
