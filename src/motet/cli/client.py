"""Calls from the command line to a running service."""

from __future__ import annotations

from typing import Any

import httpx

from motet.errors import DeployError, MotetError


def headers(key: str | None) -> dict[str, str]:
    """Return the headers that carry `key`, if there is one."""
    return {"authorization": f"Bearer {key}"} if key else {}


def get(url: str, path: str, key: str | None = None) -> dict[str, Any]:
    """Return the JSON at `path` of the service at `url`.

    Raises
    ------
    MotetError
        The service cannot be reached, or answers with an error.
    """
    return _read(url, "GET", path, None, key)


def post(url: str, path: str, body: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """Return the JSON that answers `body`; see `get`."""
    return _read(url, "POST", path, body, key)


def explain_failure(response: httpx.Response) -> MotetError:
    """Return the error in an answer with a status of 400 or more."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text[:300]
    return MotetError(f"{message} (HTTP {response.status_code})")


def unreachable(url: str, error: httpx.TransportError) -> DeployError:
    """Return the error for a service that does not answer."""
    return DeployError(f"Cannot reach {url}: {error}.", hint="Is it running? Start: motet serve")


def _read(
    url: str, method: str, path: str, body: dict[str, Any] | None, key: str | None
) -> dict[str, Any]:
    try:
        response = httpx.request(
            method, f"{url.rstrip('/')}{path}", json=body, headers=headers(key), timeout=60
        )
    except httpx.TransportError as error:
        raise unreachable(url, error) from None
    # /ready reports through a 503 too; a body without an error object is an answer.
    if response.status_code >= 400 and "error" in response.text[:20]:
        raise explain_failure(response)
    payload: dict[str, Any] = response.json()
    return payload
