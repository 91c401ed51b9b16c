"""Sockets and TLS below requests: strict answers, a limit on time, and one trust store.

All sessions of a process share its connections, and an HTTP/1.1 answer does not say which request
it is for. Bytes left over from one exchange would be read as the answer to the next one, perhaps in
another session. http.client and urllib3 accept answers that are not valid. So this module refuses
an answer that breaks the rules of RFC 9112, and keeps a connection open only if the answer was read
to its end and nothing came after it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from http.client import (  # noqa: TID251 - the base of urllib3's own response_class
    BadStatusLine,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    IncompleteRead,
    LineTooLong,
    RemoteDisconnected,
)
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..protocol.urls import is_loopback

_POOLS = 1000  # hosts: more than any configuration has, so that no pool in use is closed
_POOL_SIZE = 32

#: Seconds without use after which a connection is not used again. Common load balancers close
#: theirs after 60, and many firewalls drop them later without closing them.
_LONGEST_IDLE = 50.0

_MAX_LINE = 65536  # this limit and the next one are those of http.client
_MAX_FIELDS = 100
_MAX_INFORMATIONAL = 100  # needed for APIs: they have no deadline that would end an endless series

_STATUS_LINE = re.compile(r"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\r\n\0]*))?\r?\n")
_FIELD_LINE = re.compile(r"([!-9;-~]+):([^\r\n\0]*)\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n\0]*)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_IDLE_TIMEOUT = re.compile(r"(?:.*[,;\s])?timeout\s*=\s*([0-9]{1,9})(?:[,;\s].*)?", re.IGNORECASE)
_WHITE_SPACE = " \t"
_TICK = 0.001  # seconds: the shortest time-out; 0 would mean not to wait at all


class MalformedAnswer(HTTPException):
    """An answer that breaks the rules of HTTP, so that its end is not certain."""


def status_before(error: BaseException | None) -> int | None:
    """The status that was received before an answer failed; None if there was none.

    A refresh token whose answer began with a 200 was used, even if nothing else was readable.
    """
    while error is not None:
        status = getattr(error, "received", None)
        if isinstance(status, int):
            return status
        error = error.__context__
    return None


def _read_fields(reader: io.BufferedReader) -> HTTPMessage:
    """Read header or trailer fields, and the empty line after them.

    RFC 9112 section 5.
    """
    lines: list[bytes] = []
    for _ in range(_MAX_FIELDS):
        line = reader.readline(_MAX_LINE + 1)
        if line in (b"\r\n", b"\n"):
            return _parse_fields(lines)
        if not line.endswith(b"\n"):
            raise LineTooLong("field line") if len(line) > _MAX_LINE else IncompleteRead(line)
        if line.startswith((b" ", b"\t")) and lines:  # it continues the one before (section 5.2)
            before = lines[-1].removesuffix(b"\n").removesuffix(b"\r")
            lines[-1] = before + b" " + line.lstrip(b" \t")
        else:
            lines.append(line)
    raise HTTPException(f"{_MAX_FIELDS} field lines or more")


def _parse_fields(lines: list[bytes]) -> HTTPMessage:
    fields = HTTPMessage()
    for line in lines:
        field = _FIELD_LINE.fullmatch(line.decode("latin-1"))
        if field is None:
            raise MalformedAnswer("a field line that is none")
        fields[field[1]] = field[2].strip(_WHITE_SPACE)
    return fields


class _Chunks(io.BufferedIOBase):
    """A reader for a chunked body that checks the chunks and remembers when the last one came.

    http.client and urllib3 each parse chunks themselves; both read from here, so that neither gets
    a chunk that is not valid.

    RFC 9112 section 7.1.
    """

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader
        #: Bytes left of the current chunk; 0 before the line end after it, None before the next
        #: chunk size.
        self._left: int | None = None
        self.ended = False

    def readline(self, limit: int | None = -1, /) -> bytes:
        """Read the size of the next chunk; after the last one, the end of the trailer section."""
        if self.ended:
            return b"\r\n"
        line = self._reader.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n") and len(line) <= _MAX_LINE:
            raise IncompleteRead(line)
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None or self._left is not None:
            raise MalformedAnswer("a chunk size that is none")
        self._left = int(size[1], 16)
        if self._left == 0:
            self.ended = True
            # With the last chunk the body is complete, even if trailers are cut off (section 8).
            with contextlib.suppress(IncompleteRead):
                _read_fields(self._reader)
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes of a chunk, or the line end after them."""
        return self._take(self._reader.read, size)

    def read1(self, size: int = -1, /) -> bytes:
        """Read the bytes of a chunk that are there already, or the line end after it."""
        return self._take(self._reader.read1, size)

    def _take(self, read: Callable[[int], bytes], size: int | None) -> bytes:
        if self._left:
            wanted = self._left if size is None or size < 0 else min(size, self._left)
            piece = read(wanted)
            self._left -= len(piece)
            return piece
        end = self._reader.read(2)
        if self._left is None or not b"\r\n".startswith(end):
            raise MalformedAnswer("no line end after a chunk")
        self._left = None
        return end

    def close(self) -> None:
        self._reader.close()
        super().close()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline, even if the other side sends its bytes very slowly.

    A socket's own time-out starts anew with each byte that arrives, so it does not limit a whole
    exchange.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._sock.gettimeout() != 0:  # 0: the caller only asks what is there, without waiting
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the whole exchange took too long")
            self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer whose end is certain, and that closes its connection if that cannot be reused."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock
        self._reader: io.BufferedReader = self.fp
        # Closes the connection; set by the connection, called once at the end of the answer.
        self.hang_up: Callable[[], None] | None = None

    def begin(self) -> None:
        """Read the head of the answer."""
        version, self.status, self.reason = self._read_status()
        self.version = 10 if version == "HTTP/1.0" else 11
        try:
            self.headers = self.msg = _read_fields(self._reader)
            self._find_end()
        except (HTTPException, OSError) as exc:
            cast(Any, exc).received = self.status  # see `status_before`
            raise
        if self.chunked:
            self.fp = cast(Any, _Chunks(self._reader))

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line of the final answer, and drop the informational answers before it.

        101 counts as final, because what follows it is not HTTP.

        RFC 9110 section 15.2.
        """
        for _ in range(_MAX_INFORMATIONAL):
            line = self._reader.readline(_MAX_LINE + 1).decode("latin-1")
            if not line:
                raise RemoteDisconnected("Remote end closed connection without response")
            parts = _STATUS_LINE.fullmatch(line)
            if parts is None:
                raise BadStatusLine(repr(line))
            status = int(parts[2])
            if status >= 200 or status == 101:
                return parts[1], status, (parts[3] or "").strip()
            _read_fields(self._reader)
        raise HTTPException(f"{_MAX_INFORMATIONAL} informational answers and no other")

    def _find_end(self) -> None:
        """Decide how the body is delimited.

        RFC 9112 sections 6.1 to 6.3.
        """
        this: Any = self  # the types of http.client do not have all its attributes
        self.chunked, self.chunk_left, self.length = False, None, None
        codings = self.headers.get_all("Transfer-Encoding", [])
        lengths = self.headers.get_all("Content-Length", [])
        if codings:
            # Our requests ask for no other coding, and HTTP/1.0 has none (section 6.1).
            if [each.lower() for each in codings] != ["chunked"] or self.version == 10:
                raise MalformedAnswer("a Transfer-Encoding that is not chunked alone")
            self.chunked = True
        elif lengths:
            values = {each.strip(_WHITE_SPACE) for line in lengths for each in line.split(",")}
            value = values.pop()
            if values or not _LENGTH.fullmatch(value):
                raise MalformedAnswer("a Content-Length that is not one number")
            self.length = int(value)
        if this._method == "HEAD" or self.status in (101, 204, 304):
            self.chunked, self.length = False, 0
        self.will_close = (
            this._check_close()
            or (self.length is None and not self.chunked)
            # With both headers, the chunks count (section 6.3), so the answer is clear and is not
            # refused. But a proxy on the way may have used the length instead, so the connection is
            # closed: what comes after such an answer cannot be trusted (section 6.1).
            or bool(codings and lengths)
            or self.status == 101
        )

    def _close_conn(self) -> None:
        """Release the connection; http.client calls this at the end of an answer or on an error."""
        # The connection may be reused only after a whole answer with nothing behind it.
        hang_up, self.hang_up = self.hang_up, None
        if hang_up is not None and self._is_whole() and self._is_last():
            hang_up = None
        base: Any = super()
        base._close_conn()
        if hang_up is not None:
            hang_up()

    def _is_whole(self) -> bool:
        return self.fp.ended if isinstance(self.fp, _Chunks) else self.length == 0

    def _is_last(self) -> bool:
        """Whether nothing came after the answer: in the buffer, in TLS or on the socket.

        Bytes that come later are found by urllib3, which checks the socket before it uses it again.
        """
        try:
            self._sock.settimeout(0)  # until urllib3 sets the time-out of the next request
            # None: a read would have to wait, so nothing is there. b"": the other side has closed.
            return cast(Any, self._reader.read(1)) is None
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False


class _BoundedResponse(_Response):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # urllib3 has just set the socket's time-out to what is left of the total one, so the
        # deadline is made from it.
        raw = cast(Any, self.fp).detach()
        self._reader = self.fp = cast(Any, io.BufferedReader(_DeadlineReader(raw, sock)))


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
    """Mixed into a connection class of urllib3: its answers are strict (`_Response`)."""

    response_class: Any = _Response
    #: By the monotonic clock; see `usable_for`.
    _usable_until: float = float("inf")

    def getresponse(self) -> Any:
        answer = super().getresponse()
        original: _Response = cast(Any, answer)._original_response
        answer.chunked = original.chunked  # urllib3 reads the headers itself, less strictly
        original.hang_up = self.close
        self._usable_until = time.monotonic() + usable_for(answer.headers.get("Keep-Alive", ""))
        return answer

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used again; the pool asks when it takes it out."""
        return time.monotonic() < self._usable_until and super().is_connected


class BoundedConnection(_Connection):
    """The same, with a limit on the time of a whole exchange."""

    response_class: Any = _BoundedResponse
    timeout: Any  # seconds
    #: The end of an exchange that began with connecting: urllib3 does not count the time that a
    #: proxy needs.
    _deadline: float | None = None

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
        this: Any = super()
        this._tunnel()
        cast(socket.socket, self.sock).settimeout(self._left())  # for the TLS handshake

    def getresponse(self) -> Any:
        if self._deadline is not None:
            self.timeout = min(self.timeout, self._left())
            self._deadline = None  # the next exchange does not have to connect
        return super().getresponse()

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
