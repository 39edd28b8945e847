"""Composition: how the experts of a decision become one answer. One strategy a file."""

from motet.composer.strategies.base import Strategy
from motet.registry import Registry

STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    "motet.strategies",
    {
        "aggregate": "motet.composer.strategies.aggregate:AggregateStrategy",
        "latent": "motet.composer.strategies.latent:LatentStrategy",
        "persona": "motet.composer.strategies.persona:PersonaStrategy",
        "single": "motet.composer.strategies.single:SingleStrategy",
        "vote": "motet.composer.strategies.vote:VoteStrategy",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
