"""`kind: skill`: recruits the experts that a profile says are good at what a question needs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config import Options, Setting
from motet.encoders.encoder import Backend
from motet.encoders.text import TextConfig, text_form
from motet.errors import ArtifactError, ConfigError, MotetError
from motet.routers.base import Router
from motet.routers.loading import Loading, fall_back
from motet.routers.skill import lexical
from motet.routers.skill.annotation import Annotation, ExpertAnnotator, by_lexicon
from motet.routers.skill.matching import Match, Matcher
from motet.routers.skill.profile import Counts, Profile
from motet.routers.skill.recruit import (
    Recruit,
    SkillStanding,
    confidence,
    recruit,
    standings,
    trimmed,
)
from motet.types import Asks, Capability, Choice, Decision, Fleet, Request
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.encoders.live import Encoders, Live

log = logging.getLogger(__name__)

LEXICAL = "lexical"


class SkillConfig(Options):
    """Options of `kind: skill`."""

    profile: str
    """File that `motet profile build` wrote."""
    table: str | None = None
    """The table it was built from, by `motet table build`: `motet apply --learn` chooses from it
    what an expert is asked that the profile does not know."""
    annotator: str | None = None
    """Who names the skills of a question: `lexical`, or an expert's id; as in the profile when
    absent."""
    floor: NonNegativeFloat = Field(default=0.6, le=1.0)
    """Least cosine at which a keyword is read as one of the profile's."""
    recruit: Recruit = "top"
    """`top` takes the best; `sample` draws with replacement, as published, the same for the same
    text."""
    experts: PositiveInt = 3
    """How many are recruited, or drawn."""
    trim: NonNegativeFloat = Field(default=0.05, le=1.0)
    """Experts with less than this share of the picks over the profile's table are not recruited."""
    counts: Counts = "beta"
    """`beta` adds up smoothed chances; `published` scores right less wrong answers."""
    seed: int = 0
    """For the draws of `sample`."""
    min_confidence: NonNegativeFloat = Field(default=0.0, le=1.0)
    """Below this chance that the first is better than the second, the fallback answers instead."""
    fallback: str | None = None
    """The expert that answers when this router does not know; without one, the next router of a
    chain is asked."""
    timeout_s: PositiveFloat = 10.0
    """Seconds that an annotating expert has; then the text's own words are taken."""
    encoder: str | None = None
    """Where the encoder is, if not under the name in the profile."""
    backend: Backend = "auto"
    """What computes the encoder; `auto` is OpenVINO where it is installed and there is no GPU."""
    text: TextConfig = TextConfig()
    """How a request becomes the text that is annotated."""


class SkillRouter(Router):
    """Recruits experts by the skills that a request needs, as a profile has measured them."""

    Config: ClassVar[type[Options]] = SkillConfig
    options: SkillConfig

    def __init__(self, name: str, options: SkillConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        if options.fallback is not None:
            setting.check(options.fallback, "fallback")
        self._setting = setting
        self.path = Path(setting.folder, options.profile).expanduser()
        try:
            self.profile = Profile.load(self.path)
        except ArtifactError as error:
            raise ConfigError(str(error), at=("profile",)) from error
        self._check_experts()
        self._annotator = self._make_annotator()
        self._unknown = tuple(e for e in setting.experts if e not in self.profile.experts)
        self._trimmed = trimmed(self.profile, options.trim)
        self._overall = self.profile.global_scores("published")
        self._loading = Loading(self._start_matcher)

    def _check_experts(self) -> None:
        known, profiled = self._setting.experts, self.profile.experts
        if not set(profiled) & set(known):
            raise ConfigError(
                f"the profile knows none of this config's experts ({', '.join(known)}), only "
                f"{', '.join(profiled)}. {did_you_mean(profiled[0], known)}",
                at=("profile",),
            )
        absent = [expert for expert in profiled if expert not in known]
        if absent:
            log.info("router %s: %s are not in the config", self.name, ", ".join(absent))

    def _make_annotator(self) -> ExpertAnnotator | None:
        """Return what asks an expert for skills; None when the text's own words are taken."""
        record, wanted = self.profile.annotator, self.options.annotator
        where = "annotator" if wanted is not None else "profile"
        wanted = wanted or record.expert or LEXICAL
        if wanted == LEXICAL:
            if record.kind == LEXICAL and record.digest != lexical.digest():
                raise ConfigError(
                    "the profile is stale: another version of the lexical annotator wrote its "
                    "keywords. Build it again: motet profile build TABLE --out FILE.",
                    at=("profile",),
                )
            return None
        if wanted not in self._setting.experts:
            known = (LEXICAL, *self._setting.experts)
            raise ConfigError(
                f"no expert {wanted!r} to annotate. {did_you_mean(wanted, known)}", at=(where,)
            )
        made = ExpertAnnotator(wanted)
        if record.expert == wanted and record.digest != made.digest:
            raise ConfigError(
                f"the profile is stale: {wanted!r} is asked for skills in other words now. Build "
                "it again: motet profile build TABLE --out FILE.",
                at=("profile",),
            )
        return made

    @property
    def asks(self) -> tuple[str, ...]:
        """The annotator, where it is an expert."""
        return () if self._annotator is None else (self._annotator.expert,)

    async def start(self) -> None:
        """Load the encoder and embed the profile's keywords, where it was built with one.

        Raises
        ------
        ArtifactError
            The encoder is not the one that the profile was built with.
        SourceError
            The encoder cannot be had.
        """
        await self._loading.get()

    async def _start_matcher(self) -> Matcher:
        live = await asyncio.to_thread(self._load)
        embed = None if live is None else live.batcher.embed
        by_words = self._annotator is None
        matcher = Matcher(self.profile, embed, self.options.floor, sparing=by_words)
        await matcher.start()
        return matcher

    def _load(self) -> Live | None:
        record = self.profile.encoder
        encoders: Encoders | None = self._setting.encoders
        if record is None or encoders is None:
            return None
        live = encoders.live(self.options.encoder or record.name, self.options.backend)
        if live.encoder.digest != record.digest:
            raise ArtifactError(
                f"Profile {self.options.profile} was built with encoder {record.name!r} "
                f"({record.digest[:8]}); {live.encoder.name!r} ({live.encoder.digest[:8]}) is "
                "another encoder.",
                hint="Name that one, or build the profile again.",
            )
        return live

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the recruited experts, then others who may do; None when no skill is known."""
        matcher = await self._loading.get()
        text = text_form(request, self.options.text)
        annotation = await self._annotate(text, fleet, calls)
        matches = await matcher.match(annotation.keywords)
        present = [expert for expert in self.profile.experts if expert in fleet]
        if not matches or not present:
            what = ", ".join(annotation.keywords) or "no keyword at all"
            why = f"the profile knows none of: {what}" if present else "it knows no expert here"
            return self._fall_back(fleet, "; ".join(filter(None, (why, annotation.note))), ())
        words = [match.keyword for match in matches]
        ranked = standings(self.profile, words, present, self.options.counts, self._overall)
        return self._decide(ranked, matches, annotation, text, fleet)

    async def _annotate(self, text: str, fleet: Fleet, calls: Asks) -> Annotation:
        annotator = self._annotator
        if annotator is None:
            return by_lexicon(text)
        member = fleet.get(annotator.expert)
        able = member is None or Capability.JSON_SCHEMA in member.card.capabilities
        try:
            async with asyncio.timeout(self.options.timeout_s):
                return await annotator.annotate(text, calls, able=able)
        except* (TimeoutError, MotetError) as failures:
            why = type(failures.exceptions[0]).__name__
        return by_lexicon(
            text, f"{annotator.expert!r} named no skill ({why}), so these are words of the text"
        )

    def _decide(
        self,
        ranked: list[SkillStanding],
        matches: list[Match],
        annotation: Annotation,
        text: str,
        fleet: Fleet,
    ) -> Decision | None:
        options = self.options
        digest = hashlib.sha256(f"{options.seed} {text}".encode("utf-8", "surrogatepass")).digest()
        drawn = recruit(
            ranked,
            options.experts,
            options.recruit,
            self._trimmed,
            Random(digest),
        )
        by_name = {standing.expert: standing for standing in ranked}
        choices = [
            Choice(expert, float(times), round(by_name[expert].chance, 4))
            for expert, times in drawn.items()
        ]
        nobody = not any(standing.weight > 0 for standing in ranked)
        choices += [
            Choice(standing.expert, 0.0, round(standing.chance, 4))
            for standing in ranked
            if standing.expert not in drawn and (standing.weight > 0 or nobody)
        ]
        sure = confidence(_led_by(choices[0].expert, ranked))
        note = "nobody is more often right than wrong here" if nobody else ""
        reason = self._reason(drawn, matches, (note, annotation.note))
        if sure < options.min_confidence:
            why = f"confidence {sure:.2f} is under {options.min_confidence:g}; {reason}"
            return self._fall_back(fleet, why, tuple(choices))
        return Decision(
            choices=tuple(choices), router=self.name, reason=reason, confidence=round(sure, 4)
        )

    def _reason(
        self, drawn: Mapping[str, int], matches: Sequence[Match], notes: Iterable[str]
    ) -> str:
        first = next(iter(drawn))
        parts = [f"{first!r} has {', '.join(self._record(match, first) for match in matches)}"]
        if len(drawn) > 1:
            others = [f"{e!r}" + (f" x{n}" if n > 1 else "") for e, n in drawn.items()]
            parts.append(f"recruited {', '.join(others)}")
        parts += filter(None, notes)
        parts += [f"{expert!r} is not known to this profile yet" for expert in self._unknown]
        return "; ".join(parts)

    def _record(self, match: Match, expert: str) -> str:
        """Return what an expert did where a skill was needed, such as `algebra: +12 of 15`."""
        right, wrong = self.profile.tally(match.keyword, expert)
        return f"{match}: {right - wrong:+.3g} of {right + wrong:.3g}"

    def _fall_back(self, fleet: Fleet, why: str, others: tuple[Choice, ...]) -> Decision | None:
        return fall_back(self.name, self.options.fallback, fleet, why, others)


def _led_by(first: str, ranked: list[SkillStanding]) -> list[SkillStanding]:
    """Return the standings with `first` before the best of the others."""
    return sorted(ranked, key=lambda s: (s.expert != first, -s.log_odds))
