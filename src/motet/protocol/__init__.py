"""OpenAI's JSON between clients and Motet, one endpoint a file: bodies in, frames and errors out.

Shared by the HTTP service and by batches. The side that asks experts is `motet.experts.wire`.
"""
