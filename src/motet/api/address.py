"""The address a service binds."""

from __future__ import annotations

import socket

from motet.errors import DeployError


def check_port(host: str, port: int) -> None:
    """Raise `DeployError` unless `host:port` can be bound.

    A port that another process holds would otherwise surface late, or as a proxy that restarts
    for ever.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise DeployError(
                f"Cannot bind {host}:{port}: {error.strerror}.",
                hint="Stop what uses it, or choose another with --port.",
            ) from None
