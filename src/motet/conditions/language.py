"""The language of a conversation.

A short message rarely tells its language: "Why?" reads like Nigerian Pidgin, "Et toi ?" like
Finnish. Where the newest message does not tell, what was said before it is read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from motet.types import Request, message_texts

UNTOLD = "en"
"""What a text is taken for that tells nothing, such as `???`: the language of most requests."""
_SURE = 0.5
"""Confidence from which on a message speaks for itself. py3langid's is calibrated over lengths."""
_TOLD = 0.1
"""Confidence below which its best guess of a hundred languages is none."""
_SPEAKS = 4
"""Words from which on a follow-up speaks for itself."""
_NO_LANGUAGE = "zxx"
_MOST_CHARS = 16 * 1024
_MOST_MESSAGES = 8


def language(request: Request) -> str:
    """Return the ISO 639-1 code of the language that a request's newest message is in.

    One that is too short to tell inherits the language of the conversation: of the user's messages
    before it, and then of what others said.
    """
    guess: str
    heard, guess, confidence = "", UNTOLD, 0.0
    goes_on = sum(message.get("role") == "user" for message in request.messages) > 1
    for text in islice(_newest_first(request), _MOST_MESSAGES):
        heard = f"{text[-_MOST_CHARS:]}\n{heard}" if heard else text[-_MOST_CHARS:]
        guess, confidence = identifier().classify(heard[-_MOST_CHARS:])
        # In a chat, a few words in Latin letters do not tell whatever they read like: "when?" is
        # no Gun, and "eleven vans then" no Dutch.
        is_short = goes_on and heard.isascii() and len(heard.split()) < _SPEAKS
        if confidence >= _SURE and guess != _NO_LANGUAGE and not is_short:
            return guess
    return UNTOLD if confidence < _TOLD or guess == _NO_LANGUAGE else guess


@lru_cache(maxsize=1)
def identifier() -> Any:
    """Return what tells languages apart: a model of a few megabytes, read once."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _newest_first(request: Request) -> Iterator[str]:
    if request.prompt is not None:
        yield request.prompt
        return
    users = [m for m in request.messages if m.get("role") == "user"]
    others = [m for m in request.messages if m.get("role") != "user"]
    for message in (*reversed(users), *reversed(others)):
        if text := "\n".join(message_texts(message)):
            yield text
