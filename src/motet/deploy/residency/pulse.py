"""How often the two sides of swapping on a cluster speak, and how long silence is borne."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds between words, and until somebody counts as gone.

    Attributes
    ----------
    look_s
        Between the swapper's looks at pools and leases.
    settle_s
        That a look waits for engines to be admitted; longer ones go on beside it.
    silence_s
        Without a word of a lease until the swapper frees it: many renewals, since a process that
        is only busy must not lose the engine under its answers.
    renew_s
        Between a process's words of the leases it holds.
    fresh_s
        For which what the swapper said of engines is taken as true.
    answer_s
        That the swapper has to answer.
    lost_s
        Without the swapper until requests are refused at once; until then they wait for it,
        because Serve starts it anew within seconds.
    standing_s
        That a pool's replica has to say how its engine stands.
    """

    look_s: float = 1.0
    settle_s: float = 2.0
    silence_s: float = 10.0
    renew_s: float = 1.0
    fresh_s: float = 0.5
    answer_s: float = 2.0
    lost_s: float = 15.0
    standing_s: float = 5.0


USUAL = Pulse()
"""As services run."""
