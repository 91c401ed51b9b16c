"""Strict answers of HTTP/1.1, and a limit on the time that reading one may take.

All sessions of a process share its connections, and an HTTP/1.1 answer does not say which request
it is for. Bytes left over from one exchange would be read as the answer to the next one, perhaps in
another session. http.client and urllib3 accept answers that are not valid. So this module refuses
an answer that breaks the rules of RFC 9112, and keeps a connection open only if the answer was read
to its end and nothing came after it.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import ssl
import time
from collections.abc import Callable
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

_MAX_LINE = 65536  # this limit and the next one are those of http.client
_MAX_FIELDS = 100
_MAX_INFORMATIONAL = 100  # needed for APIs: they have no deadline that would end an endless series

_STATUS_LINE = re.compile(r"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\r\n\0]*))?\r?\n")
_FIELD_LINE = re.compile(r"([!-9;-~]+):([^\r\n\0]*)\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n\0]*)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_WHITE_SPACE = " \t"


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

    def read_whole(self, limit: int) -> bytes:
        """Read all chunks, or so many bytes of them."""
        body = bytearray()
        while len(body) < limit:
            self.readline()
            if self.ended:
                break
            wanted = min(self._left or 0, limit - len(body))
            piece = self.read(wanted)
            if len(piece) < wanted:
                raise IncompleteRead(piece, wanted - len(piece))
            body += piece
            if self._left == 0:
                self.read(2)  # the line end
        return bytes(body)

    def close(self) -> None:
        self._reader.close()
        super().close()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline, even if the other side sends its bytes very slowly.

    A socket's own time-out starts anew with each byte that arrives, so it does not limit a whole
    exchange.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)

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


class StrictResponse(HTTPResponse):
    """An answer whose end is certain, and that closes its connection if that cannot be reused."""

    # Of http.client.
    status: int
    reason: str
    version: int
    headers: HTTPMessage
    msg: HTTPMessage
    fp: Any
    chunked: bool
    chunk_left: int | None
    length: int | None
    will_close: bool

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock
        self._reader: io.BufferedReader = self.fp
        self._chunks: _Chunks | None = None  # where the body is chunked
        # Closes the connection; set by the connection, called once at the end of the answer.
        self.hang_up: Callable[[], None] | None = None

    def begin(self) -> None:
        """Read the head of the answer."""
        version, self.status, self.reason = self._read_status()
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = _read_fields(self._reader)
        self._find_end()
        if self.chunked:
            self.fp = self._chunks = cast(Any, _Chunks(self._reader))

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

    def _read_body(self, limit: int) -> bytes:
        if self._chunks is not None:
            return self._chunks.read_whole(limit)
        wanted = limit if self.length is None else min(self.length, limit)
        body = self._reader.read(wanted)
        if self.length is not None:
            self.length -= len(body)
            if len(body) < wanted:
                raise IncompleteRead(body, self.length)
        return body

    def _close_conn(self) -> None:
        """Release the connection; http.client calls this at the end of an answer or on an error."""
        # The connection may be reused only after a whole answer with nothing behind it.
        hang_up, self.hang_up = self.hang_up, None
        if hang_up is not None and self._is_complete():
            hang_up = None
        base: Any = super()
        base._close_conn()
        if hang_up is not None:
            hang_up()

    def _is_complete(self) -> bool:
        """Whether all of the answer was read, and nothing came after it.

        It could be in the buffer, in TLS or on the socket. Bytes that come later are found by
        urllib3, which checks the socket before it uses it again.
        """
        if not (self.length == 0 if self._chunks is None else self._chunks.ended):
            return False
        try:
            self._sock.settimeout(0)  # until urllib3 sets the time-out of the next request
            # None: a read would have to wait, so nothing is there. b"": the other side has closed.
            return cast(Any, self._reader.read(1)) is None
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False


class BoundedResponse(StrictResponse):
    """An answer that is read as a whole, with a limit on the time of the exchange.

    :param sock: its time-out is what is left of the total one.
    """

    #: Whether the connection may be used again; known once the answer was read.
    keeps_connection: bool = False

    def __init__(self, sock: socket.socket, *, method: str) -> None:
        super().__init__(cast(Any, _DeadlineReader(sock)), method=method)
        self._sock = sock

    def read_whole(self, *, limit: int) -> bytes:
        """Read the head and the body.

        :param limit: how many bytes of the body are read.
        :raises HTTPException: the answer breaks a rule, or is cut off.
        :raises OSError: the network is broken, or the time is over.
        """
        try:
            self.begin()
            body = self._read_body(limit)
        except (HTTPException, OSError) as exc:
            cast(Any, exc).received = self.status  # see `status_before`
            raise
        self.keeps_connection = not self.will_close and self._is_complete()
        return body
