"""The seam on every answer: observers, which are told and never heard."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from motet.types import Call, Decision, Request, Usage

UNKNOWN = "unknown"
"""The composition of a request for a model that does not exist: what clients make up is no name to
count by, for there would be no end to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended, as observers are told.

    Attributes
    ----------
    status
        `ok`, `cancelled` where the client left, or the code of the error.
    seconds
        From arrival to the last piece.
    ended
        Unix time of its end, in seconds.
    decided_s
        From arrival to the decision; None where there was none, or it was made before.
    first_chunk_s
        From arrival to the first piece; None where none came.
    author
        The expert whose words the client read; None where nobody's were.
    text
        Those words, as far as they came; of several choices the first.
    calls
        Every expert call, in the order they began.
    """

    status: str
    seconds: float
    ended: float = field(default_factory=time.time)
    decided_s: float | None = None
    first_chunk_s: float | None = None
    author: str | None = None
    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def began(self) -> float:
        """When it arrived, as a Unix time in seconds, however late that is heard."""
        return self.ended - self.seconds

    @property
    def usage(self) -> Usage:
        """Tokens over all calls."""
        return sum((call.usage for call in self.calls), Usage())

    @property
    def cost_usd(self) -> float:
        """Cost over all calls, in USD."""
        return sum(call.cost_usd for call in self.calls)


class Observer:
    """Is told of every request, however it came: over HTTP, from Python, or in a batch.

    Every request that began finishes once. A decision that nobody waits to be answered by
    (`/v1/route`, the plan of a batch) is told as `decided`, with the calls of its router, and
    neither begins nor finishes anything.

    Override what you want to hear. Each observer is told in a thread of its own, in order and a
    moment later, so one that raises or blocks touches no answer. What it is given is over and does
    not change any more.
    """

    @property
    def dropped(self) -> int:
        """What it has heard and could not keep."""
        return 0

    def began(self, request: Request, composition: str) -> None:
        """Hear that `request` has arrived for `composition`."""

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Hear whom the router chose."""

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Hear of one expert call that has ended."""

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Hear how the request ended."""

    def close(self) -> None:
        """Be done with what was heard: the service ends. It may begin once more."""
