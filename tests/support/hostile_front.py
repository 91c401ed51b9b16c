"""A DevProvider behind a real socket that spoils what passes: late, broken, endless, elsewhere."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from werkzeug.test import Client

from flask_parjar.testing import ClientMetadata, DevProvider
from tests.support.raw_server import RawServer, answer, raw_server, read_request
from tests.support.site import SCOPES, make_site

#: What the site asks a provider, as `DevProvider.calls` names it, by the last part of the path.
ENDPOINTS = {
    "openid-configuration": "discovery",
    "oauth-authorization-server": "discovery",
    "par": "pushed_authorization_request",
    "token": "token",
    "jwks.json": "jwks",
    "userinfo": "userinfo",
    "revoke": "revocation",
}

#: Takes a connection whose request was read, and makes the honest answer when called for it; says
#: whether the connection is still good.
Spoil = Callable[[socket.socket, Callable[[], bytes]], bool]
#: Seconds after which an idle connection is closed, where it is.
IDLE = 0.25


class Front:
    """What the site's connections reach.

    :param arrived: the endpoints that were asked for, in order
    :param connections: how many connections were opened
    :param close_idle: hang up on a connection that is silent for `IDLE` seconds
    """

    provider: DevProvider
    server: RawServer

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.close_idle = False
        self._spoilt: dict[str, tuple[Spoil, int]] = {}
        self._lock = threading.Lock()

    @property
    def connections(self) -> int:
        return self.server.connections

    def spoil(self, endpoint: str, how: Spoil, *, times: int = 1_000_000) -> None:
        """Answer so at one endpoint, from now on or a few times."""
        with self._lock:
            self._spoilt[endpoint] = how, times

    def heal(self) -> None:
        with self._lock:
            self._spoilt.clear()

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.close_idle:
            connection.settimeout(IDLE)
        while request := read_request(connection):
            endpoint = _endpoint(request)
            with self._lock:
                self.arrived.append(endpoint)
                how, times = self._spoilt.get(endpoint, (None, 0))
                if how is not None and times > 0:
                    self._spoilt[endpoint] = how, times - 1
            if how is not None and times > 0:
                if not how(connection, lambda sent=request: self._honest(sent)):  # type: ignore[misc]
                    return
            else:
                connection.sendall(self._honest(request))

    def _honest(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        got = Client(self.provider.app, use_cookies=False).open(
            target,
            base_url=self.provider.issuer,
            method=method,
            headers=[tuple(line.split(": ", 1)) for line in lines],  # type: ignore[misc]
            data=body,
        )
        kept = [pair for pair in got.headers if pair[0].lower() != "content-length"]
        headers = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return answer(got.data, status=got.status, headers=headers)


def _endpoint(request: bytes) -> str:
    path = request.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
    return ENDPOINTS[path.rpartition("/")[2]]


@contextlib.contextmanager
def hostile_front(now: Callable[[], float] = time.time) -> Iterator[Front]:
    front = Front()
    with raw_server(front.serve) as server:
        front.server = server
        front.provider = DevProvider(server.url.rstrip("/"), now=now)
        yield front


def site_behind(front: Front, **config: Any) -> Flask:
    """A site whose way to its provider is the socket; it waits for one second at most."""
    config = {"PARJAR_HTTP_TIMEOUT": 1, "PARJAR_SCOPES": SCOPES, **config}
    app = make_site(front.provider, connect=False, **config)
    front.provider.register(
        ClientMetadata(
            client_id="flask-parjar",
            redirect_uris=["http://localhost/callback"],
            jwks=app.test_client().get("/.well-known/jwks.json").json,
            scope=config["PARJAR_SCOPES"],
        )
    )
    return app


# What goes wrong.


def slow(seconds: float) -> Spoil:
    def how(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        time.sleep(seconds)
        connection.sendall(honest())
        return True

    return how


def hang_after_the_headers(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    connection.sendall(honest().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    time.sleep(20)
    return False


def drip_a_byte_a_second(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    head, separator, body = honest().partition(b"\r\n\r\n")
    connection.sendall(head + separator)
    for byte in body[:20]:
        connection.sendall(bytes([byte]))
        time.sleep(1)
    return False


def drip_headers(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(80):
        connection.sendall(b"X-Drip: 1\r\n")
        time.sleep(0.25)
    return False


def reset(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def reset_within_the_body(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    whole = honest()
    connection.sendall(whole[:-20])
    time.sleep(0.05)  # else the reset overtakes what was sent
    return reset(connection, honest)


def endless_headers(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(500_000):
        connection.sendall(b"X-%d: %s\r\n" % (n, b"x" * 1000))
    return False


class Flood:
    """Sends 50 MB as fast as they are taken, and counts how much that was.

    :param head: the status line and headers, without the empty line
    """

    MEGABYTES = 50

    def __init__(self, head: str) -> None:
        self._head = head.encode() + b"\r\n\r\n"
        self._chunked = "chunked" in head
        self.sent = 0

    def __call__(self, connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        piece = b" " * 65536
        if self._chunked:
            piece = b"10000\r\n" + piece + b"\r\n"
        connection.sendall(self._head)
        for _ in range(16 * self.MEGABYTES):
            connection.sendall(piece)
            self.sent += len(piece)
        return False


def instead(status: str, body: bytes = b"", **headers: str) -> Spoil:
    """A whole answer of another kind; in a header's name ``_`` stands for ``-``."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    whole = head.encode("latin-1") + body

    def how(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        connection.sendall(whole)
        return True

    return how


def around(before: bytes = b"", after: bytes = b"", *, late: float = 0.0) -> Spoil:
    """The honest answer, so many seconds after other bytes, or with others after it."""

    def how(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        whole = honest()
        if late:
            connection.sendall(before)
            time.sleep(late)
            connection.sendall(whole + after)
        else:
            connection.sendall(before + whole + after)
        return True

    return how
