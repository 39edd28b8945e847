"""What is remembered of a conversation between two of its turns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of the turns before; of a new conversation nothing is.

    Attributes
    ----------
    expert
        Who answered the last turn; empty where nobody has.
    latched
        The expert that the conversation stays with from here on, whatever a router says; empty
        where it is free.
    judged
        How many of its last turns in a row were judged to get nowhere.
    messages
        How many messages the last request had: what tells a memory that is behind.
    ended
        When the last turn ended, as Unix time in seconds.
    context
        The window of `expert` in tokens; None where it is not known.
    """

    expert: str = ""
    latched: str = ""
    judged: int = 0
    messages: int = 0
    ended: float = 0.0
    context: int | None = None


NEW = Past()
"""Of a conversation that nothing is known of."""
