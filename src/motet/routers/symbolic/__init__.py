"""Routing by rules that an operator can read."""
