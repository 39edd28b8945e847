"""Classifiers of texts, trained and judged."""
