"""What listings and bodies of several routes share."""

from __future__ import annotations

from typing import Any


def page(data: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    """Return a page of a listing as OpenAI shows it; `more` says whether another follows."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def takes(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI part of a route that reads its body itself."""
    return {"requestBody": {"required": True, "content": {media: {"schema": schema}}}}
