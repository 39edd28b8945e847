"""transformers, which bears one thread at a time while it is imported and while it builds a model.

Its module puts a lazy one in its own place at the end of its first import: a thread that meets it
half-way keeps the half one, and "cannot import name 'AutoConfig'" is what it says. And it builds a
model on the meta device by way of globals: of two that are built at once, one would keep weights
without data. Routers' encoders and experts start on threads of their own, so both happen.
"""

import threading

TRANSFORMERS = threading.RLock()
"""Held by whoever imports transformers, or a library on it, or has it build a model."""
