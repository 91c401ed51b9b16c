"""Sockets and TLS underneath requests: exchanges that end, and one trust store for them all."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPResponse  # noqa: TID251 - the base of urllib3's own response_class
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_POOLS = 1000  # hosts: more than any configuration names, so that no pool in use is closed
_POOL_SIZE = 32

#: A firewall that forgets a quiet connection would cost a login a whole time-out: so none is quiet.
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # as urllib3 has it
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10))
        if hasattr(socket, name)
    ),
]


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a moment, however slowly the other side lets its bytes drip.

    A socket's own time-out starts anew with each byte that arrives, so it bounds no exchange.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the whole exchange took too long")
        self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # urllib3 has just given the socket what is left of the total time-out.
        self.fp = io.BufferedReader(_DeadlineReader(cast(Any, self.fp).detach(), sock))


def _connect_in_time(
    connection: HTTPConnection, connect: Callable[[], socket.socket]
) -> socket.socket:
    """Share the time-out for reaching a host out over its addresses: urllib3 gives it to each.

    (The look-up of the name is the resolver's, and has the resolver's own bound.)
    """
    whole: Any = connection.timeout
    with contextlib.suppress(OSError):  # told once more, and better, by the connection itself
        addresses = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
        connection.timeout = whole / len(addresses)
    try:
        connected = connect()
    finally:
        connection.timeout = whole
    connected.settimeout(whole)
    return connected


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect_in_time(self, super()._new_conn)


class _TLSConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect_in_time(self, super()._new_conn)


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast(Any, _Connection)


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = cast(Any, _TLSConnection)


@functools.cache
def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """The TLS settings of this process: certificates and names are always verified, TLS >= 1.2.

    Loading the trust store takes longer than a whole login, so it is done once a process.

    :param ca_bundle: a file or folder of certificates to trust in place of requests' own.
    """
    where = ca_bundle or DEFAULT_CA_BUNDLE_PATH
    folder = os.path.isdir(where)
    context = ssl.create_default_context(
        cafile=None if folder else where, capath=where if folder else None
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class SharedTLSAdapter(HTTPAdapter):
    """requests' adapter, with one TLS context for all its connections.

    :param ca_bundle: a file or folder of certificates to trust in place of requests' own.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle
        super().__init__(pool_connections=_POOLS, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools."""
        super().init_poolmanager(*args, socket_options=_SOCKET_OPTIONS, **kwargs)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Say which pool a request belongs to: all of one host share the TLS context."""
        if not self._is_ours(verify, cert):
            return super().build_connection_pool_key_attributes(request, verify, cert)
        parts = urlsplit(str(request.url))
        host = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
        if parts.scheme != "https":
            return host, {}
        return host, {"ssl_context": tls_context(self._ca_bundle), "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to add: the context verifies. (The base class would load a trust store here.)"""
        if not self._is_ours(verify, cert):
            base: Any = super()  # has no types in older releases
            base.cert_verify(conn, url, verify, cert)

    def _is_ours(self, verify: Any, cert: Any) -> bool:
        """Whether a caller asks for nothing but what the shared context does."""
        return cert is None and verify in (True, self._ca_bundle)


class BoundedAdapter(SharedTLSAdapter):
    """The same, with exchanges that end."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools, of connections whose exchanges end."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools behind a proxy, of the same connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager
