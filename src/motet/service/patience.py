"""How long a running service waits, where commands name the figure too."""

PATIENCE_S = 300.0
"""Seconds that the experts of a new config have to come up, when nobody says."""
