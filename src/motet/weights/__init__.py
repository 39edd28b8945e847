"""Weights of language models and encoders: fetched, converted once, kept in a cache."""

from motet.weights.sources import Setting, default_cache, fetch

__all__ = ["Setting", "default_cache", "fetch"]
