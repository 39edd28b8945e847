"""Routers: one kind a file; each reads a request beside the fleet and returns a decision."""

from motet.registry import Registry
from motet.routers.base import Router
from motet.routers.learned import ESTIMATORS

_LEARNED = "motet.routers.learned.router:LearnedRouter"

ROUTERS: Registry[Router] = Registry(
    "router",
    "motet.routers",
    {
        "chain": "motet.routers.chain:ChainRouter",
        **dict.fromkeys(ESTIMATORS.names(), _LEARNED),
        "llm": "motet.routers.llm:LLMRouter",
        "constant": "motet.routers.constant:ConstantRouter",
        "retriever": "motet.routers.retriever:RetrieverRouter",
        "sticky": "motet.routers.sticky:StickyRouter",
        "skill": "motet.routers.skill.router:SkillRouter",
        "symbolic": "motet.routers.symbolic:SymbolicRouter",
    },
)

__all__ = ["ROUTERS", "Router"]
