"""How a turn of a chat is worded: whether it says by itself what is asked.

"and for five boxes?", "make it shorter" and "same in feet" say so only together with what was
asked before them; "thanks!" asks nothing. English only: it is what routers with a table read, and a
turn in another language is taken as one that speaks for itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache

_WORDS = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_LEADING = frozenset("and also now ok okay so then please but well great thanks or no yes".split())
"""Words that a turn may begin with whatever it is."""
_POLITE = frozenset("please well great thanks can could would will you".split())
"""Those that say nothing of what comes before."""
_CAN = frozenset("can could would will".split())
_PLEASANT = frozenset(
    "thanks thank you thx ty hello hi hey hiya yo good morning afternoon evening night day bye "
    "goodbye see later tomorrow cheers great perfect awesome nice cool wow lovely excellent "
    "wonderful super amazing brilliant haha lol helpful helps helped very much so a lot that is "
    "was it this works worked makes sense ok okay alright got there everyone welcome appreciate "
    "really for your the help again all how are things going friend bot assistant many man well "
    "done job work answer i understood clear now too have weekend nicely just what needed".split()
)
_PLEASING = frozenset(
    "thanks thank thx ty hello hi hey hiya yo morning afternoon evening night bye goodbye "
    "cheers great perfect awesome nice cool wow lovely excellent wonderful super amazing "
    "brilliant haha lol helpful helped appreciate understood welcome see clear sense works "
    "worked weekend merci danke gracias grazie obrigado hola bonjour hallo ciao salut".split()
)
"""One of these is in every turn that is nothing but kind."""
_REMARK = re.compile(
    r"^(?:i(?: am|'m| was| feel| love| like| think)|im|my|it's|that's|this is|what a)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:what about|how about|what if|what else|any other|who else|where else|the other|"
    r"the same|same|similarly|likewise|instead|again|only|just|without|except|"
    r"excluding|including|plus|minus|suppose|assume|if|unless|because|next|"
    r"another|one more|once more|two more|more|less|fewer|longer|shorter|bigger|"
    r"smaller|else|ditto|as well|too|back to|going back|return to|returning to|"
    r"regarding the|about the|for the|with the|in the|on the|at the|rather|not|"
    r"why not|how so|how come|which one|are you sure|is that|are those|try again|"
    r"go on|continue|keep|carry on|repeat|redo|undo|say that|do the|do that|"
    r"your last|your previous|the previous|the last|the first|the second|the third|"
    r"the next|that one|this one|last one|next one|wait|actually|sorry|i meant|"
    r"i mean|correction|oops|hmm)\b",
    re.IGNORECASE,
)
"""How a turn begins that goes on with something."""
_ANNOUNCED = re.compile(
    r"^\W*(?:and|also|now|next|another|or|then|again|same|this one|one more)\s*:", re.IGNORECASE
)
_EDITS = frozenset(
    "add append remove drop exclude include sort limit filter rename swap replace allow forbid "
    "anchor keep skip shorten simplify rephrase reword restrict adjust tweak reverse double halve "
    "extend shrink omit elaborate expand escape narrow invert merge recheck verify reorder "
    "use".split()
)
"""Verbs that change what is there already, where they begin a short turn."""
_TASKS = frozenset(
    "write tell recommend list explain give name describe translate suggest compose summarize "
    "summarise create define find show convert count extract classify compare calculate compute "
    "generate make draft solve order group label express change turn imagine invent help "
    "teach sing play draw plan design code".split()
)
"""Verbs that may begin a task of its own."""
_OWN_WORK = re.compile(
    r"\b(?:the|your) (?:results?|answers?|output|solution|steps?|calculation|query|reply|response|"
    r"choice|reasoning|pattern|regex|sum)\b",
    re.IGNORECASE,
)
"""What an assistant has made."""
_POINTING = frozenset(
    "it its those these them they this he she his her him their ones one both same again "
    "instead previous above earlier before former latter else otherwise".split()
)
_POINTED = frozenset(
    "do with of for to like than about from in say make explain translate write turn convert "
    "change after before is was if and not isn't wasn't aren't doesn't didn't".split()
)
"""Words before a "that" which points at something, instead of beginning a clause."""
_DOUBT = re.compile(
    r"\b(?:(?:are )?you (?:really |quite |absolutely )?(?:sure|certain|serious|positive)|really|"
    r"is (?:that|this|it) (?:right|correct|true)|(?:as well|too|also|instead|then|though|either))$",
    re.IGNORECASE,
)
"""Ends of turns that doubt or extend what was said."""
_ENDS = " \t\r\n?!.,;:)\"'"
_PLACING = frozenset(
    "in for as on at to from by with of into within per over under between".split()
)
_ASKING = frozenset("what which who whom whose how why when where".split())
_VERBS = frozenset(
    "is are was were do does did can could will would should has have had am be may might".split()
)
_RETURNING = re.compile(
    r"\b(?:back to|go back|going back|return(?:ing)? to|earlier|from before|once more|"
    r"again|at the (?:start|beginning)|the first (?:one|question|task)|previously|you (?:wrote|"
    r"gave|said)|another one of)\b",
    re.IGNORECASE,
)
_COMMON = (
    _LEADING
    | _POINTING
    | _PLACING
    | _ASKING
    | _VERBS
    | frozenset(
        "a an the i me my we our you your not if any some many much more most less least only just "
        "please tell give show write make want need get there than too very s t re ll ve question "
        "one two three four five six seven eight nine ten back same answer using".split()
    )
)
_FEW = 3
_SHORT = 4
_MEDIUM = 8
_LONG = 12


class Wording(Enum):
    """What a turn says by itself."""

    WHOLE = auto()
    """Words that may be a whole question."""
    LIKELY = auto()
    """A few words that may be either: something to do, or something of what is done."""
    PART = auto()
    """Words that go on with what was said."""
    REMARK = auto()
    """A short word of the user's about something: it may ask nothing."""
    PLEASANTRY = auto()
    """A greeting or thanks: it asks nothing."""


@lru_cache(maxsize=4096)
def wording(text: str) -> Wording:
    """Return what a turn says by itself, of its words alone."""
    words = [word.lower() for word in _WORDS.findall(text[:2000])]
    if not words:
        return Wording.PART
    known = set(words)
    if len(words) <= _MEDIUM and (_is_kind(known) or words[:3] == ["how", "are", "you"]):
        return Wording.PLEASANTRY
    if _ANNOUNCED.match(text) is not None:  # "next: ...", "and: ..."
        return Wording.PART
    rest, text = _less_leading(words, text)
    if not rest:  # "ok", "yes please"
        return Wording.PART
    led = set(words[: len(words) - len(rest)]) - _POLITE
    if _is_part(rest, text, was_led=bool(led)):
        return Wording.PART
    is_short_statement = len(words) <= _MEDIUM and "?" not in text
    if is_short_statement and _REMARK.match(text.lstrip()) is not None:
        return Wording.REMARK
    return Wording.WHOLE if len(rest) > _MEDIUM or _asks(rest) else Wording.LIKELY


def _is_kind(words: set[str]) -> bool:
    kind = _PLEASANT | _PLEASING
    return words <= kind and not words.isdisjoint(_PLEASING)


def _is_part(words: list[str], text: str, *, was_led: bool) -> bool:
    """Return whether what follows the leading words goes on with something."""
    first, count = words[0], len(words)
    # "Summarize this: ..." brings what it is about, unless it is "same for: ..."
    if len(text.partition(":")[2].split()) > _FEW:
        return _OPENING.match(text) is not None or (was_led and first in ("this", "the", "for"))
    if _OPENING.match(text) is not None:
        return True
    if count <= _LONG and (_POINTING & set(words) or _points(words)):
        return True
    if count <= _MEDIUM and (
        _DOUBT.search(text.rstrip(_ENDS)) is not None
        or _OWN_WORK.search(text) is not None
        or first in _EDITS
        or (words[-1] in _ASKING and _ASKING.isdisjoint(words[:-1]))  # "show me how"
    ):
        return True
    asks = _asks(words) or first in _TASKS
    if first in _ASKING:  # "when?", "why Lima", "how many left"
        return count <= 2 or (count == 3 and words[1] in ("many", "much"))
    if first in _PLACING:  # "in feet", but not "in which year did the war end"
        return count <= _MEDIUM and not asks
    if was_led or first == "the":  # "and Poetry?", "the dash should be optional"
        return count <= _MEDIUM and not asks
    return count <= _SHORT and not asks and (count <= 2 or any(w.isdigit() for w in words))


def _asks(words: Sequence[str]) -> bool:
    """Return whether words have a question of their own."""
    return not _ASKING.isdisjoint(words) or words[0] in _VERBS


def _points(words: list[str]) -> bool:
    """Return whether a "that" or "there" stands for something, and begins no clause."""
    last = len(words) - 1
    return any(
        (word == "that" and (at in (0, last) or words[at - 1] in _POINTED))
        or (word == "there" and at == last and words[at - 1] not in _VERBS)
        for at, word in enumerate(words)
    )


def _less_leading(words: list[str], text: str) -> tuple[list[str], str]:
    """Return words and text without those that a turn may begin with whatever it is."""
    at = 0
    while at < len(words) and words[at] in _LEADING:
        at += 1
    if words[at : at + 1] and words[at] in _CAN and words[at + 1 : at + 2] == ["you"]:
        at += 2  # "can you also ..."
        while at < len(words) and words[at] in _LEADING:
            at += 1
    for word in words[:at]:
        text = text[text.lower().index(word) + len(word) :]
    return words[at:], text.lstrip(" ,.;:!-")


def returns(text: str) -> bool:
    """Return whether a turn says that it goes back to something before the last question."""
    return _RETURNING.search(text) is not None


@lru_cache(maxsize=4096)
def content(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about, less a plural's ending."""
    words = {word.lower() for word in _WORDS.findall(text[:2000])} - _COMMON
    return frozenset(word.removesuffix("s") if len(word) > 3 else word for word in words)
