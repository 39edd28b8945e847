"""Texts to vectors: encoders, live batching and caches, the text form of a request."""
