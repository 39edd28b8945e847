"""What a request tells of its conversation: which it is, what it is about, and how it goes.

A request carries its whole history, so nothing here needs a memory.
"""
