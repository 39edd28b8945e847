"""The section `sessions`: what is remembered of conversations, and for how long."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from motet.config.options import Options


class Sessions(Options):
    """What is remembered of conversations: who answered last, and whom they stay with.

    Compositions that go by it read it; ingress replicas share it through the `store`.
    """

    days: PositiveFloat = 7.0
    """Days after its last turn that a conversation is forgotten."""
    most: PositiveInt = 100_000
    """Conversations that are kept; the oldest are forgotten beyond that."""
    most_here: PositiveInt = 10_000
    """Conversations that one ingress replica remembers without asking the store."""
    read_s: NonNegativeFloat = 0.5
    """Seconds that a turn may wait for what another replica knows of the conversation. Where it
    does not come, the turn is decided by what is known here."""
