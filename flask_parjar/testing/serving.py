"""The ways to a WSGI app in tests: without a socket, and on a loopback address."""

from __future__ import annotations

import contextlib
import functools
import io
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPResponse
from werkzeug.datastructures import Headers
from werkzeug.serving import (
    BaseWSGIServer,
    ThreadedWSGIServer,
    WSGIRequestHandler,
    make_server,
)
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ..provider.adapters import BoundedConnection

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


_HANDSHAKE_SECONDS = 10


class WSGIAdapter(BaseAdapter):
    """A transport adapter of ``requests`` that calls a WSGI app: no socket, port or thread.

    Mount it on a ``requests.Session`` for one origin. Timeouts, TLS settings and proxies are
    accepted and ignored, because there is no network.

    :param app: it gets the URL as it was called, with the host
    """

    def __init__(self, app: WSGIApplication) -> None:
        super().__init__()
        self.app = app

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Call the app. A streamed answer is made while the caller reads it."""
        body = _read_body(request.body)
        parts = urlsplit(str(request.url))
        pieces, status, headers = _run_app(
            self.app,
            method=request.method or "GET",
            origin=f"{parts.scheme}://{parts.netloc}",
            target=f"{parts.path or '/'}?{parts.query}",
            headers=[
                (name, str(value))
                for name, value in request.headers.items()
                if name.lower() not in ("content-length", "transfer-encoding")
            ],
            body=body,
        )
        response = _make_response(request, pieces, status, headers)
        if not stream:
            _ = response.content
        return response

    def close(self) -> None:
        """Nothing to close."""


def _read_body(body: Any) -> bytes:
    """The body of a request: a string, bytes, a file, or pieces of these; None if it has none."""
    content = body.read() if hasattr(body, "read") else body
    if isinstance(content, str | bytes | None):
        return content.encode() if isinstance(content, str) else content or b""
    return b"".join(_read_body(piece) for piece in content)


def _make_response(
    request: requests.PreparedRequest, pieces: Iterable[bytes], status: str, headers: Headers
) -> requests.Response:
    """Make what requests returns, as its own adapter does."""
    answer = _Answer(lambda: (b"", pieces, False))
    answer.start()
    code, _, reason = status.partition(" ")
    pairs: Any = list(headers.items())  # urllib3 takes pairs; its annotation says a mapping
    raw = HTTPResponse(
        body=io.BufferedReader(answer),
        headers=pairs,
        status=int(code),
        reason=reason,
        preload_content=False,
        decode_content=False,
        request_method=request.method,
    )
    response = requests.Response()
    response.status_code = int(code)
    response.reason = reason
    response.headers = CaseInsensitiveDict(raw.headers)
    response.raw = raw
    response.url = str(request.url)
    response.request = request
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    return response


def wsgi_pool(
    app: WSGIApplication, origin: str, *, certificate: str | None = None
) -> HTTPConnectionPool:
    """Make a pool of connections into a WSGI app, for `Http.mount`.

    Only the socket is made up. What writes a request to it, and reads the answer from it, is the
    code that runs in production.

    :param app: the app that answers; it is given the URL as it was called, host and all.
    :param origin: such as ``https://op.example``.
    :param certificate: the client certificate, as PEM, that the TLS connection would present.
    """
    return _WSGIPool(presenting(certificate, app), origin)


def presenting(certificate: str | None, app: WSGIApplication) -> WSGIApplication:
    """An app that is called as by a TLS connection which presents a client certificate, or none.

    :param certificate: as PEM
    """

    def called(environ: Any, start_response: Any) -> Iterable[bytes]:
        if certificate is not None:
            environ["SSL_CLIENT_CERT"] = certificate
        return app(environ, start_response)

    return called


class _WSGIPool(HTTPConnectionPool):
    """A pool whose connections lead into a WSGI app.

    urllib3 keeps the idle connections of a pool until the pool is gone, to close them then. So they
    know the pool by a weak reference: if they held the app, and the app the pool, none of the three
    would ever be freed.
    """

    def __init__(self, app: WSGIApplication, origin: str) -> None:
        parts = urlsplit(origin)
        super().__init__(str(parts.hostname), parts.port)
        self.app = app
        self.origin = origin
        self.ConnectionCls: Any = functools.partial(_WSGIConnection, weakref.ref(self))


class _WSGIConnection(BoundedConnection):
    """A connection of urllib3's whose socket is a `_Socket`."""

    def __init__(self, pool: Callable[[], _WSGIPool | None], **options: Any) -> None:
        super().__init__(**options)
        self._pool = pool

    def connect(self) -> None:
        """Open the socket."""
        self.sock: Any = _Socket(self._pool)
        self.sock.settimeout(self.timeout)

    @property
    def is_connected(self) -> bool:
        """Whether the socket can be used once more."""
        return self.sock is not None


class _Socket:
    """As much of a socket as `BoundedConnection` needs.

    :param pool: gives the pool, which has the app.
    """

    def __init__(self, pool: Callable[[], _WSGIPool | None]) -> None:
        self._pool = pool
        self._request = bytearray()
        self._timeout: float | None = None

    def sendall(self, data: bytes, flags: int = 0, /) -> None:
        """Take a part of the request."""
        self._request += data

    def makefile(self, mode: str, buffering: int) -> _Answer:
        """The answer of the app to the request that has come."""
        request, self._request = bytes(self._request), bytearray()
        pool = cast(_WSGIPool, self._pool())  # its method is under way, so it is there
        return _Answer(functools.partial(_answer, pool.app, pool.origin, request))

    def settimeout(self, seconds: float | None) -> None:
        """Set the time-out, which the reader looks at."""
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        """The time-out, in seconds."""
        return self._timeout

    def setsockopt(self, *option: int) -> None:
        """There are no options."""

    def close(self) -> None:
        """There is nothing to close."""


def _answer(
    app: WSGIApplication, origin: str, request: bytes
) -> tuple[bytes, Iterable[bytes], bool]:
    """Answer a request: the head, the pieces of the body, and whether the connection stays open."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pieces, status, headers = _run_app(
        app,
        method=method,
        origin=origin,
        target=target,
        headers=[(name, value) for name, _, value in (line.partition(": ") for line in lines)],
        body=body,
    )
    fields = [f"{name}: {value}\r\n" for name, value in headers.items()]
    keeps = "content-length" in {name.lower() for name, _ in headers.items()}
    if not keeps:
        fields.append("Connection: close\r\n")  # the end of the body is the end of the answer
    whole = f"HTTP/1.1 {status}\r\n{''.join(fields)}\r\n".encode("latin-1")
    return whole, pieces, keeps


def _run_app(
    app: WSGIApplication,
    *,
    method: str,
    origin: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> tuple[Iterable[bytes], str, Headers]:
    """Call an app: the pieces of the body, the status line and the headers of its answer."""
    path, _, query = target.partition("?")
    environ = EnvironBuilder(
        path=path,
        query_string=query,
        base_url=f"{origin}/",
        method=method,
        headers=headers,
        input_stream=io.BytesIO(body),
    ).get_environ()
    return run_wsgi_app(app, environ)


class _Answer(io.RawIOBase):
    """An app's answer as a file: the head, and pieces of the body that are made as they are read.

    The app is called at the first read and not before: http.client cannot close a response whose
    file was never made, so an app that raises must not do it in `_Socket.makefile`.

    :param call: calls the app; gives the head, the body, and whether the connection stays open
    """

    def __init__(self, call: Callable[[], tuple[bytes, Iterable[bytes], bool]]) -> None:
        super().__init__()
        self._call = call
        self._rest = memoryview(b"")
        self._body: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] | None = None
        self._keeps_connection = False

    def start(self) -> Iterator[bytes]:
        """Call the app, unless it was called."""
        if self._pieces is None:
            head, self._body, self._keeps_connection = self._call()
            self._rest, self._pieces = memoryview(head), iter(self._body)
        return self._pieces

    def close(self) -> None:
        """Tell the app that nothing more is read (PEP 3333)."""
        close = getattr(self._body, "close", None)
        if not self.closed and close is not None:
            close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        pieces = self.start()
        while not self._rest:
            piece = next(pieces, None)
            if piece is None:  # an open connection has no more for now; a closed one has an end
                return None if self._keeps_connection else 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def loopback_server(
    app: WSGIApplication,
    issuer: str,
    *,
    port: int | None,
    host: str | None,
    context: ssl.SSLContext | None = None,
) -> BaseWSGIServer:
    """A server on a loopback address, bound and not yet serving. It prints a warning.

    :param issuer: has the host and the port
    :param context: TLS settings, for https
    :param port: that of the issuer, or None
    :param host: another loopback address to bind to
    :raises ValueError: the host can be reached from elsewhere, or the issuer names another port
    """
    parts = urlsplit(issuer)
    own_host, own_port = str(parts.hostname), parts.port
    for name in (own_host, host or own_host):
        if not _is_loopback(name):
            raise ValueError(f"{name!r} is not this machine: anyone could sign in as anyone")
    if own_port is None or parts.scheme != ("http" if context is None else "https"):
        raise ValueError(
            f"only http with a port can be served, or https with a port and tls=, not {issuer}"
        )
    if port not in (None, own_port):
        raise ValueError(f"the issuer {issuer} names port {own_port}, not {port}")
    if context is None:
        server = make_server(
            host or own_host, own_port, app, threaded=True, request_handler=_QuietHandler
        )
    else:
        server = _TLSServer(host or own_host, own_port, app, _TLSHandler)
        server.ssl_context = context
    print(f" * OpenID provider for DEVELOPMENT ONLY, without passwords: {issuer}", flush=True)
    return server


@contextlib.contextmanager
def running(server: BaseWSGIServer) -> Iterator[None]:
    """Serve in a thread during a ``with`` block, then close the server."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    """Logs the path without the query, which may contain a code."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.log("info", '"%s %s" %s', self.command, self.path.partition("?")[0], code)


class _TLSServer(ThreadedWSGIServer):
    """Serves https. The handshake is in the thread of its connection, so that none waits."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a handshake that failed, or of a client that is gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _TLSHandler(_QuietHandler):
    """One connection of a `_TLSServer`."""

    def setup(self) -> None:
        """Make the TLS handshake.

        :raises ssl.SSLError: it failed
        """
        context: Any = self.server.ssl_context
        self.request.settimeout(_HANDSHAKE_SECONDS)
        self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close the connection: the server knows the socket below it alone."""
        super().finish()
        self.request.close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
