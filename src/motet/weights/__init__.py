"""Weights of language models and encoders: fetched, converted once, kept in a cache."""

from motet.config.setting import Setting, default_cache
from motet.weights.sources import fetch

__all__ = ["Setting", "default_cache", "fetch"]
