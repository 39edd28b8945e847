"""Composition: how the experts of a decision become one answer. One strategy a file."""

from motet.composer.base import Strategy
from motet.registry import Registry

STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    "motet.strategies",
    {
        "aggregate": "motet.composer.aggregate:AggregateStrategy",
        "latent": "motet.composer.latent:LatentStrategy",
        "persona": "motet.composer.persona:PersonaStrategy",
        "single": "motet.composer.single:SingleStrategy",
        "vote": "motet.composer.vote:VoteStrategy",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
