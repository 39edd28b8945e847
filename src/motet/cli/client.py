"""Calls from the command line to a running service."""

from __future__ import annotations

from typing import Any

import httpx

from motet.cli.console import plain
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


def post(
    url: str, path: str, body: dict[str, Any], key: str | None = None, *, patience_s: float = 60.0
) -> dict[str, Any]:
    """Return the JSON that answers `body` within so many seconds; see `get`."""
    return _read(url, "POST", path, body, key, patience_s)


def states(url: str, key: str | None = None) -> dict[str, dict[str, Any]]:
    """Return what the service at `url` says of each of its experts; see `get`."""
    experts = get(url, "/ready", key).get("experts")
    if not isinstance(experts, dict):
        raise MotetError(f"{url} answers, but not as Motet does: its /ready names no experts.")
    return experts


def explain_failure(response: httpx.Response) -> MotetError:
    """Return the error in an answer that is none, or the error for what is no answer of Motet's."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = " ".join(response.text[:300].split()) or "An empty answer"
    return MotetError(
        f"{message} (HTTP {response.status_code})",
        hint="" if response.is_error else f"Is {response.url} Motet?",
    )


def unreachable(url: str, error: Exception) -> DeployError:
    """Return the error for a service that does not answer."""
    return DeployError(f"Cannot reach {url}: {error}.", hint="Is it running? Start: motet serve")


def _read(
    url: str,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    key: str | None,
    patience_s: float = 60.0,
) -> dict[str, Any]:
    try:
        response = httpx.request(
            method, f"{url.rstrip('/')}{path}", json=body, headers=headers(key), timeout=patience_s
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(url, error) from None
    try:
        payload = response.json()
    except ValueError:
        payload = None
    # /ready reports through a 503 too; a body without an error object is an answer.
    if not isinstance(payload, dict) or (response.status_code >= 400 and "error" in payload):
        raise explain_failure(response)
    spoken: dict[str, Any] = plain(payload)
    return spoken
