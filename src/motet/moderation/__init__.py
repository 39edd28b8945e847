"""Judging texts: classifiers, and the weights of an ensemble that learn from labels."""
