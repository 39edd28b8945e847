"""Weights of members that learn online, with a bound on regret.

Hedge, or multiplicative weights (Freund & Schapire, 1997), as AEGIS (Ghosh et al., arXiv
2404.05993) uses it over safety classifiers; with a fixed share of each weight given away in turn,
for labels whose best member changes (Herbster & Warmuth, 1998). Losses are in [0, 1]. With the
learning rate `eta`, N members and T labels, the mixture's loss is at most that of the best member
in hindsight plus `ln(N) / eta + eta T / 8`, which is `sqrt(T ln(N) / 2)` for the right `eta`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True)
class Hedge:
    """Weights of members, and what they have lost so far.

    Attributes
    ----------
    eta
        Learning rate.
    share
        Share of each weight that goes to the others at every label; 0 where the best stays best.
    weights
        By member; they sum to 1.
    losses
        Summed, by member, since members or settings last changed.
    loss
        The mixture's, summed: the weighted mean of the members' at each label.
    labels
        How many there were.
    """

    members: tuple[str, ...]
    eta: float
    share: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    loss: float = 0.0
    labels: int = 0

    def __post_init__(self) -> None:
        if not self.weights:
            self.weights = dict.fromkeys(self.members, 1 / len(self.members))
        if not self.losses:
            self.losses = dict.fromkeys(self.members, 0.0)

    @classmethod
    def of(cls, members: Sequence[str], horizon: int, eta: float | None, share: float) -> Self:
        """Return even weights.

        Parameters
        ----------
        horizon
            Labels for which the bound is the least, where `eta` is not said.
        """
        return cls(tuple(members), eta or best_eta(len(members), horizon, share), share)

    def learn(self, losses: Mapping[str, float]) -> None:
        """Take the members' losses on one label; a member that said nothing keeps its place.

        Parameters
        ----------
        losses
            In [0, 1]; of a member that is absent here, the mixture's of the others.
        """
        said = {name: losses[name] for name in self.members if name in losses}
        if not said:
            return
        heard = sum(self.weights[name] for name in said)
        # Weights may be too small for a float: then those that have said something count alike.
        shares = {n: self.weights[n] / heard if heard > 0 else 1 / len(said) for n in said}
        mixed = sum(shares[name] * loss for name, loss in said.items())
        of = {name: said.get(name, mixed) for name in self.members}
        grown = {name: self.weights[name] * math.exp(-self.eta * of[name]) for name in of}
        total = sum(grown.values())
        weights = {name: weight / total for name, weight in grown.items()}
        count = len(self.members)
        if self.share and count > 1:
            given = self.share / (count - 1)
            weights = {n: w * (1 - self.share) + (1 - w) * given for n, w in weights.items()}
        self.weights = weights
        self.losses = {name: self.losses[name] + of[name] for name in of}
        self.loss += mixed
        self.labels += 1

    @property
    def best(self) -> str:
        """The member that has lost least."""
        return min(self.members, key=self.losses.__getitem__)

    @property
    def regret(self) -> float:
        """What the mixture has lost beyond the best member in hindsight."""
        return self.loss - self.losses[self.best]

    def bound(self, switches: int = 0) -> float:
        """Return what the regret is at most, against the best member that changes so often."""
        return regret_bound(
            len(self.members), self.labels, self.eta, share=self.share, switches=switches
        )

    def json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "members": list(self.members),
            "eta": self.eta,
            "share": self.share,
            "weights": self.weights,
            "losses": self.losses,
            "loss": self.loss,
            "labels": self.labels,
        }

    def restored(self, kept: Mapping[str, Any]) -> Hedge:
        """Return what was kept, under the members and settings of this one.

        The same members and settings go on where they were. Others begin to count anew: a new
        member comes with an even weight, and the known ones divide the rest as they did.
        """
        members = tuple(kept["members"])
        if (members, kept["eta"], kept["share"]) == (self.members, self.eta, self.share):
            return Hedge(
                members,
                self.eta,
                self.share,
                dict(kept["weights"]),
                dict(kept["losses"]),
                float(kept["loss"]),
                int(kept["labels"]),
            )
        known = {name: kept["weights"][name] for name in self.members if name in kept["weights"]}
        total, even = sum(known.values()), 1 / len(self.members)
        room = even * len(known)  # the others come with even weights
        weights = {
            name: room * known[name] / total if name in known and total > 0 else even
            for name in self.members
        }
        return Hedge(self.members, self.eta, self.share, weights)


def best_eta(members: int, labels: int, share: float = 0.0) -> float:
    """Return the learning rate whose bound is the least after so many labels.

    With a share, the bound against a best member that changes as often as the share expects.
    """
    switches = round(share * labels)
    return math.sqrt(8 * _entropy(max(members, 2), labels, share, switches) / labels)


def regret_bound(
    members: int, labels: int, eta: float, *, share: float = 0.0, switches: int = 0
) -> float:
    """Return the most that Hedge may lose beyond the best member in hindsight.

    Parameters
    ----------
    switches
        How often the member that is compared with may change, which takes a share.
    """
    if not labels:
        return 0.0
    return _entropy(members, labels, share, switches) / eta + eta * labels / 8


def _entropy(members: int, labels: int, share: float, switches: int) -> float:
    """Return what naming the best members, one after the other, takes: nats."""
    if share and members > 1:
        stays = max(labels - 1 - switches, 0)
        changing = switches * math.log((members - 1) / share) - stays * math.log(1 - share)
        return math.log(members) + changing
    return math.log(members) if not switches else math.inf
