"""Plays a fleet in virtual time, with the decisions of the live residency."""
