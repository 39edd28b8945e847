"""A request of one user's message."""

from motet.types import Request


def ask(text="hi", **fields):
    return Request(model="auto", messages=({"role": "user", "content": text},), **fields)
