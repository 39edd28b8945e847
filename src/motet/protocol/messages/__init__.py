"""Anthropic's Messages: what its clients send, and the objects, events and errors they read.

Source of the forms: Anthropic's API reference, version 2023-06-01.
"""
