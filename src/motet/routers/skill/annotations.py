"""Annotations as they come, kept in a file that only grows, so that a build can be interrupted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from motet.errors import ArtifactError, MotetError, first_of
from motet.experts import Expert
from motet.experts.asking import Lone
from motet.progress import Progress, silent
from motet.routers.skill import lexical
from motet.routers.skill.annotation import Annotation, ExpertAnnotator, by_lexicon
from motet.routers.skill.profile import AnnotatorRecord
from motet.types import Asks


class AnnotationLog:
    """The annotations of a build, one JSON line each.

    A line that a crash cut short is dropped when the log is opened, and its question asked again.

    Parameters
    ----------
    digest
        Of the annotator; what another one said is not used.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self._digest = digest
        self._known: dict[str, Annotation] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            for number, line in enumerate(whole.splitlines(), start=1):
                self._read(line, f"{path}:{number}")
            self._file = path.open("ab")
            self._file.truncate(len(whole))
        except OSError as error:
            raise ArtifactError(f"{path} cannot be written: {error}.") from error

    def _read(self, line: bytes, where: str) -> None:
        try:
            values = json.loads(line)
            keywords = tuple(str(word) for word in values["keywords"])
            self._known[values["question"]] = Annotation(keywords, str(values["note"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{where}: this line is no annotation: {error!r}.",
                hint="Move the file away to start anew.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, text: str) -> Annotation | None:
        """Return the annotation of a question that is there already."""
        return self._known.get(self._key(text))

    def add(self, text: str, annotation: Annotation) -> None:
        """Keep an annotation; it is in the file when this returns."""
        key = self._key(text)
        values = {"question": key, "keywords": annotation.keywords, "note": annotation.note}
        self._file.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self._known[key] = annotation

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self._digest} {text}".encode("utf-8", "surrogatepass")).hexdigest()


def annotate_by_lexicon(texts: Sequence[str]) -> tuple[AnnotatorRecord, list[Annotation]]:
    """Return what the texts alone say, and what wrote it."""
    record = AnnotatorRecord(kind="lexical", digest=lexical.digest())
    return record, [by_lexicon(text) for text in texts]


async def annotate_by_expert(
    texts: Sequence[str],
    expert: Expert,
    kept: Path,
    *,
    able: bool = True,
    concurrency: int = 4,
    progress: Progress = silent,
) -> tuple[AnnotatorRecord, list[Annotation]]:
    """Return the skills that an expert names in each text, and what wrote them.

    Parameters
    ----------
    expert
        Started here, and closed at the end.
    kept
        JSON lines of what it said: after an interruption only what is missing is asked.
    able
        Whether it can be bound to a JSON schema.
    concurrency
        Texts that it reads at once.

    Raises
    ------
    MotetError
        The expert cannot be asked.
    """
    name = expert.entry.id
    annotator = ExpertAnnotator(name, able=able)
    record = AnnotatorRecord(kind="expert", expert=name, digest=annotator.digest)
    await expert.start()
    try:
        with AnnotationLog(kept, annotator.digest) as log:
            calls = Lone(expert)
            annotations = await annotate_all(texts, annotator, calls, log, progress, concurrency)
            return record, annotations
    finally:
        await expert.close()


async def annotate_all(
    texts: Sequence[str],
    annotator: ExpertAnnotator,
    calls: Asks,
    log: AnnotationLog,
    report: Progress,
    concurrency: int = 4,
) -> list[Annotation]:
    """Return an annotation of every text; those that the log holds are not asked for again.

    Raises
    ------
    MotetError
        The expert cannot be asked; what it said until then is in the log.
    """
    waiting = [text for text in dict.fromkeys(texts) if log.get(text) is None]
    total, left = len(set(texts)), iter(waiting)
    done = total - len(waiting)
    report("annotating", done, total)

    async def work() -> None:
        nonlocal done
        for text in left:
            log.add(text, await annotator.annotate(text, calls))
            done += 1
            report("annotating", done, total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except* MotetError as failures:
        failure = first_of(failures)
    else:
        return [known for text in texts if (known := log.get(text)) is not None]
    raise failure
