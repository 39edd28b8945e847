"""Latent fusion: a primary writes the answer while it attends to what its peers have read.

Frozen language models are cut into stacks; after each stack the primary's hidden states attend to
those of its peers. Only that attention, its gates and a small router train. See docs/fusion.md.
"""
