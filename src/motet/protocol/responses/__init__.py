"""OpenAI's Responses: what its clients send, and the objects and events they read.

Source of the forms: OpenAI's API reference and the Open Responses specification.
"""
