"""Connections and TLS below requests: one trust store, and a limit on the time to connect."""

from __future__ import annotations

import functools
import itertools
import os
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..protocol.urls import is_loopback
from .framing import BoundedResponse, StrictResponse

MAX_BODY = 1024 * 1024
_POOLS = 1000  # hosts: more than any configuration has, so that no pool in use is closed
_POOL_SIZE = 32

#: Seconds without use after which a connection is not used again. Common load balancers close
#: theirs after 60, and many firewalls drop them later without closing them.
_LONGEST_IDLE = 50.0

_IDLE_TIMEOUT = re.compile(r"(?:.*[,;\s])?timeout\s*=\s*([0-9]{1,9})(?:[,;\s].*)?", re.IGNORECASE)
#: What we write into the head of a request (RFC 9112 sections 3 and 5).
_REQUEST_LINE = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1")
_FIELD_LINE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~]*")
_TICK = 0.001  # seconds: the shortest time-out; 0 would mean not to wait at all


def usable_for(keep_alive: str) -> float:
    """Seconds for which an idle connection may be used again.

    If the server closes a connection in the moment in which a request is sent, the request is lost,
    and no one can tell whether it was carried out. A code and a refresh token must not be sent
    twice. So the connection is given up a second before the server does so.

    :param keep_alive: the ``Keep-Alive`` header of the last answer (RFC 2068 section 19.7.1.1).
    """
    announced = _IDLE_TIMEOUT.fullmatch(keep_alive)
    if announced is None:
        return _LONGEST_IDLE
    seconds = int(announced[1])
    return min(max(seconds - 1, seconds / 2), _LONGEST_IDLE)


class _Connection(HTTPConnection):
    """Mixed into a connection class of urllib3: its answers are strict (`StrictResponse`)."""

    response_class: Any = StrictResponse
    #: By the monotonic clock; see `usable_for`.
    _usable_until: float = float("inf")

    def getresponse(self) -> Any:
        answer = super().getresponse()
        original: StrictResponse = cast(Any, answer)._original_response
        answer.chunked = original.chunked  # urllib3 reads the headers itself, less strictly
        original.hang_up = self.close
        self._look_at_keep_alive(original)
        return answer

    def _tunnel(self) -> None:
        sock = cast(socket.socket, self.sock)
        this: Any = super()  # the types of urllib3 leave this method out
        try:
            this._tunnel()
        except BaseException:
            # http.client before Python 3.11.4 leaves the proxy's answer open, and an open answer
            # keeps its socket open, until the garbage collector finds both.
            if sock.fileno() >= 0:
                socket.close(sock.detach())
            raise

    def _look_at_keep_alive(self, answer: StrictResponse) -> None:
        announced = answer.headers.get("Keep-Alive", "")
        self._usable_until = time.monotonic() + usable_for(announced)

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used again; the pool asks when it takes it out."""
        return time.monotonic() < self._usable_until and super().is_connected


class WholeAnswer:
    """An answer that was read to its end, with what urllib3 asks of an answer.

    :param body: of a body that is longer than `MAX_BODY`, one byte more than that.
    """

    version_string = "HTTP/1.1"
    length_remaining = 0

    def __init__(self, status: int, headers: HTTPHeaderDict, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class BoundedConnection(_Connection):
    """A connection for requests and answers that are small, with a limit on the whole exchange.

    A request is sent in one piece, and its answer is read at once. urllib3 and http.client send a
    head and a body as two TLS records, and have several objects read an answer, one after another.
    That took longer than the rest of the exchange.
    """

    response_class: Any = BoundedResponse  # http.client reads a proxy's answer to CONNECT with it
    timeout: Any  # seconds
    #: The end of an exchange that began with connecting: urllib3 does not count the time that a
    #: proxy needs.
    _deadline: float | None = None
    _method: str

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Send a request.

        :param body: bytes, or None.
        :param headers: with ``Host``.
        :param options: of urllib3, about the answer.
        :raises ValueError: the head has a character that would change where it ends.

        RFC 9112 sections 2.1, 3 and 5.
        """
        self._method = method
        request_line = f"{method} {url} HTTP/1.1"
        fields = [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            fields.append(f"Content-Length: {len(body)}")
        if not (_REQUEST_LINE.fullmatch(request_line) and all(map(_FIELD_LINE.fullmatch, fields))):
            raise ValueError("the URL or a header has a character that is not allowed there")
        head = "\r\n".join((request_line, *fields, "\r\n"))
        if self.sock is None:
            self.connect()
        else:
            self.sock.settimeout(self.timeout)
        cast(Any, self.sock).sendall(head.encode("ascii") + (body or b""))

    def getresponse(self) -> Any:
        """Read the whole answer."""
        if self._deadline is not None:
            self.timeout = min(self.timeout, self._left())
            self._deadline = None  # the next exchange does not have to connect
        sock = cast(socket.socket, self.sock)
        sock.settimeout(self.timeout)
        with BoundedResponse(sock, method=self._method) as answer:
            body = answer.read_whole(limit=MAX_BODY + 1)
        if not answer.keeps_connection:
            self.close()
        self._look_at_keep_alive(answer)
        headers = HTTPHeaderDict()
        for name, value in answer.headers.items():
            headers.add(name, value)
        return WholeAnswer(answer.status, headers, body)

    def _new_conn(self) -> socket.socket:
        self._deadline = time.monotonic() + self.timeout
        if hasattr(self, "_socks_options"):
            # The SOCKS proxy connects. Often it also looks up the host, which may be unknown here.
            connected: socket.socket = super()._new_conn()
            connected.settimeout(self._left())
            return connected
        try:
            return _connect(self)
        except socket.gaierror as exc:
            raise NameResolutionError(self.host, self, exc) from exc
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from exc
        except (OSError, UnicodeError) as exc:
            raise NewConnectionError(self, f"No connection to {self.host}: {exc}") from exc

    def _tunnel(self) -> None:
        super()._tunnel()
        cast(socket.socket, self.sock).settimeout(self._left())  # for the TLS handshake

    def _left(self) -> float:
        return max((self._deadline or 0.0) - time.monotonic(), _TICK)


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to a host. urllib3 would give the whole connect time-out to each of its addresses.

    The DNS look-up is not included: the resolver has its own time-out.
    """
    this: Any = connection  # _dns_host has the dot at the end, which changes the look-up
    addresses = _alternating(
        socket.getaddrinfo(this._dns_host.strip("[]"), connection.port, type=socket.SOCK_STREAM)
    )
    whole: float = this.timeout
    deadline = time.monotonic() + whole
    failure: OSError = TimeoutError()
    for position, each in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        # At least a second: to another continent a lost packet costs that much. But one address
        # does not get all of a short time-out.
        share = max(left / (len(addresses) - position), min(1.0, whole / 2))
        try:
            connected = _connect_to(each, connection.socket_options or (), min(share, left))
        except OSError as exc:
            failure = exc
            continue
        connected.settimeout(max(deadline - time.monotonic(), _TICK))
        return connected
    raise failure


def _connect_to(found: Any, options: Iterable[Any], timeout: float) -> socket.socket:
    """Connect to one address.

    :param found: what ``getaddrinfo`` found.
    """
    family, kind, protocol, _, address = found
    connected = socket.socket(family, kind, protocol)
    try:
        for option in options:
            connected.setsockopt(*option)
        connected.settimeout(timeout)
        connected.connect(address)
    except OSError:
        connected.close()
        raise
    return connected


def _alternating(addresses: list[Any]) -> list[Any]:
    """Sort addresses so that IPv6 and IPv4 take turns: one of the two may lead nowhere.

    RFC 8305 section 4.
    """
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    turns = itertools.zip_longest(first, others)
    return [each for turn in turns for each in turn if each is not None]


@functools.cache
def _extended(theirs: type[HTTPConnection], ours: type[_Connection]) -> type[HTTPConnection]:
    """Make a subclass of a connection class of urllib3 (plain, TLS or proxy) with ours first."""
    return type(theirs.__name__, (ours, theirs), {})


@functools.cache
def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """The TLS settings of this process, without a client certificate: see `new_tls_context`.

    Loading the trust store takes longer than a whole login, so it is done once in each process.
    """
    return new_tls_context(ca_bundle)


def new_tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Make TLS settings: certificates and names are always verified, TLS >= 1.2.

    :param ca_bundle: a file or folder of certificates to trust in place of requests' own.
    """
    where = ca_bundle or DEFAULT_CA_BUNDLE_PATH
    folder = os.path.isdir(where)
    context = ssl.create_default_context(
        cafile=None if folder else where, capath=where if folder else None
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_local(request: requests.PreparedRequest) -> bool:
    """Whether a request goes to this machine over plain http, so that no proxy may get it.

    A token is sent over plain http to this machine only, because there no one reads it on the way.
    """
    parts = urlsplit(str(request.url))
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


class SharedTLSAdapter(HTTPAdapter):
    """requests' adapter, with one TLS context for all its connections.

    :param ca_bundle: a file or folder of certificates to trust in place of requests' own.
    :param context: with a client certificate; None for the shared one, which has none.
    """

    _connections = _Connection

    def __init__(self, ca_bundle: str | None, *, context: ssl.SSLContext | None = None) -> None:
        self._ca_bundle = ca_bundle
        self._context = context
        super().__init__(pool_connections=_POOLS, pool_maxsize=_POOL_SIZE)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Find the pool for a request, direct or through a proxy; its connections are ours."""
        # requests makes the pools, also those of proxies, and has no setting for their class.
        pool: Any = super().get_connection_with_tls_context(
            request, verify, proxies=None if is_local(request) else proxies, cert=cert
        )
        theirs = pool.ConnectionCls  # read once: another thread may extend it at this moment
        if not issubclass(theirs, _Connection):
            pool.ConnectionCls = _extended(theirs, self._connections)
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """What to write into the request line: a path, or for a proxy perhaps the whole URL."""
        return super().request_url(request, None if is_local(request) else proxies)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """The key of the pool for a request: all requests to one host share it and its context."""
        if not self._is_ours(verify, cert):
            return super().build_connection_pool_key_attributes(request, verify, cert)
        parts = urlsplit(str(request.url))
        host = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
        if parts.scheme != "https":
            return host, {}
        context = self._context or tls_context(self._ca_bundle)
        return host, {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the context verifies. The base class would load a trust store here."""
        if not self._is_ours(verify, cert):
            base: Any = super()  # has no types in older releases
            base.cert_verify(conn, url, verify, cert)

    def _is_ours(self, verify: Any, cert: Any) -> bool:
        """Whether the caller wants what the shared context does, and no certificates of its own."""
        return cert is None and verify in (True, self._ca_bundle)


class BoundedAdapter(SharedTLSAdapter):
    """The same, with a limit on the time of a whole exchange."""

    _connections = BoundedConnection
