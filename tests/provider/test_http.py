"""One exchange: what is sent, what is taken, and how long anything may last. Real sockets."""

from __future__ import annotations

import contextlib
import gc
import gzip
import itertools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import trustme

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.outbound import Answer, Outbound
from flask_parjar.provider import Http
from flask_parjar.provider.adapters import (
    MAX_BODY,
    BoundedAdapter,
    SharedTLSAdapter,
    tls_context,
    usable_for,
)
from tests.support.framing import ALLOWED, LAST, MALFORMED, NO_STATUS_LINES, SAID, chunked, sized
from tests.support.raw_server import RawServer, always, answer, raw_server, read_request
from tests.support.threads import at_once, switching_often

TIMEOUT = 0.4
#: What a busy machine may add to a bound before a test calls it broken.
SLACK = 1.0


def send(
    http: Http,
    method: str,
    url: str,
    form: dict[str, str] | None = None,
    authorization: str | None = None,
) -> Answer:
    """Send one request and read its answer."""
    fields = None if form is None else tuple(form.items())
    headers = {} if authorization is None else {"Authorization": authorization}
    return http.send(Outbound(method=method, url=url, form=fields, headers=headers))


def fails(http: Http, url: str, method: str = "GET") -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        send(http, method, url, form={"a": "b"} if method == "POST" else None)
    return caught.value


def test_a_form_is_sent_as_the_standards_want_it() -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(answer(b'{"ok": true}', headers="X-A: 1\r\n"))

    with raw_server(script) as server:
        got = send(
            Http(timeout=5),
            "POST",
            server.url + "par",
            form={"a": "1 2", "b": "ü&="},
            authorization="Basic eA==",
        )
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /par HTTP/1.1"
    assert set(lines[1:]) >= {
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Content-Type: application/x-www-form-urlencoded",
        "Authorization: Basic eA==",
    }
    assert body == b"a=1+2&b=%C3%BC%26%3D"
    assert (got.status, got.document, got.headers["X-A"]) == (200, {"ok": True}, "1")


@pytest.mark.parametrize(
    "keep_alive, seconds",
    [
        ("timeout=5", 4),  # Node
        ("timeout=5, max=100", 4),  # Apache
        ("max=100, Timeout = 20", 19),
        ("timeout=1", 0.5),
        ("timeout=0", 0),
        ("timeout=60", 50),
        ("timeout=999999999", 50),
        ("", 50),
        ("max=1", 50),
        ("timeout=", 50),
        ("timeout=5s", 50),
        ("timeout=-5", 50),
        ("notimeout=5", 50),
        ("timeout=99999999999999999999", 50),
    ],
)
def test_how_long_an_idle_connection_may_be_used(keep_alive: str, seconds: float) -> None:
    assert usable_for(keep_alive) == seconds


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("keep_alive, connections", [("timeout=9", 1), ("timeout=1", 2)])
def test_no_connection_is_used_that_the_server_is_about_to_close(
    keep_alive: str, connections: int, scheme: str, server_context, ca_bundle
) -> None:
    """A server that is busy may close it with the next request unread; that must not be a code."""
    script = always(answer(b"{}", headers=f"Keep-Alive: {keep_alive}\r\n"))
    with raw_server(script, server_context if scheme == "https" else None) as server:
        http = Http(timeout=5, ca_bundle=ca_bundle)
        for pause in (0, 0.6):
            time.sleep(pause)
            assert send(http, "POST", server.url, form={"a": "b"}).status == 200
        assert server.connections == connections


@pytest.mark.parametrize("rest, target", [("", "/"), ("?a=1", "/?a=1"), ("/a?b", "/a?b")])
def test_a_url_without_a_path_asks_for_the_root(rest: str, target: str) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(answer(b"{}", headers="Connection: close\r\n"))

    with raw_server(script) as server:
        assert send(Http(timeout=5), "GET", server.url.rstrip("/") + rest).status == 200
    assert requests[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())


def test_one_connection_serves_many_requests() -> None:
    with raw_server(always(answer(b"{}"))) as server:
        http = Http(timeout=5)
        for _ in range(5):
            assert send(http, "POST", server.url, form={"a": "b"}).document == {}
        assert server.connections == 1


def test_a_closed_idle_connection_is_replaced_without_an_error() -> None:
    def once(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"{}"))

    with raw_server(once) as server:
        http = Http(timeout=5)
        for _ in range(3):
            assert send(http, "POST", server.url, form={"a": "b"}).status == 200
            time.sleep(0.05)
        assert server.connections == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a":1,"a":2}', b"\xff"])
def test_a_body_that_is_no_json_object_has_no_document(body: bytes) -> None:
    with raw_server(always(answer(body))) as server:
        assert send(Http(timeout=5), "GET", server.url).document is None


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with raw_server(always(answer(b""))) as inside:
        elsewhere = answer(b"", status="302 Found", headers=f"Location: {inside.url}\r\n")
        with raw_server(always(elsewhere)) as server:
            assert send(Http(timeout=5), "GET", server.url).status == 302
        assert inside.connections == 0


def hang(connection: socket.socket) -> None:
    read_request(connection)
    time.sleep(20)


def hang_after_the_headers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    time.sleep(20)


def drip_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b" ")
        time.sleep(0.1)


def drip_the_headers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        connection.sendall(b"X-Drip: 1\r\n")
        time.sleep(0.1)


@pytest.mark.parametrize("script", [hang, hang_after_the_headers, drip_the_body, drip_the_headers])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_exchange_ends_in_time(script, scheme: str, server_context, ca_bundle) -> None:
    context = server_context if scheme == "https" else None
    with raw_server(script, context) as server:
        http = Http(timeout=TIMEOUT, ca_bundle=ca_bundle)
        began = time.monotonic()
        error = fails(http, server.url, "POST")
        assert time.monotonic() - began < TIMEOUT + SLACK
    assert (error.error_code, error.status_hint) == ("provider_timeout", 503)


def test_a_server_that_never_answers_the_handshake() -> None:
    with raw_server(lambda connection: time.sleep(20)) as server:
        began = time.monotonic()
        error = fails(Http(timeout=TIMEOUT), server.url.replace("http:", "https:"))
        assert time.monotonic() - began < TIMEOUT + SLACK
    assert error.error_code == "provider_timeout"


def test_a_full_backlog_times_out_on_connect() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            error = fails(Http(timeout=TIMEOUT), f"http://127.0.0.1:{port}/")
        finally:
            for each in waiting:
                each.close()
    assert error.error_code == "provider_timeout"


def reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def close_without_an_answer(connection: socket.socket) -> None:
    read_request(connection)


def cut_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}")


def no_http(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize("length", ["-5", "many", "2,x", "+2"])
def test_an_invalid_content_length_is_a_malformed_answer(length: str) -> None:
    """RFC 9112 section 6.3: what is behind it may be the answer to another request."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + b"{}")

    with raw_server(script) as server:
        error = fails(Http(timeout=5), server.url, "POST")
    assert (error.error_code, error.status_hint) == ("provider_answer", 502)
    assert error.received == 200  # so a refresh token that was sent counts as used


@pytest.mark.parametrize("script", [reset, close_without_an_answer, cut_the_body, no_http])
def test_a_broken_connection_is_reported_as_such(script) -> None:
    with raw_server(script) as server:
        error = fails(Http(timeout=5), server.url, "POST")
    assert (error.error_code, error.status_hint) == ("provider_unreachable", 503)
    assert "127.0.0.1" not in error.detail or "Connection" in error.detail


def test_a_port_where_no_server_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = fails(Http(timeout=5), f"http://127.0.0.1:{port}/?secret=1")
    assert error.error_code == "provider_unreachable"
    assert "secret" not in error.detail


def test_a_body_without_end_is_cut_off() -> None:
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
        for _ in range(800):
            connection.sendall(b" " * 65536)
            sent += 65536

    with raw_server(endless) as server:
        error = fails(Http(timeout=5), server.url)
        time.sleep(0.1)
    assert error.error_code == "provider_answer" and str(MAX_BODY) in error.detail
    assert sent < 20 * MAX_BODY


@pytest.mark.parametrize("size, taken", [(MAX_BODY, True), (MAX_BODY + 1, False)])
@pytest.mark.parametrize("chunk", [0, 1000, MAX_BODY - 1, MAX_BODY + 1])
def test_the_largest_body(size: int, taken: bool, chunk: int) -> None:
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    whole = answer(body)
    if chunk:
        pieces = [body[at : at + chunk] for at in range(0, size, chunk)]
        chunks = [f"{len(each):x}\r\n".encode() + each + b"\r\n" for each in pieces]
        whole = chunked(body=b"".join(chunks) + b"0\r\n\r\n")
    with raw_server(always(whole)) as server:
        if taken:
            assert len(send(Http(timeout=5), "GET", server.url).body) == size
        else:
            assert fails(Http(timeout=5), server.url).error_code == "provider_answer"


def head_of(outbound: Outbound) -> list[bytes]:
    """Send a request to a server of this test: the lines of its head as they come."""
    seen: list[bytes] = []

    def record(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer(b"{}"))

    with raw_server(record) as server:
        url = outbound.url.format(url=server.url.rstrip("/"), port=server.port)
        Http(timeout=5).send(replace(outbound, url=url))
    return seen[0].partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X": "a\r\nY: b"}),
        ("GET", {"X": "a\nY: b"}),
        ("GET", {"X": "a\0"}),
        ("GET", {"X": "\u00e9"}),
        ("GET", {"X: a\r\nY": "b"}),
        ("GET", {"X Y": "b"}),
        ("GET", {"": "b"}),
        ("GET /b HTTP/1.1\r\nX: a\r\n", {}),
    ],
)
def test_a_head_that_would_end_elsewhere_is_not_sent(method: str, headers: dict[str, str]) -> None:
    """Methods and headers are checked before; this is the last look at what is sent."""
    with pytest.raises(ValueError, match="not allowed"):
        head_of(Outbound(method=method, url="{url}/", headers=headers))


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("{url}/a?b", "/a?b", "127.0.0.1"),
        ("{url}/a b", "/a%20b", "127.0.0.1"),
        ("{url}/\u00e9", "/%C3%A9", "127.0.0.1"),
        ("{url}/a#b", "/a", "127.0.0.1"),
        ("HTTP://localhost:{port}?b", "/?b", "localhost"),
    ],
)
def test_the_head_of_a_request(url: str, target: str, host: str) -> None:
    """``Host`` is the authority of the URL (RFC 9110 section 7.2)."""
    first, *lines = head_of(Outbound.post(url, {"a": "b c"}))
    fields = dict(line.decode().split(": ") for line in lines)
    assert first == f"POST {target} HTTP/1.1".encode()
    assert fields["Host"].partition(":")[0] == host
    assert fields["Content-Length"] == "5"
    assert "Transfer-Encoding" not in fields and len(fields) == len(lines)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "br", "utf-8, gzip", "gzip,br"])
def test_compression_that_was_not_requested_is_not_unpacked(coding: str) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with raw_server(always(answer(bomb, headers=f"Content-Encoding: {coding}\r\n"))) as server:
        assert fails(Http(timeout=5), server.url).error_code == "provider_answer"


@pytest.mark.parametrize(
    "coding",
    [
        "identity",
        "IDENTITY",
        "",
        " ",
        "none",
        "utf-8",
        "UTF-8",
        "identity, utf-8",
    ],
)
def test_an_unknown_content_encoding_is_ignored(coding: str) -> None:
    """Some servers write a character set there, or nothing."""
    headers = f"Content-Encoding: {coding}\r\n"
    with raw_server(always(answer(b'{"a": 1}', headers=headers))) as server:
        assert send(Http(timeout=5), "GET", server.url).document == {"a": 1}


def test_each_of_many_addresses_is_given_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of five seconds is less than a connection to the other side of the world takes.

    What all of them take together stays bounded, as test_adapters.py has it.
    """
    given: list[float | None] = []

    class Unanswered(socket.socket):
        def connect(self, address: object, /) -> None:
            given.append(self.gettimeout())
            raise TimeoutError

    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 80))
        for number in range(1, 17)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: addresses)  # the resolver
    monkeypatch.setattr(socket, "socket", Unanswered)  # the network
    assert fails(Http(timeout=5), "http://op.example/").error_code == "provider_timeout"
    assert given and all(seconds is not None and 1 <= seconds <= 5 for seconds in given)


def test_the_addresses_of_both_kinds_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one kind leads nowhere, there would be no time left for the other (RFC 8305)."""
    tried: list[int] = []

    class Unanswered(socket.socket):
        def connect(self, address: object, /) -> None:
            tried.append(self.family)
            raise TimeoutError

    six = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))] * 4
    four = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))] * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: six + four)  # the resolver
    monkeypatch.setattr(socket, "socket", Unanswered)  # the network
    assert fails(Http(timeout=5), "http://op.example/").error_code == "provider_timeout"
    first, second = socket.AF_INET6, socket.AF_INET
    assert tried == [first, second, first, second, first, first]


@pytest.mark.parametrize("first", ["refused", "unknown to this machine"])
def test_an_address_that_does_not_answer_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with raw_server(always(answer(b"{}"))) as server:
        family = socket.AF_INET if first == "refused" else -7
        addresses = [
            (family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: addresses)  # the resolver
        assert send(Http(timeout=5), "GET", f"http://op.example:{server.port}/").status == 200


@pytest.mark.parametrize("host", ["id..example", f"{'a' * 64}.example", "unknown.invalid"])
def test_a_host_that_cannot_be_looked_up(host: str) -> None:
    error = fails(Http(timeout=5), f"http://{host}/?secret=1")
    assert error.error_code == "provider_unreachable"
    assert "secret" not in error.detail


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def _context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    return _context(authority, "127.0.0.1")


def test_tls_is_verified_by_the_given_authority(server_context, ca_bundle) -> None:
    with raw_server(always(answer(b"{}")), server_context) as server:
        http = Http(timeout=5, ca_bundle=ca_bundle)
        assert send(http, "GET", server.url).status == 200
        assert send(http, "GET", server.url).status == 200
        assert server.connections == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_an_authority(
    server_context, ca_bundle, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, ca_bundle)
    with raw_server(always(answer(b"{}")), server_context) as server:
        assert send(Http(timeout=5), "GET", server.url).status == 200


def test_a_folder_of_authorities(server_context, ca_bundle, tmp_path: Path) -> None:
    from subprocess import run

    (tmp_path / "ca.pem").write_bytes(Path(ca_bundle).read_bytes())
    run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    with raw_server(always(answer(b"{}")), server_context) as server:
        assert send(Http(timeout=5, ca_bundle=str(tmp_path)), "GET", server.url).status == 200


def test_an_unknown_authority_is_refused(server_context) -> None:
    with raw_server(always(answer(b"{}")), server_context) as server:
        error = fails(Http(timeout=5), server.url)
    assert error.error_code == "provider_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in error.detail


def test_another_host_s_certificate_is_refused(authority, ca_bundle) -> None:
    with raw_server(always(answer(b"{}")), _context(authority, "other.example")) as server:
        error = fails(Http(timeout=5, ca_bundle=ca_bundle), server.url)
    assert error.error_code == "provider_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in error.detail


def test_an_old_tls_version_is_refused(authority, ca_bundle) -> None:
    assert tls_context(ca_bundle).minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls_context(ca_bundle).verify_mode == ssl.CERT_REQUIRED
    assert tls_context(ca_bundle).check_hostname


def test_the_trust_store_is_loaded_once_a_process(server_context, ca_bundle) -> None:
    def closing(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"{}"))

    tls_context.cache_clear()
    with raw_server(closing, server_context) as server:
        for _ in range(2):
            http = Http(timeout=5, ca_bundle=ca_bundle)
            for _ in range(3):
                send(http, "GET", server.url)
                time.sleep(0.05)
        assert server.connections == 6
    assert tls_context.cache_info().misses == 1


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(answer(b"{}"))

    with raw_server(proxy) as server:
        monkeypatch.setenv("http_proxy", server.url)
        _without_exceptions(monkeypatch)
        assert send(Http(timeout=5), "GET", "http://op.example/x?y=1").status == 200
    assert requests[0].startswith(b"GET http://op.example/x?y=1 HTTP/1.1\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_plain_http_on_this_machine_goes_by_no_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with raw_server(always(answer(b'{"via": "proxy"}'))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        _without_exceptions(monkeypatch)
        with raw_server(always(answer(b'{"via": "nothing"}'))) as server:
            url = server.url.replace("127.0.0.1", host)
            assert send(Http(timeout=5), "GET", url).document == {"via": "nothing"}
        assert proxy.connections == 0


def test_https_through_a_proxy_is_verified_too(
    server_context, ca_bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    connects: list[bytes] = []

    with raw_server(always(answer(b'{"via": 1}')), server_context) as server:

        def proxy(connection: socket.socket) -> None:
            connects.append(connection.recv(65536).split(b"\r\n")[0])
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port)) as upstream:
                back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
                back.start()
                _copy(connection, upstream)

        with raw_server(proxy) as tunnel:
            monkeypatch.setenv("https_proxy", tunnel.url)
            _without_exceptions(monkeypatch)
            http = Http(timeout=5, ca_bundle=ca_bundle)
            assert send(http, "GET", server.url).document == {"via": 1}
            assert fails(Http(timeout=5), server.url).error_code == "provider_unreachable"
    assert connects[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionError("the client hung up")
        received += chunk
    return received


def _meet_as_socks_proxy(connection: socket.socket) -> str:
    """Take the first steps of RFC 1928 as the proxy; the host and port that are asked for."""
    _, methods = _receive(connection, 2)
    _receive(connection, methods)
    connection.sendall(b"\x05\x00")
    kind = _receive(connection, 4)[3]
    if kind == 1:
        host = socket.inet_ntoa(_receive(connection, 4))
    else:
        host = _receive(connection, _receive(connection, 1)[0]).decode()
    port = int.from_bytes(_receive(connection, 2), "big")
    connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
    return f"{host}:{port}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_socks_proxy_of_the_environment_is_used(
    authority, ca_bundle, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    pytest.importorskip("socks", reason="no PySocks: pip install requests[socks]")
    context = _context(authority, "op.example")
    asked: list[str] = []
    looked_up: list[object] = []
    look_up = socket.getaddrinfo

    def resolver(host: Any, *args: Any, **more: Any) -> Any:
        looked_up.append(host)
        return look_up(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    def proxy(connection: socket.socket) -> None:
        asked.append(_meet_as_socks_proxy(connection))
        if scheme == "http":
            always(answer(b'{"via": 1}'))(connection)
            return
        with context.wrap_socket(connection, server_side=True) as encrypted:
            always(answer(b'{"via": 1}'))(encrypted)

    with raw_server(proxy) as server:
        monkeypatch.setenv(f"{scheme}_proxy", f"socks5h://127.0.0.1:{server.port}")
        _without_exceptions(monkeypatch)
        http = Http(timeout=5, ca_bundle=ca_bundle)
        for _ in range(2):
            assert send(http, "GET", f"{scheme}://op.example/x").document == {"via": 1}
        assert server.connections == 1
    assert asked == ["op.example:443" if scheme == "https" else "op.example:80"]
    assert "op.example" not in looked_up  # with socks5h the proxy does it


def _listen_until_it_is_closed(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_proxy_that_answers_very_slowly(
    ca_bundle: str, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    """Its time-out would start anew with each byte."""

    def proxy(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        for _ in range(100):
            time.sleep(0.1)
            connection.sendall(b"x")

    with raw_server(proxy) as server:
        monkeypatch.setenv("https_proxy", server.url)
        _without_exceptions(monkeypatch)
        began = time.monotonic()
        error = fails(Http(timeout=TIMEOUT, ca_bundle=ca_bundle), "https://op.example/")
        assert time.monotonic() - began < TIMEOUT + SLACK
    assert error.error_code == "provider_timeout"


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("said", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 200 OK\r\nX"])
@pytest.mark.parametrize("adapter", [BoundedAdapter, SharedTLSAdapter])
def test_a_connection_whose_proxy_opens_no_tunnel_is_closed(
    ca_bundle: str, adapter: type[SharedTLSAdapter], said: bytes
) -> None:
    """At once: the error is still there, and the garbage collector does not help."""
    closed = threading.Event()

    def proxy(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(said)
        if connection.recv(1) == b"":
            closed.set()

    with raw_server(proxy) as server, requests.Session() as session, _no_collection():
        session.mount("https://", adapter(ca_bundle))
        session.proxies = {"https": server.url}
        with pytest.raises(requests.RequestException):
            session.get("https://op.example/", timeout=TIMEOUT)
        assert closed.wait(5)


@pytest.mark.parametrize("kind", ["https", "socks5h"])
@pytest.mark.parametrize("where", ["handshake", "answer"])
def test_the_time_that_a_proxy_needs_counts(
    authority, ca_bundle, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    pytest.importorskip("socks", reason="no PySocks: pip install requests[socks]")
    context = _context(authority, "op.example")
    needed = SLACK + 0.1  # so that it is seen if this time does not count
    timeout = needed + 0.3

    def proxy(connection: socket.socket) -> None:
        if kind == "https":
            read_request(connection)
            time.sleep(needed)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            time.sleep(needed)
            _meet_as_socks_proxy(connection)
        if where == "handshake":
            _listen_until_it_is_closed(connection)
        else:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                _listen_until_it_is_closed(encrypted)

    with raw_server(proxy) as server:
        url = server.url if kind == "https" else f"socks5h://127.0.0.1:{server.port}"
        monkeypatch.setenv("https_proxy", url)
        _without_exceptions(monkeypatch)
        began = time.monotonic()
        error = fails(Http(timeout=timeout, ca_bundle=ca_bundle), "https://op.example/")
        assert time.monotonic() - began < timeout + SLACK
    assert error.error_code == "provider_timeout"


def _without_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
    except OSError:
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_worker_opens_connections_of_its_own() -> None:
    with raw_server(always(answer(b"{}"))) as server:
        http = Http(timeout=5)
        send(http, "GET", server.url)
        child = os.fork()
        if child == 0:
            os._exit(0 if send(http, "GET", server.url).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        send(http, "GET", server.url)
        assert server.connections == 2


def test_many_threads_share_the_pool() -> None:
    with raw_server(always(answer(b"{}"))) as server:
        http = Http(timeout=5)

        def work() -> None:
            for _ in range(20):
                assert send(http, "POST", server.url, form={"a": "b"}).status == 200

        at_once([work] * 8)
        assert server.connections <= 8


# What belongs to an exchange stays in it.

#: The ways to a provider: straight to the pool; and through an adapter, behind a proxy or mounted.
WAYS = ["pool", "proxy"]
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
FALSE = b'{"to":"another"}'
BUFFER = 8192  # what a socket's file reads at once

#: Says what goes over the wire to somebody, and whether the connection is still good.
Say = Callable[[socket.socket, bytes], bool]


class Desk:
    """Tells each who asks who they are, in a way that a test may change.

    :param first: how, for the first requests
    :param then: how, for the others
    :param ended: counts the connections that the other side has closed
    """

    def __init__(self) -> None:
        self.first: list[Say] = []
        self.then: Say = honest
        self.ended = threading.Semaphore(0)

    def __call__(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := read_request(connection):
                say = self.first.pop(0) if self.first else self.then
                if not say(connection, _who(request)):
                    return
        self.ended.release()


def _who(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2].removeprefix(b"who=")


def told(who: bytes) -> bytes:
    return b'{"to":"%s"}' % who


def honest(connection: socket.socket, who: bytes) -> bool:
    connection.sendall(answer(told(who)))
    return True


def sent_together(*before: bytes, after: bytes = b"") -> Say:
    """The honest answer, with more bytes around it."""

    def say(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(b"".join(before) + answer(told(who)) + after)
        return True

    return say


def instead(*pieces: bytes, pause: float = 0, sent: threading.Event | None = None) -> Say:
    """Something else than the honest answer, in pieces.

    :param sent: is set after the last piece, so that a busy machine makes no difference.
    """

    def say(connection: socket.socket, who: bytes) -> bool:
        for piece in pieces:
            with contextlib.suppress(OSError):  # the other side may have closed before the last
                connection.sendall(piece)
            time.sleep(pause)
        if sent is not None:
            sent.set()
        return True

    return say


class Reached(NamedTuple):
    """A way to a desk: what sends there, and to which URL."""

    http: Http
    url: str
    desk: Desk
    server: RawServer

    def ask(self, who: str) -> Mapping[str, object] | None:
        return send(self.http, "POST", self.url, form={"who": who}).document

    def refused(self, who: str) -> ProviderUnavailable:
        with pytest.raises(ProviderUnavailable) as caught:
            self.ask(who)
        return caught.value

    def was_closed(self) -> bool:
        """Whether a connection was closed by us, so that the desk saw the end of it."""
        return self.desk.ended.acquire(timeout=2)


@contextlib.contextmanager
def reach(way: str, *, timeout: float = 5, **tls: Any) -> Iterator[Reached]:
    desk = Desk()
    with raw_server(desk, tls.get("context")) as server, pytest.MonkeyPatch.context() as patched:
        url = server.url
        if way == "proxy":
            patched.setenv("http_proxy", server.url)
            _without_exceptions(patched)
            url = "http://op.example/"
        http = Http(timeout=timeout, ca_bundle=tls.get("ca_bundle"))
        yield Reached(http, url, desk, server)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "before",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"HTTP/1.1 102 Processing\r\n\r\n"] * 3,
        [EARLY_HINTS],
        [b"HTTP/1.1 100\r\n\r\n", EARLY_HINTS, b"HTTP/1.0 199 Odd\nContent-Length: 5\n\n"],
        [b"HTTP/1.1 110 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"],
    ],
    ids=["100", "102", "103", "several", "framed"],
)
def test_the_answer_is_the_final_one(way: str, before: list[bytes]) -> None:
    """It may come with what is before it, or later, when the connection would be another's."""

    def later(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(b"".join(before))
        time.sleep(0.02)
        return honest(connection, who)

    with reach(way) as reached:
        reached.desk.first = [honest, sent_together(*before), later, honest, later]
        for who in ("ada", "bob", "eve", "grace", "kim"):
            got = send(reached.http, "POST", reached.url, form={"who": who})
            assert (got.status, got.document) == (200, {"to": who})
            assert "Link" not in got.headers
        assert reached.server.connections == 1


@pytest.mark.parametrize("way", WAYS)
def test_informational_answers_end(way: str) -> None:
    flood = sent_together(EARLY_HINTS * 500)
    with reach(way) as reached:
        reached.desk.first = [flood]
        assert reached.refused("ada").error_code == "provider_unreachable"
        assert reached.ask("bob") == {"to": "bob"}
        assert reached.server.connections == 2


@pytest.mark.parametrize("way", ["pool", "proxy"])
def test_informational_answers_end_in_time(way: str) -> None:
    def drip(connection: socket.socket, who: bytes) -> bool:
        for _ in range(100):
            connection.sendall(EARLY_HINTS)
            time.sleep(0.05)
        return honest(connection, who)

    with reach(way, timeout=0.3) as reached:
        reached.desk.first = [drip]
        began = time.monotonic()
        assert reached.refused("ada").error_code == "provider_timeout"
        assert time.monotonic() - began < 0.3 + SLACK
        assert reached.ask("bob") == {"to": "bob"}


def test_the_fields_of_an_informational_answer_end() -> None:
    for fields in (b"X: 1\r\n" * 200, b"X: " + b"1" * 70_000 + b"\r\n"):
        with reach("pool") as reached:
            reached.desk.first = [sent_together(b"HTTP/1.1 103 X\r\n" + fields + b"\r\n")]
            assert reached.refused("ada").error_code == "provider_unreachable"


def test_a_malformed_informational_answer() -> None:
    with reach("pool") as reached:
        reached.desk.first = [sent_together(b"HTTP/1.1 103 X\r\nLink : a\r\n\r\n")]
        assert reached.refused("ada").error_code == "provider_answer"


@pytest.mark.parametrize("way", WAYS)
def test_another_protocol_that_was_not_asked_for(way: str) -> None:
    """What follows is not HTTP, so it is not read and the connection is closed."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    with reach(way) as reached:
        reached.desk.first = [sent_together(switch)]
        got = send(reached.http, "POST", reached.url, form={"who": "ada"})
        assert (got.status, got.body) == (101, b"")
        assert reached.was_closed()
        assert reached.ask("bob") == {"to": "bob"}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("first", [b"HTTP/1.1 100 Continue\r\n\r\n", EARLY_HINTS])
def test_informational_answers_of_a_proxy(
    server_context, ca_bundle, scheme: str, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before the tunnel is there."""
    context = server_context if scheme == "https" else None
    with raw_server(always(answer(b'{"via": 1}')), context) as server:

        def proxy(connection: socket.socket) -> None:
            asked = read_request(connection)
            connection.sendall(first)
            if asked.startswith(b"CONNECT "):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port)) as upstream:
                if not asked.startswith(b"CONNECT "):
                    upstream.sendall(asked)
                back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
                back.start()
                _copy(connection, upstream)

        url = server.url if context else "http://op.example/"
        with raw_server(proxy) as between:
            monkeypatch.setenv(f"{scheme}_proxy", between.url)
            _without_exceptions(monkeypatch)
            http = Http(timeout=5, ca_bundle=ca_bundle)
            for _ in range(2):
                assert send(http, "GET", url).document == {"via": 1}
            assert between.connections == 1


#: What may follow an answer, at once.
SURPLUS = {
    "another answer": answer(FALSE),
    "a part of one": answer(FALSE)[:30],
    "a byte": b"x",
    "a line end": b"\r\n",
    "more than the length": b" " * 20_000,
    "more than a record": b" " * 200_000,
    "an informational answer": EARLY_HINTS,
}


@pytest.mark.parametrize("way", [*WAYS, "https"])
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
def test_data_after_an_answer_reaches_no_other_request(
    server_context, ca_bundle, way: str, surplus: bytes
) -> None:
    tls = {"context": server_context, "ca_bundle": ca_bundle} if way == "https" else {}
    with reach(way, **tls) as reached:
        reached.desk.first = [
            honest,
            sent_together(after=surplus),
            honest,
            sent_together(after=surplus),
        ]
        for who in ("ada", "bob", "eve", "grace", "kim"):
            assert reached.ask(who) == {"to": who}
        assert reached.was_closed() and reached.was_closed()
        assert reached.server.connections == 3


@pytest.mark.parametrize("surplus", [answer(FALSE), answer(FALSE)[:30], b"\r\n"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_late_data_after_an_answer_reaches_no_other_request(
    server_context, ca_bundle, scheme: str, surplus: bytes
) -> None:
    """It waits in the socket for the next who uses the connection."""
    tls = {"context": server_context, "ca_bundle": ca_bundle} if scheme == "https" else {}
    sent = threading.Event()

    def twice(connection: socket.socket, who: bytes) -> bool:
        honest(connection, who)
        time.sleep(0.05)
        connection.sendall(surplus)
        sent.set()
        return True

    with reach("pool", **tls) as reached:
        reached.desk.first = [twice]
        assert reached.ask("ada") == {"to": "ada"}
        assert sent.wait(2)
        time.sleep(0.02)
        assert reached.ask("bob") == {"to": "bob"}
        assert reached.server.connections == 2


def test_data_in_the_tls_buffer_reaches_no_other_request(server_context, ca_bundle) -> None:
    """One record holds the end of an answer and another one: no look at the socket shows that."""

    def fill(connection: socket.socket, who: bytes) -> bool:
        own = answer(told(who) + b" " * (BUFFER - 1000))
        own = own.replace(b"\r\n\r\n", b"\r\nX: %b\r\n\r\n", 1)
        connection.sendall(own % (b"x" * (BUFFER + 2 - len(own))) + answer(FALSE))
        return True

    with reach("pool", context=server_context, ca_bundle=ca_bundle) as reached:
        reached.desk.first = [fill]
        assert reached.ask("ada") == {"to": "ada"}
        assert reached.ask("bob") == {"to": "bob"}


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trailers", [b"", b"Expires: 0\r\n"])
def test_data_after_the_last_chunk_reaches_no_other_request(way: str, trailers: bytes) -> None:
    with reach(way) as reached:
        whole = CHUNKED + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n"
        reached.desk.first = [instead(whole), instead(whole + answer(FALSE)[:30])]
        assert reached.ask("ada") == {} == reached.ask("bob")
        assert reached.was_closed()
        assert reached.ask("eve") == {"to": "eve"}
        assert reached.server.connections == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("framing", ["Content-Length: 16", "Transfer-Encoding: chunked", "X: 1"])
@pytest.mark.parametrize("pause", [0, 0.02])
def test_a_body_where_none_can_be_reaches_no_other(
    way: str, status: str, framing: str, pause: float
) -> None:
    head = f"HTTP/1.1 {status}\r\n{framing}\r\n\r\n".encode()
    with reach(way) as reached:
        pieces = [head, FALSE] if pause else [head + FALSE]
        sent = threading.Event()
        reached.desk.first = [instead(*pieces, pause=pause, sent=sent)]
        got = send(reached.http, "POST", reached.url, form={"who": "ada"})
        assert (got.status, got.body) == (int(status[:3]), b"")
        assert sent.wait(5)
        assert reached.ask("bob") == {"to": "bob"}
        assert reached.server.connections == 2


def test_answers_without_a_body_keep_the_connection() -> None:
    """Whatever they say of its length, as RFC 9110 allows of some."""
    heads = [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ]
    with reach("pool") as reached:
        reached.desk.first = [instead(head) for head in heads]
        for _ in heads:
            assert send(reached.http, "POST", reached.url, form={"who": "ada"}).body == b""
        reached.desk.first = [instead(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")]
        assert send(reached.http, "HEAD", reached.url).body == b""
        assert reached.ask("bob") == {"to": "bob"}
        assert reached.server.connections == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_late_answer_reaches_no_other(way: str) -> None:
    answered = threading.Event()

    def late(connection: socket.socket, who: bytes) -> bool:
        time.sleep(0.3)
        with contextlib.suppress(OSError):
            honest(connection, who)
        answered.set()
        return False

    def late_end(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(answer(told(who))[:-3])
        return late(connection, who)

    for say in (late, late_end):
        with reach(way, timeout=0.15) as reached:
            reached.desk.first = [say]
            assert reached.refused("ada").error_code == "provider_timeout"
            assert reached.ask("bob") == {"to": "bob"}
            assert answered.wait(2)
            answered.clear()
            assert reached.ask("eve") == {"to": "eve"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + FALSE[:8],
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 2",
        EARLY_HINTS,
        EARLY_HINTS[:30],
        CHUNKED,
        CHUNKED + b"1",
        CHUNKED + b"10\r\n" + FALSE[:8],
        CHUNKED + b"10\r\n" + FALSE,
        CHUNKED + b"10\r\n" + FALSE + b"\r",
        CHUNKED + b"10\r\n" + FALSE + b"\r\n",
    ],
)
def test_a_truncated_answer_is_an_error(way: str, half: bytes) -> None:
    def cut(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(half)
        return False

    with reach(way) as reached:
        reached.desk.first = [cut]
        assert reached.refused("ada").error_code == "provider_unreachable"
        assert reached.ask("bob") == {"to": "bob"}


def test_a_body_in_chunks_is_whole_with_the_last_one() -> None:
    """RFC 9112 section 8; some servers end the connection in place of the trailer section."""

    def cut(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n")
        return False

    with reach("pool") as reached:
        reached.desk.first = [cut]
        assert reached.ask("ada") == {}
        assert reached.ask("bob") == {"to": "bob"}


@pytest.mark.parametrize("way", WAYS)
def test_an_unusual_answer_is_read_and_its_connection_kept(way: str) -> None:
    with reach(way) as reached:
        for name, whole in ALLOWED.items():
            reached.desk.first = [instead(whole)]
            got = send(reached.http, "POST", reached.url, form={"who": "ada"})
            assert (name, got.status, got.body) == (name, 200, SAID)
        assert reached.server.connections == 1


def test_a_value_that_goes_on_is_one_value() -> None:
    with reach("pool") as reached:
        reached.desk.first = [instead(ALLOWED["a value that goes on"])]
        got = send(reached.http, "GET", reached.url)
        assert got.headers["X-Long"] == "a b  c"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whole", LAST.values(), ids=LAST)
def test_an_answer_after_which_the_connection_is_closed(way: str, whole: bytes) -> None:
    with reach(way) as reached:
        reached.desk.first = [instead(whole)]
        assert send(reached.http, "POST", reached.url, form={"who": "ada"}).body == SAID
        assert reached.was_closed()
        assert reached.ask("bob") == {"to": "bob"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whole", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_refused(way: str, whole: bytes) -> None:
    """And what is left of it reaches no other, though it ends like a good one."""
    with reach(way) as reached:
        reached.desk.first = [instead(whole)]
        error = reached.refused("ada")
        assert (error.error_code, error.status_hint) == ("provider_answer", 502)
        assert reached.was_closed()
        assert reached.ask("bob") == {"to": "bob"}
        assert reached.server.connections == 2


@pytest.mark.parametrize("line", NO_STATUS_LINES)
def test_an_invalid_status_line(line: str) -> None:
    with reach("pool") as reached:
        reached.desk.first = [instead(sized("7", head=f"{line}\r\n"))]
        assert reached.refused("ada").error_code == "provider_unreachable"
        assert reached.was_closed()
        assert reached.ask("bob") == {"to": "bob"}


def test_a_server_that_speaks_first_is_not_waited_for() -> None:
    with raw_server(always(b"220 mail.example ESMTP\r\n")) as server:
        began = time.monotonic()
        assert fails(Http(timeout=5), server.url).error_code == "provider_unreachable"
        assert time.monotonic() - began < SLACK


@pytest.mark.parametrize("way", WAYS)
def test_threads_and_a_provider_that_does_everything_wrong(way: str) -> None:
    """Whatever comes for one reaches no other; who is told something is told of themselves."""
    number = itertools.count()

    def early(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(EARLY_HINTS)
        time.sleep(0.01)
        return honest(connection, who)

    def half(connection: socket.socket, who: bytes) -> bool:
        connection.sendall(answer(told(who))[:-3])
        return False

    def late(connection: socket.socket, who: bytes) -> bool:
        time.sleep(0.35)
        return honest(connection, who)

    ways: list[Say] = [
        honest,
        early,
        sent_together(after=answer(FALSE)),
        sent_together(EARLY_HINTS, after=b"HTTP/1.1 200 OK\r\n"),
        half,
        instead(chunked("gzip, chunked")),
        honest,
        instead(b"HTTP/1.1 204 No Content\r\n\r\n" + answer(FALSE)),
    ]

    def wrong(connection: socket.socket, who: bytes) -> bool:
        turn = next(number)
        return late(connection, who) if turn % 97 == 0 else ways[turn % len(ways)](connection, who)

    heard: list[tuple[str, object]] = []

    def work(name: str, reached: Reached) -> None:
        for turn in range(24):
            who = f"{name}{turn}"
            with contextlib.suppress(ProviderUnavailable):
                got = reached.ask(who)
                if got is not None:
                    heard.append((who, got["to"]))

    with reach(way, timeout=0.3) as reached:
        reached.desk.then = wrong
        with switching_often():
            at_once([partial(work, name, reached) for name in "abcdefgh"])
    assert len(heard) > 24
    assert [pair for pair in heard if pair[0] != pair[1]] == []
