"""Routers that learn from routing tables: one estimator a file, one router that asks them."""
