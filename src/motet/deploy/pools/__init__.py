"""Pools: replicas that hold a model, and the ingress's side of them."""
