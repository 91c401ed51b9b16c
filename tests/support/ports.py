"""Ports of this machine."""

from __future__ import annotations

import socket


def find_free_port() -> int:
    """A port of 127.0.0.1 that no one listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
