"""Encoders judged by what they find, and expert encoders fitted to domains."""
