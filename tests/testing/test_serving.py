"""The provider behind a socket: on this machine only."""

from __future__ import annotations

import logging

import pytest
import requests
from werkzeug.serving import BaseWSGIServer

from flask_parjar.testing import DevProvider
from tests.support.ports import find_free_port


def test_running(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    provider = DevProvider(f"http://127.0.0.1:{find_free_port()}")
    with provider.running() as issuer, requests.Session() as http:
        document = http.get(f"{issuer}/.well-known/openid-configuration?x=hush", timeout=5).json()
        assert document["issuer"] == issuer == provider.issuer
    with pytest.raises(requests.ConnectionError):
        requests.get(issuer, timeout=5)
    assert "DEVELOPMENT ONLY" in capsys.readouterr().out
    assert '"GET /.well-known/openid-configuration" 200' in caplog.text
    assert "hush" not in caplog.text


def test_serving_until_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []

    def interrupted(server: object) -> None:
        served.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr("werkzeug.serving.BaseWSGIServer.serve_forever", interrupted)
    port = find_free_port()
    with pytest.raises(KeyboardInterrupt):
        DevProvider(f"http://localhost:{port}").serve(port, host="127.0.0.1")
    assert len(served) == 1


@pytest.mark.parametrize(
    ("issuer", "port", "host", "reason"),
    [
        ("http://127.0.0.1:9000", None, "0.0.0.0", "'0.0.0.0' is not this machine"),
        ("http://127.0.0.1:9000", None, "192.168.1.2", "is not this machine"),
        ("http://127.0.0.1:9000", None, "op.example", "is not this machine"),
        ("http://op.example:9000", None, "127.0.0.1", "'op.example' is not this machine"),
        ("http://127.0.0.1:9000", 9001, None, "names port 9000, not 9001"),
        ("https://127.0.0.1:9000", None, None, "only http with a port"),
        ("http://127.0.0.1", None, None, "only http with a port"),
    ],
)
def test_what_is_not_served(issuer: str, port: int | None, host: str | None, reason: str) -> None:
    provider = DevProvider(issuer)
    with pytest.raises(ValueError, match=reason):
        provider.serve(port, host=host)
    with pytest.raises(ValueError, match=reason), provider.running(port, host=host):
        pass


def test_serving_with_aliases_until_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the aliases runs too, and ends with the other one."""
    serve_forever = BaseWSGIServer.serve_forever
    ports = [find_free_port() for _ in "12"]
    issuer, aliases = (f"http://127.0.0.1:{port}" for port in ports)
    seen = []

    def interrupted(server: BaseWSGIServer, poll_interval: float = 0.5) -> None:
        if server.port == ports[1]:
            return serve_forever(server, poll_interval)
        seen.append(requests.get(f"{aliases}/userinfo", timeout=10).status_code)
        raise KeyboardInterrupt

    monkeypatch.setattr(BaseWSGIServer, "serve_forever", interrupted)
    with pytest.raises(KeyboardInterrupt):
        DevProvider(issuer, mtls=aliases).serve()
    assert seen == [401]
    with pytest.raises(requests.ConnectionError):
        requests.get(aliases, timeout=5)
