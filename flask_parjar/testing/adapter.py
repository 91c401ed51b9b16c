"""Requests straight into a WSGI app: no socket, no port, no thread.

Mounted on a ``requests.Session``, it answers for one origin; everything above it is what runs in
production too.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class WSGIAdapter(BaseAdapter):
    """A transport for ``requests`` that calls a WSGI app.

    Time-outs, TLS settings and proxies are accepted and mean nothing: there is no network.

    :param app: the app that answers; it is given the URL as it was called, host and all
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
        """Call the app. A streamed body is made as the caller reads it, not before."""
        body = request.body or b""
        if not isinstance(body, (str, bytes)):
            raise TypeError("only a body that is there whole can be sent to a WSGI app")
        parts = urlsplit(str(request.url))
        environ = EnvironBuilder(
            path=parts.path or "/",
            query_string=parts.query,
            base_url=f"{parts.scheme}://{parts.netloc}/",
            method=request.method or "GET",
            headers=[(name, str(value)) for name, value in request.headers.items()],
            input_stream=io.BytesIO(body.encode() if isinstance(body, str) else body),
        ).get_environ()
        pieces, status, headers = run_wsgi_app(self.app, environ)
        code, _, reason = status.partition(" ")
        pairs: Any = list(headers.items())  # urllib3 takes pairs; its annotation says a mapping
        raw = HTTPResponse(
            body=io.BufferedReader(_Body(pieces)),
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
        if not stream:
            _ = response.content
        return response

    def close(self) -> None:
        """There is nothing to close."""


class _Body(io.RawIOBase):
    """An app's body as a file: a piece is made when somebody reads it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._whole = pieces
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def close(self) -> None:
        """Tell the app that nobody reads on (PEP 3333)."""
        close = getattr(self._whole, "close", None)
        if not self.closed and close is not None:
            close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
