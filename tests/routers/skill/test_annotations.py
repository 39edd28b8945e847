"""Annotations by an expert while a profile is built: agreed, kept, resumed."""

import pytest
from tests.routers.skill.experts import Expert

from motet.config import ExpertEntry
from motet.errors import ArtifactError, ExpertUnavailable
from motet.experts.fake import FakeConfig, FakeExpert
from motet.progress import silent
from motet.routers.skill.annotation import SAMPLES, Annotation, ExpertAnnotator
from motet.routers.skill.annotations import (
    AnnotationLog,
    annotate_all,
    annotate_by_expert,
    annotate_by_lexicon,
)
from motet.weights import Setting

TEXTS = ["one", "two", "one", "three"]


async def annotate(path, expert, texts):
    annotator = ExpertAnnotator("coder")
    with AnnotationLog(path, annotator.digest) as log:
        return await annotate_all(texts, annotator, expert, log, silent, concurrency=1)


async def test_an_interrupted_build_asks_only_what_is_missing(tmp_path):
    path = tmp_path / "deep" / "p.annotations.jsonl"
    with pytest.raises(ExpertUnavailable):
        await annotate(path, Expert(left=SAMPLES), TEXTS)
    with path.open("a") as file:
        file.write('{"cut short')
    expert = Expert()
    found = await annotate(path, expert, TEXTS)
    assert len(expert.asked) == 2 * SAMPLES
    assert found == [Annotation(("law", "tort law"))] * 4
    expert = Expert()
    assert await annotate(path, expert, TEXTS) == found
    assert not expert.asked


async def test_a_foreign_line_is_told(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text("{}\n")
    with pytest.raises(ArtifactError, match="p.jsonl:1: this line is no annotation"):
        await annotate(path, Expert(), TEXTS)


async def test_what_another_annotator_said_is_not_used(tmp_path):
    path = tmp_path / "p.jsonl"
    with AnnotationLog(path, "other") as log:
        log.add("one", Annotation(("poems",)))
    assert (await annotate(path, Expert(), ["one"]))[0].keywords == ("law", "tort law")


async def test_texts_are_annotated_in_one_call(tmp_path):
    def fake(said):
        entry = ExpertEntry(id="namer", engine="fake")
        return FakeExpert(entry, FakeConfig(tokens=(said,)), Setting(tmp_path, tmp_path))

    kept = tmp_path / "p.annotations.jsonl"
    record, said = await annotate_by_expert(TEXTS, fake('{"skills": ["torts", "law"]}'), kept)
    assert record.kind == "expert" and record.expert == "namer"
    assert [each.keywords for each in said] == [("torts", "law")] * 4
    again, same = await annotate_by_expert(TEXTS, fake("nothing"), kept)
    assert (again, same) == (record, said)  # what it said before is not asked again
    lexical, words = annotate_by_lexicon(["prove the lemma", ""])
    assert lexical.kind == "lexical" and words[0].keywords and not words[1].keywords
