"""What a request tells of the conversation that it goes on with: who it is, what about, how it goes.

A request carries its whole history, so nothing here needs a memory.
"""
