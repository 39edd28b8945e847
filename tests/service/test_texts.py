"""Encoders and ensembles from Python, and through an apply."""

import pytest

from motet.config import parse
from motet.errors import ApplyFailed, ExpertError, NoExpertAvailable
from motet.service.motet import Motet

CONFIG = """
version: 1
experts: [{id: echo, engine: fake}]
encoders:
  - {id: toy, engine: fake-encoder, width: 3}
  - {id: dead, engine: fake-encoder, fail_after: 0, optional: true}
classifiers:
  - {id: words, engine: fake-classifier, words: {fool: harassment}}
moderations:
  guard: {members: [words]}
"""


async def test_they_answer_python():
    motet = Motet(parse(CONFIG))
    with pytest.raises(NoExpertAvailable, match="is not started"):
        await motet.embed("toy", ["a"])
    async with motet:
        first, second, again = await motet.embed("toy", ["a", "b", "a"])
        assert first == again != second and len(first) == 3
        verdicts = await motet.moderate("guard", ["you fool", "good day"])
        assert [each.flagged for each in verdicts] == [True, False]
        assert verdicts[0].categories == ("harassment",)
        with pytest.raises(ExpertError):
            await motet.embed("dead", ["a"])


async def test_an_apply_tries_what_is_new_and_keeps_what_was_learned():
    async with Motet(parse(CONFIG)) as motet:
        learned = motet.parts.ensembles.hedge("guard")
        learned.learn({"words": 0.5})
        more = CONFIG.replace(
            "moderations:", "  - {id: blind, engine: fake-classifier}\nmoderations:"
        )
        changes = await motet.apply(parse(more.replace("[words]", "[words, blind]")))
        assert {(c.what, c.name) for c in changes} == {
            ("expert", "blind"), ("moderations", "moderations"),
        }  # fmt: skip
        assert set(motet.parts.ensembles.hedge("guard").weights) == {"words", "blind"}
        assert (await motet.moderate("guard", ["you fool"]))[0].scores["harassment"] == 0.45
        broken = CONFIG.replace("id: toy,", "id: new, fail_after: 0,")
        with pytest.raises(ApplyFailed, match="Expert 'new' did not answer its first prompt"):
            await motet.apply(parse(broken))
        assert (await motet.embed("toy", ["a"])) is not None


async def test_a_dry_apply_changes_no_weights():
    async with Motet(parse(CONFIG)) as motet:
        before = motet.parts.ensembles.hedge("guard")
        changed = CONFIG.replace("[words]", "[words, echo]")
        await motet.apply(parse(changed), dry=True)
        assert motet.parts.ensembles.hedge("guard") is before
        assert set(before.weights) == {"words"}
