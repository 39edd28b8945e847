"""What learns of new experts: the artifacts and skill profiles that a config's routers read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.errors import ArtifactError
from motet.lab.coldstart.versions import next_version
from motet.lab.routers.data import Data, data_for, encoder_for
from motet.progress import Progress
from motet.routers import Router
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries
from motet.routers.learned.coldstart import likeness
from motet.routers.learned.router import LearnedRouter
from motet.routers.skill.annotations import annotate_by_lexicon
from motet.routers.skill.build import joined
from motet.routers.skill.profile import Profile
from motet.routers.skill.router import SkillRouter
from motet.tables.routing import Table, read


@dataclass(kw_only=True)
class Pupil(ABC):
    """One artifact or profile, and the routers that read it.

    Attributes
    ----------
    path
        Where it stands.
    written
        How the config calls it.
    table
        What new experts are asked from; None where no table is named.
    routers
        Names of those that read it.
    """

    path: Path
    written: str
    table: Path | None
    routers: list[str] = field(default_factory=list)
    option: ClassVar[str]
    """The option of these routers that names it."""

    @abstractmethod
    def knows(self, expert: str) -> bool:
        """Return whether it has seen that expert's answers."""

    @abstractmethod
    def data(self, report: Progress) -> Data:
        """Return its table, as it reads it."""

    @abstractmethod
    def check(self, expert: str, data: Data) -> None:
        """Raise `ArtifactError` where it cannot learn an expert, before anybody is asked."""

    @abstractmethod
    def take(self, answers: Table, whole: Table, data: Data) -> float | None:
        """Learn an expert; return the share of the table that it would lead, None if not known.

        Parameters
        ----------
        answers
            The rows that were asked, with the expert's column alone.
        whole
            Its column of the whole table, completed.
        """

    @abstractmethod
    def liken(self, expert: str, described: Mapping[str, str], report: Progress) -> str:
        """Judge an expert by those that are described alike; return by whom, in words."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write what it knows now."""

    def save_next(self) -> str:
        """Write it beside the version that is there; return how the config calls the new one."""
        path = next_version(self.path)
        self.save(path)
        return str(Path(self.written).with_name(path.name))


@dataclass(kw_only=True)
class ArtifactPupil(Pupil):
    """The artifact of a learned router."""

    artifact: Artifact
    option = "artifact"

    def knows(self, expert: str) -> bool:
        """Return whether it has a column, or a likeness and no table to learn more from."""
        known = {e.name: e for e in self.artifact.manifest.experts}.get(expert)
        return known is not None and (known.column is not None or self.table is None)

    def data(self, report: Progress) -> Data:
        """Return its table, embedded by its own encoder."""
        assert self.table is not None
        return data_for(self.artifact, self.table, report)

    def check(self, expert: str, data: Data) -> None:
        """Try it with the answers of another."""
        other = replace(data.table.of(data.table.experts[:1]), experts=(expert,))
        self._without(expert).add(expert, other, data.embeddings)

    def take(self, answers: Table, whole: Table, data: Data) -> float | None:
        """Add the completed column, and see where it is the best."""
        (expert,) = whole.experts
        self.artifact = self._without(expert).add(expert, whole, data.embeddings)
        table = data.table
        queries = Queries(embeddings=data.embeddings, texts=table.queries, tasks=table.tasks)
        chosen = self.artifact.decide(self.artifact.estimate(queries)).chosen
        return float((chosen == self.artifact.experts.index(expert)).mean())

    def liken(self, expert: str, described: Mapping[str, str], report: Progress) -> str:
        """Mix the estimates of experts that are described alike."""
        seen = [e.name for e in self.artifact.manifest.experts if e.column is not None]
        others = {name: described[name] for name in seen if described.get(name)}
        if not described.get(expert) or not others:
            raise ArtifactError(
                f"{self.written}: {expert!r} stays unknown: there is no table to ask it from, and "
                "no description to compare it by.",
                hint="Name the table with 'table:'.",
            )
        reads = encoder_for(self.artifact, report) or encoder(DEFAULT_ENCODER, report=report)
        like = likeness(described[expert], others, reads)
        self.artifact = self._without(expert).add(expert, like=like)
        return ", ".join(f"{weight:.0%} {name}" for name, weight in like.items())

    def save(self, path: Path) -> None:
        """Write the artifact."""
        self.artifact.save(path)

    def _without(self, expert: str) -> Artifact:
        """Return it less what stood for an expert until there are answers."""
        return self.artifact.remove(expert) if expert in self.artifact.experts else self.artifact


@dataclass(kw_only=True)
class ProfilePupil(Pupil):
    """The profile of a skill router."""

    profile: Profile
    option = "profile"

    def knows(self, expert: str) -> bool:
        """Return whether its answers are counted."""
        return expert in self.profile.experts

    def data(self, report: Progress) -> Data:
        """Return its table."""
        assert self.table is not None
        return Data(table=read(self.table))

    def check(self, expert: str, data: Data) -> None:
        """Skills that an expert named are no words of the text, and are not here."""
        if self.profile.annotator.kind != "lexical":
            raise ArtifactError(
                f"{self.written}: {self.profile.annotator.expert!r} named its skills, and would "
                "have to read the table again.",
                hint="Build the table with the new expert, and the profile again.",
            )

    def take(self, answers: Table, whole: Table, data: Data) -> float | None:
        """Count the answers, and no more than was seen."""
        _, annotations = annotate_by_lexicon(data.table.queries or ())
        keywords = [annotation.keywords for annotation in annotations]
        self.profile = joined(self.profile, answers, data.table, keywords)
        return None

    def liken(self, expert: str, described: Mapping[str, str], report: Progress) -> str:
        """Refuse: a profile counts answers and nothing else."""
        raise ArtifactError(
            f"{self.written}: {expert!r} stays unknown: there is no table to ask it from.",
            hint="Name the table with 'table:'.",
        )

    def save(self, path: Path) -> None:
        """Write the profile."""
        self.profile.save(path)


def pupils(routers: Iterable[Router], folder: Path) -> list[Pupil]:
    """Return what the routers of a config have learned from, each once.

    Parameters
    ----------
    folder
        Where relative paths of the config start.

    Raises
    ------
    ArtifactError
        One of them is damaged.
    """
    by_path: dict[Path, Pupil] = {}
    for router in routers:
        if isinstance(router, LearnedRouter):
            place, written = router.folder, router.options.artifact
        elif isinstance(router, SkillRouter):
            place, written = router.path, router.options.profile
        else:
            continue
        if place not in by_path:
            named = router.options.table
            table = None if named is None else Path(folder, named).expanduser()
            if isinstance(router, LearnedRouter):
                by_path[place] = ArtifactPupil(
                    path=place, written=written, table=table, artifact=Artifact.load(place)
                )
            else:
                by_path[place] = ProfilePupil(
                    path=place, written=written, table=table, profile=router.profile
                )
        by_path[place].routers.append(router.name)
    return list(by_path.values())
