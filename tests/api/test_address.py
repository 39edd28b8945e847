"""An address that another holds is refused before anything starts."""

import socket

import pytest
from tests.conftest import free_port

from motet.api.address import check_port
from motet.errors import DeployError


def test_a_port_that_is_free_is_left_free():
    port = free_port()
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_a_port_that_another_holds_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DeployError, match=f"Cannot bind 127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)
