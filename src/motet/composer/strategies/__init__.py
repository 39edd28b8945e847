"""How the experts of a decision become one answer. One strategy a file."""

from motet.composer.strategies.base import Strategy
from motet.registry import Registry

_HERE = "motet.composer.strategies"

STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    "motet.strategies",
    {
        "aggregate": f"{_HERE}.aggregate:AggregateStrategy",
        "cascade": f"{_HERE}.cascade:CascadeStrategy",
        "debate": f"{_HERE}.debate:DebateStrategy",
        "escalate": f"{_HERE}.escalate:EscalateStrategy",
        "latent": f"{_HERE}.latent:LatentStrategy",
        "persona": f"{_HERE}.persona:PersonaStrategy",
        "rank": f"{_HERE}.rank:RankStrategy",
        "refine": f"{_HERE}.refine:RefineStrategy",
        "review": f"{_HERE}.review:ReviewStrategy",
        "single": f"{_HERE}.single:SingleStrategy",
        "steps": f"{_HERE}.steps:StepsStrategy",
        "vote": f"{_HERE}.vote:VoteStrategy",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
