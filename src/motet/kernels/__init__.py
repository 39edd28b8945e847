"""Kernels of latent fusion: batched grouping for cross-attention between frozen experts.

    plan = Plan.build(fusions, experts=E)               # once a batch, for every level and layer
    q = project(hidden, query_weights, plan.queries)    # [Q, H * D]
    kv = project(peer_hidden, memory_weights, plan.memory)
    fused = attend(q, k, v, plan, log_weight_M=plan.per_key(log_w))  # [Q, H, D]
    hidden = project_back(hidden, fused.flatten(1), out_weights, gates, plan.queries)

Each has three implementations behind it: `reference`, `cpu` and `triton`. Importing this package
imports torch but not Triton.
"""

from motet.kernels.cross_attention import attend
from motet.kernels.dispatch import Implementation
from motet.kernels.gated import project_back
from motet.kernels.grouping import Grouping, GroupingPlan
from motet.kernels.projection import fold, project
from motet.kernels.rows import new_rows
from motet.kernels.statistics import Cost, Statistics, measure
from motet.kernels.tokens import Fusion, Segment

__all__ = [
    "Cost",
    "Fusion",
    "Grouping",
    "GroupingPlan",
    "Implementation",
    "Segment",
    "Statistics",
    "attend",
    "fold",
    "measure",
    "new_rows",
    "project",
    "project_back",
]
