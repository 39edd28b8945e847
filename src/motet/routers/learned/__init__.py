"""Routers that learn from routing tables: one estimator a file, one router that asks them."""

from motet.registry import Registry
from motet.routers.learned.base import Estimate, Estimator, Queries

_HERE = "motet.routers.learned.kinds"

ESTIMATORS: Registry[Estimator] = Registry(
    "learned router",
    "motet.estimators",
    {
        "best-single": f"{_HERE}.best_single:BestSingle",
        "categories": f"{_HERE}.categories:Categories",
        "clusters": f"{_HERE}.clusters:Clusters",
        "contrastive": f"{_HERE}.contrastive:Contrastive",
        "cost-quality": f"{_HERE}.cost_quality:CostQuality",
        "fusion-of-experts": f"{_HERE}.fusion_of_experts:FusionOfExperts",
        "guard": f"{_HERE}.guard:Guard",
        "irt": f"{_HERE}.irt:IRT",
        "knn": f"{_HERE}.knn:Neighbours",
        "length": f"{_HERE}.length:Length",
        "matrix-factorization": f"{_HERE}.matrix_factorization:MatrixFactorization",
        "ridge": f"{_HERE}.ridge:Ridge",
        "stack": f"{_HERE}.stack:Stack",
        "tree": f"{_HERE}.tree:Tree",
        "words": f"{_HERE}.words:Words",
    },
)

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "Queries"]
