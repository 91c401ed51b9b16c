"""Requests that end in a WSGI app instead of a network."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flask_parjar.protocol.outbound import Outbound
from flask_parjar.provider import Http
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import wsgi_pool
from tests.support.site import Visitor, make_site

ORIGIN = "https://op.example"


class Pieces:
    """A body in pieces, which says when it was closed (PEP 3333)."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"a": '
        yield b"1}"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("length", [None, "8"], ids=["to the end", "with a length"])
@pytest.mark.parametrize("body", [[b'{"a": 1}'], Pieces()], ids=["list", "closable"])
def test_an_answer_is_read_whole_and_closed(body: Iterable[bytes], length: str | None) -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ)
        headers = [("Content-Type", "application/json")]
        start_response("200 OK", headers + ([("Content-Length", length)] if length else []))
        return body

    http = Http(timeout=5)
    http.mount(ORIGIN, wsgi_pool(app, ORIGIN))
    closed = getattr(body, "closed", 0)
    for _ in range(2):
        found = http.send(Outbound(method="GET", url=f"{ORIGIN}/path?q=1"))
        assert (found.status, found.document) == (200, {"a": 1})
    assert [each["PATH_INFO"] for each in seen] == ["/path", "/path"]
    assert [each["QUERY_STRING"] for each in seen] == ["q=1", "q=1"]
    assert {each["HTTP_HOST"] for each in seen} == {"op.example"}
    assert not isinstance(body, Pieces) or body.closed == closed + 2


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://op.example:443", "op.example"),
        ("http://op.example:80", "op.example"),
        ("https://op.example:80", "op.example:80"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://[::1]:443", "[::1]"),
    ],
)
def test_the_default_port_is_not_in_the_host(origin: str, host: str) -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["HTTP_HOST"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    http = Http(timeout=5)
    http.mount(origin, wsgi_pool(app, origin))
    http.send(Outbound(method="GET", url=f"{origin}/path"))
    assert seen == [host]


def test_a_site_and_its_provider_are_freed_after_their_test() -> None:
    """Each test makes both: without this, the memory of a test run would grow with its length."""
    provider = DevProvider("https://op.example")
    app = make_site(provider)
    Visitor(app, provider).log_in()
    made = [weakref.ref(each) for each in (app, provider, provider.app)]
    del app, provider
    gc.collect()
    assert [each() for each in made] == [None, None, None]


@pytest.mark.filterwarnings("error")
def test_an_app_that_raises_leaves_no_response_behind() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise LookupError("of the app")

    http = Http(timeout=5)
    http.mount(ORIGIN, wsgi_pool(app, ORIGIN))
    unraisable: list[object] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        with pytest.raises(LookupError):
            http.send(Outbound(method="GET", url=f"{ORIGIN}/"))
        gc.collect()
    finally:
        sys.unraisablehook = hook
    assert unraisable == []
