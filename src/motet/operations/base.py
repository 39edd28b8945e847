"""The seam on every answer: observers, which are told and never heard."""

from __future__ import annotations

from motet.types import Call, Decision, Outcome, Request

UNKNOWN = "unknown"
"""The composition of a request for a model that does not exist: what clients make up is no name to
count by, for there would be no end to them."""


class Observer:
    """Is told of every request, however it came: over HTTP, from Python, or in a batch.

    Override what you want to hear. Each observer is told in a thread of its own, in order and a
    moment later, so one that raises or blocks touches no answer. What it is given is over and does
    not change any more.
    """

    def began(self, request: Request, composition: str) -> None:
        """Hear that `request` has arrived for `composition`."""

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Hear whom the router chose."""

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Hear of one expert call that has ended."""

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Hear how the request ended."""
