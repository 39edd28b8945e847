"""Every pattern takes time in proportion to the text, whatever the text.

The code is walked, each pattern is found, and texts that hurt it are made of its own parts: each
part, and each beginning of the pattern, repeated, before what it does not expect. Four times the
text may take four times the time, not sixteen times.
"""

import ast
import re
import re._constants as codes
import re._parser as parser
import time
from pathlib import Path

import pytest

SOURCES = Path("src/motet")
WALLED = {  # patterns of models and of users: compiled here, and run behind the wall
    "grading/inside.py: pattern",
    "grading/regex.py: pattern",
}
ANCHORED = {"match", "fullmatch"}
SHORTEST, LONGEST = 1 << 12, 1 << 15
QUICK_S = 0.002
MOST_GROWTH = 9
"""Between 4, of time that grows with the text, and 16, of time that grows with its square."""
MOST_BRANCHES = 3


def patterns():
    """Yield (place, pattern, flags, whether it is looked for anywhere) of every call of `re`."""
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text())
        place = path.relative_to(SOURCES)
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and re.fullmatch(
                r"re\.(\w+)", ast.unparse(node.func)
            )
            if not called or called[1] == "escape":
                continue
            name = called[1]
            text = literal(node.args[0])
            if text is None:
                where = f"{place}: {ast.unparse(node.args[0])}"
                assert where in WALLED, f"{where} is a pattern that cannot be judged"
                continue
            given = node.args[1:] if name == "compile" else node.args[2:]
            given += [keyword.value for keyword in node.keywords if keyword.arg == "flags"]
            names = re.findall(r"re\.([A-Z]+)", " ".join(map(ast.unparse, given)))
            flags = sum(getattr(re, name) for name in set(names))
            uses = methods(tree, node) if name == "compile" else {name}
            yield f"{place}:{node.lineno}", text, flags, not (uses and uses <= ANCHORED)


def literal(node):
    """Return the text of a pattern, a word in the place of what it is given."""
    if isinstance(node, ast.Constant):
        return node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "word" for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return literal(node.left) * node.right.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = literal(node.left), literal(node.right)
        return None if None in both else "".join(both)
    return None


def methods(tree, call):
    """Return what is done with a pattern that has a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and node.value is call:
            name = ast.unparse(node.targets[0])
            return {
                use.attr
                for use in ast.walk(tree)
                if isinstance(use, ast.Attribute) and ast.unparse(use.value) == name
            }
    return set()


def sample(tree, filler):
    """Return a text that a part of a pattern takes, repetitions once, `filler` where it may be."""
    text = ""
    for kind, value in tree:
        if kind is codes.LITERAL:
            text += chr(value)
        elif kind is codes.ANY:
            text += filler
        elif kind is codes.NOT_LITERAL:
            text += member([(codes.NEGATE, None), (codes.LITERAL, value)], filler)
        elif kind is codes.IN:
            text += member(value, filler)
        elif kind is codes.BRANCH:
            text += sample(value[1][0], filler)
        elif kind is codes.SUBPATTERN:
            text += sample(value[-1], filler)
        elif kind is codes.ATOMIC_GROUP:
            text += sample(value, filler)
        elif kind in REPEATS:
            text += sample(value[2], filler) * max(value[0], 1)
    return text


REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
CATEGORIES = {
    codes.CATEGORY_DIGIT: (r"\d", "7"),
    codes.CATEGORY_SPACE: (r"\s", "\n"),
    codes.CATEGORY_WORD: (r"\w", "w"),
    codes.CATEGORY_NOT_DIGIT: (r"\D", "x"),
    codes.CATEGORY_NOT_SPACE: (r"\S", "x"),
    codes.CATEGORY_NOT_WORD: (r"\W", " "),
}


def member(choices, filler):
    """Return a character of a class."""
    kind, value = choices[0]
    if kind is codes.NEGATE:
        others = f"{filler}x \n<>"
        return next(c for c in others if not any(holds(choice, c) for choice in choices[1:]))
    if kind is codes.LITERAL:
        return chr(value)
    return chr(value[0]) if kind is codes.RANGE else CATEGORIES[value][1]


def holds(choice, character):
    kind, value = choice
    if kind is codes.LITERAL:
        return chr(value) == character
    if kind is codes.RANGE:
        return value[0] <= ord(character) <= value[1]
    return re.match(CATEGORIES[value][0], character) is not None


def pumps(tree, filler, before=""):
    """Yield (before, repeated): each item behind what stands before it, and each beginning."""
    items = list(tree)
    for end, (kind, value) in enumerate(items):
        behind = before + sample(items[:end], filler)
        yield behind, sample(items[end : end + 1], filler)
        yield "", behind + sample(items[end : end + 1], filler)
        if kind is codes.BRANCH:
            for branch in value[1][:MOST_BRANCHES]:
                yield from pumps(branch, filler, behind)
        elif kind is codes.SUBPATTERN:
            yield from pumps(value[-1], filler, behind)
        elif kind is codes.ATOMIC_GROUP:
            yield from pumps(value, filler, behind)
        elif kind in REPEATS:
            yield from pumps(value[2], filler, behind)


def hostile(pattern, flags):
    """Return (before, repeated, after) of the texts that a pattern is tried with."""
    tree = parser.parse(pattern, flags)
    tried = {pump for filler in "x \n" for pump in pumps(tree, filler)}
    tried |= {(before, again) for before, _ in tried for again in " \na1"}
    return [
        (before, again, end) for before, again in tried if again for end in ("", "\0", again[:-1])
    ]


def seconds(run, text, tries=1):
    """Return the CPU time of the quickest of some tries, since other work comes between."""
    took = []
    for _ in range(tries):
        began = time.thread_time()
        run(text)
        took.append(time.thread_time() - began)
    return min(took)


def growth(run, start, pump, end):
    """Return how much longer four times a text takes; 0 where it takes no time worth the while."""
    size = SHORTEST

    def text(size):
        return start + pump * (size // len(pump)) + end

    while seconds(run, text(size)) < QUICK_S:
        size *= 2
        if size > LONGEST:
            return 0
    for tries in (1, 3, 9):
        times = seconds(run, text(4 * size), tries) / seconds(run, text(size), tries)
        if times < MOST_GROWTH:
            break
    return times


FOUND = list(patterns())


def test_the_patterns_are_seen():
    assert len(FOUND) > 40


@pytest.mark.parametrize(
    ("place", "pattern", "flags", "anywhere"), FOUND, ids=[p for p, *_ in FOUND]
)
def test_time_grows_with_the_text_and_not_with_its_square(place, pattern, flags, anywhere):
    compiled = re.compile(pattern, flags)

    def run(text):
        if anywhere:
            compiled.sub("", text)
        else:
            compiled.match(text)
            compiled.fullmatch(text)

    for start, pump, end in hostile(pattern, flags):
        assert growth(run, start, pump, end) < MOST_GROWTH, (
            f"{start!r}, then {pump!r} again and again, {end!r}"
        )
