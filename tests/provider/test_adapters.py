"""The connections below requests."""

from __future__ import annotations

import socket
import time

import pytest

from flask_parjar import ProviderUnavailable
from flask_parjar.protocol.outbound import Outbound
from flask_parjar.provider import Http


def test_one_timeout_for_all_the_addresses_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with four addresses that swallow packets costs one time-out, and not four."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        one = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [one] * 4)  # the resolver
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable) as caught:
            Http(timeout=0.5).send(Outbound(method="GET", url=f"http://op.example:{port}/"))
        took = time.monotonic() - began
        for each in waiting:
            each.close()
    assert caught.value.error_code == "provider_timeout"
    assert 0.4 < took < 0.95
