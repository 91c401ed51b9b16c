"""A browser that costs nothing: it calls an app's WSGI function, and times that call alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

from werkzeug.test import EnvironBuilder

from tests.benchmark.contract import SITE
from tests.benchmark.stub_process import sign_in

_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.5",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
}

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Spent(NamedTuple):
    """Seconds: of this thread on a processor, and of the clock on the wall."""

    cpu: float
    wall: float

    def and_(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


class Answer(NamedTuple):
    """One request, answered."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    spent: Spent

    @property
    def location(self) -> str:
        """Where the browser is sent."""
        return dict(self.headers)["Location"]

    @property
    def cookie_bytes(self) -> int:
        """The length of all `Set-Cookie` headers."""
        return sum(len(value) for name, value in self.headers if name == "Set-Cookie")


@cache
def _template(path: str) -> dict[str, Any]:
    builder = EnvironBuilder(path=path, base_url=SITE, headers=list(_HEADERS.items()))
    try:
        return builder.get_environ()
    finally:
        builder.close()


class Visitor:
    """Somebody with a fresh browser."""

    def __init__(self, app: WSGI) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}

    def get(self, path: str, query: str = "") -> Answer:
        """Make one request and keep the cookies that it brings."""
        environ = {**_template(path), "QUERY_STRING": query, "wsgi.input": BytesIO()}
        if self.cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        answer: list[Any] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            answer[:] = [status, headers]

        wall, cpu = time.perf_counter(), time.thread_time()
        chunks: Any = self._app(environ, start_response)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        spent = Spent(time.thread_time() - cpu, time.perf_counter() - wall)
        for name, value in answer[1]:
            if name == "Set-Cookie":
                self._keep(value)
        return Answer(answer[0], answer[1], body, spent)

    def _keep(self, header: str) -> None:
        name, _, value = header.partition(";")[0].partition("=")
        if value:
            self.cookies[name] = value
        else:
            self.cookies.pop(name, None)

    def leave(self) -> Answer:
        """Begin a login."""
        return self.get("/login")

    def way_back(self, fault: str = "good") -> str:
        """Begin a login and sign in at the provider: the query of the callback."""
        return sign_in(self.leave().location, fault)

    def log_in(self, fault: str = "good") -> Answer:
        """A whole login: the answer of the callback, and what both requests took together."""
        out = self.leave()
        back = self.get("/callback", sign_in(out.location, fault))
        return back._replace(spent=out.spent.and_(back.spent))
