"""Routers that learn from routing tables: one estimator a file, one router that asks them."""

from motet.registry import Registry
from motet.routers.learned.base import Estimate, Estimator, Queries

_HERE = "motet.routers.learned"

ESTIMATORS: Registry[Estimator] = Registry(
    "learned router",
    "motet.estimators",
    {
        "best-single": f"{_HERE}.best_single:BestSingle",
        "knn": f"{_HERE}.knn:Neighbours",
        "ridge": f"{_HERE}.ridge:Ridge",
    },
)

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "Queries"]
