"""Motet on Ray Serve: pools of experts, an ingress that holds routers and strategies.

Every expert that holds a model is a Serve application of its own, so that one which fails or
restarts leaves the others and the ingress as they are. This package is the only importer of Ray.
"""
