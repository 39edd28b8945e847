"""The OpenAI-compatible HTTP service over one `Motet`."""

from motet.api.app import create_app

__all__ = ["create_app"]
