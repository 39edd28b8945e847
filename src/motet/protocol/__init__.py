"""OpenAI's wire format as Motet's clients speak it: bodies in, answers and errors out.

Shared by the HTTP service and by batches. The side that asks experts is `motet.experts.wire`.
"""
