"""Skill keywords from a text alone: no model, the same text gives the same words.

A small lexicon names skills by the words that show them; what a text is made of (scripts, digits,
choices, code) names a few more; the words it says most and first fill the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise

from motet.routers.skill.keywords import MOST, MOST_CHARS
from motet.routers.skill.lexicon import SKILLS, triggers

VERSION = 1
"""Raised whenever the same text would give other keywords; profiles of another one are stale."""
_READ = 4000
"""Characters that are read; the text form of a request keeps its beginning and its end."""
_TOKEN = re.compile(r"[^\W\d_][\w'+#]*|\d+|[$_]")
_STOP = frozenset(
    "a about above after again all also am an and any are as at be because been before being "
    "below between both but by can could did do does doing down during each few for from further "
    "had has have having he her here hers him his how i if in into is it its itself just me more "
    "most my no nor not now of off on once only or other our ours out over own same she should so "
    "some such than that the their theirs them then there these they this those through to too "
    "under until up upon us very was we were what when where which while who whom whose why will "
    "with would you your yours following answer question true false statement one two three "
    "please thanks regards quick may might must shall none above many much are's isn't don't "
    "s t d b c e f g using use used per given print only single choice".split()
)
_SCRIPTS = (
    ("chinese", re.compile(r"[\u4e00-\u9fff]")),
    ("japanese", re.compile(r"[\u3040-\u30ff]")),
    ("korean", re.compile(r"[\uac00-\ud7af]")),
    ("russian", re.compile(r"[\u0400-\u04ff]")),
    ("arabic", re.compile(r"[\u0600-\u06ff]")),
    ("hindi", re.compile(r"[\u0900-\u097f]")),
)
_CHOICES = tuple(re.compile(rf"^[ \t]*\(?{letter}[.)]\s", re.MULTILINE) for letter in "AB")
_CODE = re.compile(r'^[ \t]*(?:async )?def \w+\([^\n]*:[ \t]*$|"""|>>> ', re.MULTILINE)
_SCRIPT_SHARE = 0.2
_SURE = 1.0
"""Weight that a skill needs; a trigger that several skills share is divided among them."""
_LEXICON_MOST = 3
"""Keywords from the lexicon at most, so that a text's own words are heard too."""


@cache
def digest() -> str:
    """Return the SHA-256 of what decides which keywords come out (64 hexadecimal digits)."""
    return hashlib.sha256(f"{VERSION} {sorted(SKILLS.items())}".encode()).hexdigest()


@cache
def _skills() -> dict[str, tuple[str, ...]]:
    """Return the skills of every trigger, the singular and the plural of a word alike."""
    skills: dict[str, tuple[str, ...]] = {}
    for trigger, skill in triggers():
        skills[trigger] = (*skills.get(trigger, ()), skill)
    return skills


def keywords(text: str) -> tuple[str, ...]:
    """Return two to five skill keywords of `text`, the surest first; fewer where it says less.

    Each has 1 to 20 characters. The time is linear in the first 4,000 characters.
    """
    read = text[:_READ]
    tokens = _TOKEN.findall(read)
    words = [*_shapes(read), *_known([t.casefold() for t in tokens])[:_LEXICON_MOST]]
    return tuple(dict.fromkeys([*words, *_own(tokens)]))[:MOST]


def _shapes(text: str) -> list[str]:
    """Return what the form of a text says: its script, choices to pick from, code to finish."""
    wanted = _SCRIPT_SHARE * len(text)
    shapes = []
    if not text.isascii():
        shapes = [name for name, script in _SCRIPTS if len(script.findall(text)) > wanted][:1]
    first, second = _CHOICES
    if (choice := first.search(text)) and second.search(text, choice.end()):
        shapes.append("multiple choice")
    if _CODE.search(text):
        shapes.append("code completion")
    return shapes


def _known(words: list[str]) -> list[str]:
    """Return the lexicon's skills in a text, those with the most and rarest triggers first."""
    skills = _skills()
    weights: defaultdict[str, float] = defaultdict(float)
    stems = [_stem(word) for word in words]
    seen = dict.fromkeys((*words, *stems))
    for first, second in pairwise(words):
        seen[f"{first} {second}"] = None
    for phrase in seen:
        named = skills.get(phrase, ())
        for skill in named:
            weights[skill] += (2 if " " in phrase else 1) / len(named)
    sure = (skill for skill in weights if weights[skill] >= _SURE)
    return sorted(sure, key=lambda skill: (-weights[skill], skill))


def _own(tokens: list[str]) -> list[str]:
    """Return the content words of a text, the most frequent and then the earliest first.

    Capitalised words are left out: they begin sentences or are names, and no skill either way.
    """
    words = (token.casefold() for token in tokens if not token.istitle())
    stems = (_stem(word) for word in words if word not in _STOP)
    kept = (word for word in stems if 3 <= len(word) <= MOST_CHARS and not word.isdigit())
    return [word for word, _ in Counter(kept).most_common(MOST)]


def _stem(word: str) -> str:
    """Return a word without its plural ending; wrong for some, the same for both forms."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith("es") and word[-3] in "sxzh":
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word
