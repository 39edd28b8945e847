"""Routers: one kind a file; each reads a request beside the fleet and returns a decision."""

from motet.registry import Registry
from motet.routers.base import Router

_LEARNED = (
    "best-single",
    "categories",
    "clusters",
    "contrastive",
    "cost-quality",
    "fusion-of-experts",
    "guard",
    "irt",
    "knn",
    "length",
    "matrix-factorization",
    "ridge",
    "stack",
    "tree",
    "words",
)

ROUTERS: Registry[Router] = Registry(
    "router",
    "motet.routers",
    {
        "chain": "motet.routers.chain:ChainRouter",
        **dict.fromkeys(_LEARNED, "motet.routers.learned.router:LearnedRouter"),
        "llm": "motet.routers.learned.llm:LLMRouter",
        "constant": "motet.routers.constant:ConstantRouter",
        "symbolic": "motet.routers.symbolic.router:SymbolicRouter",
    },
)

__all__ = ["ROUTERS", "Router"]
