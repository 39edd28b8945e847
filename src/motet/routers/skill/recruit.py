"""Who is recruited for a question, given its keywords: Symbolic-MoE's L, G and p, or chances.

    published   L(m) = sum over keywords of P[m][kw],  p(m) ~ L(m) G(m) over L > 0

    beta        logit c(m) = logit g(m) + sum over keywords of (logit p(m, kw) - logit g(m)),
                L(m) = 2 c(m) - 1,  p(m) ~ L(m) over L > 0

`p(m, kw)` and `g(m)` are the smoothed rates of a profile. `c` adds up what each keyword says beyond
what the expert does anyway, as naive Bayes does, so that a keyword that says nothing changes
nothing; the expert's overall rate is in it already and needs no G.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from motet.routers.skill.profile import PRIOR, Counts, Profile

Recruit = Literal["sample", "top"]


@dataclass(frozen=True, slots=True)
class SkillStanding:
    """One expert before one question.

    Attributes
    ----------
    score
        L; over 0 it may be recruited.
    weight
        What `p` is proportional to; 0 where `score` is not over 0.
    log_odds, variance
        Of the chance that it is right, and how unsure that is.
    """

    expert: str
    score: float
    weight: float
    log_odds: float
    variance: float

    @property
    def chance(self) -> float:
        """Smoothed chance in [0, 1] that its answer is right."""
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, self.log_odds))))


def standings(
    profile: Profile,
    keywords: Sequence[str],
    experts: Iterable[str],
    counts: Counts = "beta",
    overall: Mapping[str, float] | None = None,
) -> list[SkillStanding]:
    """Return `experts` before a question with `keywords`, the best first.

    Parameters
    ----------
    keywords
        Of the profile.
    experts
        Of the profile.
    overall
        `profile.global_scores("published")`, needed for published counts alone.
    """
    ranked = []
    for expert in experts:
        log_odds, variance = _evidence(profile, keywords, expert)
        if counts == "published":
            score = math.fsum(profile.score(word, expert, counts) for word in keywords)
            weight = max(0.0, score) * (overall or profile.global_scores(counts))[expert]
        else:
            score = math.tanh(log_odds / 2)  # 2 / (1 + exp(-x)) - 1
            weight = max(0.0, score)
        ranked.append(SkillStanding(expert, score, weight, log_odds, variance))
    return sorted(ranked, key=lambda s: (-s.weight, -s.score, -s.log_odds, s.expert))


def _evidence(profile: Profile, keywords: Sequence[str], expert: str) -> tuple[float, float]:
    """Return the log-odds that `expert` is right, and their variance to first order."""
    rate = profile.rate(expert)
    base = _logit(rate)
    log_odds, variance = base, 0.0
    for word in keywords:
        right, wrong = profile.tally(word, expert)
        right, wrong = right + PRIOR * rate, wrong + PRIOR * (1 - rate)
        log_odds += math.log(right / wrong) - base
        variance += 1 / right + 1 / wrong
    return log_odds, variance


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def confidence(ranked: Sequence[SkillStanding]) -> float:
    """Return the chance that the first is better than the second; 1 when it is alone."""
    if len(ranked) < 2:
        return 1.0
    first, second = ranked[:2]
    spread = math.sqrt(first.variance + second.variance)
    if spread == 0:
        return 0.5
    return 0.5 * (1 + math.erf((first.log_odds - second.log_odds) / spread / math.sqrt(2)))


def trimmed(profile: Profile, share: float) -> frozenset[str]:
    """Return the experts with less than `share` of the picks over the profile's table."""
    return frozenset(e for e, picked in profile.pick_shares().items() if picked < share)


def recruit(
    ranked: Sequence[SkillStanding],
    experts: int,
    how: Recruit = "top",
    trim: Collection[str] = (),
    random: Random | None = None,
) -> dict[str, int]:
    """Return who is recruited, and how often each was drawn; the most drawn first.

    Trimmed experts give way where somebody else may be recruited. Where no score is over 0, the
    best expert is recruited alone.
    """
    able = [standing for standing in ranked if standing.weight > 0]
    kept = [standing for standing in able if standing.expert not in trim] or able
    if not kept:
        return {ranked[0].expert: 1}
    if how == "top":
        return {standing.expert: 1 for standing in kept[:experts]}
    weights = [standing.weight for standing in kept]
    drawn = (random or Random(0)).choices([s.expert for s in kept], weights, k=experts)
    times = Counter(drawn)
    places = [standing.expert for standing in kept]
    return {e: times[e] for e in sorted(times, key=lambda e: (-times[e], places.index(e)))}
