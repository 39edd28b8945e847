"""Members and screens that are none are named, with their line."""

import pytest

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ConfigError

CONFIG = """version: 1
experts: [{id: echo, engine: fake}]
encoders: [{id: toy, engine: fake-encoder}]
classifiers: [{id: words, engine: fake-classifier}]
moderations:
  guard: {members: [words, echo]}
routers: {r: {kind: constant, expert: echo}}
compositions:
  safe: {router: r, screen: {before: guard, after: words}}
"""


def test_it_is_right():
    parts = assemble(parse(CONFIG))
    assert list(parts.compositions) == ["echo", "toy", "words", "guard", "safe"]
    screen = parts.compositions["safe"].screen
    assert screen.before is parts.compositions["guard"].strategy and screen.window is None


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[words, echo]", "[word, echo]", r"experts.yaml:6: moderations.guard.members\[0\]: no classifier or expert 'word'. Did you mean 'words'"),
        ("[words, echo]", "[toy]", "no classifier or expert 'toy'"),
        ("[words, echo]", "[words, words]", "'words' stands twice"),
        ("before: guard", "before: gard", "compositions.safe.screen.before: no moderation or classifier 'gard'. Did you mean 'guard'"),
        ("after: words", "after: echo", "no moderation or classifier 'echo'"),
        ("  guard:", "  words:", "'words' is another's name too"),
        ("  guard:", "  safe:", "'safe' is another's name too"),
        ("engine: fake-classifier", "engine: fake", "belongs in 'experts'"),
        ("[words, echo]}", "[words], share: 1}", "share"),
        ("after: words", "hold: words", "hold"),
        ("engine: fake-classifier", "engine: classifier, model: nowhere", "motet moderation train"),
    ],
)  # fmt: skip
def test_faults_are_named(before, after, said):
    with pytest.raises(ConfigError, match=said):
        assemble(parse(CONFIG.replace(before, after)))
