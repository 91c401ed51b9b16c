"""One exchange: what is sent, what is taken, and how long anything may last. Real sockets."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.provider import Http
from flask_parjar.provider.http import MAX_BODY
from flask_parjar.provider.transport import tls_context
from tests.provider.raw_server import always, answer, raw_server, read_request

TIMEOUT = 0.6
#: What a busy machine may add to a bound before a test calls it broken.
SLACK = 1.0


def fails(http: Http, url: str, method: str = "GET") -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        http.send(method, url, form={"a": "b"} if method == "POST" else None)
    return caught.value


def test_a_form_is_sent_as_the_standards_want_it() -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(answer(b'{"ok": true}', headers="X-A: 1\r\n"))

    with raw_server(script) as server:
        got = Http(timeout=5).send(
            "POST", server.url + "par", form={"a": "1 2", "b": "ü&="}, authorization="Basic eA=="
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


def test_one_connection_serves_many_requests() -> None:
    with raw_server(always(answer(b"{}"))) as server:
        http = Http(timeout=5)
        for _ in range(5):
            assert http.send("POST", server.url, form={"a": "b"}).document == {}
        assert server.connections == 1


def test_a_closed_idle_connection_is_replaced_without_an_error() -> None:
    def once(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"{}"))

    with raw_server(once) as server:
        http = Http(timeout=5)
        for _ in range(3):
            assert http.send("POST", server.url, form={"a": "b"}).status == 200
            time.sleep(0.05)
        assert server.connections == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_json_object_has_no_document(body: bytes) -> None:
    with raw_server(always(answer(body))) as server:
        assert Http(timeout=5).send("GET", server.url).document is None


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with raw_server(always(answer(b""))) as inside:
        elsewhere = answer(b"", status="302 Found", headers=f"Location: {inside.url}\r\n")
        with raw_server(always(elsewhere)) as server:
            assert Http(timeout=5).send("GET", server.url).status == 302
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
    assert (error.code, error.status_hint) == ("provider_timeout", 503)


def test_a_server_that_never_answers_the_handshake() -> None:
    with raw_server(lambda connection: time.sleep(20)) as server:
        began = time.monotonic()
        error = fails(Http(timeout=TIMEOUT), server.url.replace("http:", "https:"))
        assert time.monotonic() - began < TIMEOUT + SLACK
    assert error.code == "provider_timeout"


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
    assert error.code == "provider_timeout"


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


@pytest.mark.parametrize("script", [reset, close_without_an_answer, cut_the_body, no_http])
def test_a_broken_connection_is_told_as_one(script) -> None:
    with raw_server(script) as server:
        error = fails(Http(timeout=5), server.url, "POST")
    assert (error.code, error.status_hint) == ("provider_unreachable", 503)
    assert "127.0.0.1" not in error.detail or "Connection" in error.detail


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = fails(Http(timeout=5), f"http://127.0.0.1:{port}/?secret=1")
    assert error.code == "provider_unreachable"
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
    assert (error.code, error.detail) == ("provider_answer", f"larger than {MAX_BODY} bytes")
    assert sent < 20 * MAX_BODY


@pytest.mark.parametrize("size, taken", [(MAX_BODY, True), (MAX_BODY + 1, False)])
def test_the_largest_body(size: int, taken: bool) -> None:
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    with raw_server(always(answer(body))) as server:
        if taken:
            assert len(Http(timeout=5).send("GET", server.url).body) == size
        else:
            assert fails(Http(timeout=5), server.url).code == "provider_answer"


def test_compression_nobody_asked_for_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with raw_server(always(answer(bomb, headers="Content-Encoding: gzip\r\n"))) as server:
        assert fails(Http(timeout=5), server.url).code == "provider_answer"


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
        assert http.send("GET", server.url).status == 200
        assert http.send("GET", server.url).status == 200
        assert server.connections == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_an_authority(
    server_context, ca_bundle, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, ca_bundle)
    with raw_server(always(answer(b"{}")), server_context) as server:
        assert Http(timeout=5).send("GET", server.url).status == 200


def test_a_folder_of_authorities(server_context, ca_bundle, tmp_path: Path) -> None:
    from subprocess import run

    (tmp_path / "ca.pem").write_bytes(Path(ca_bundle).read_bytes())
    run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    with raw_server(always(answer(b"{}")), server_context) as server:
        assert Http(timeout=5, ca_bundle=str(tmp_path)).send("GET", server.url).status == 200


def test_an_unknown_authority_is_refused(server_context) -> None:
    with raw_server(always(answer(b"{}")), server_context) as server:
        error = fails(Http(timeout=5), server.url)
    assert error.code == "provider_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in error.detail


def test_another_host_s_certificate_is_refused(authority, ca_bundle) -> None:
    with raw_server(always(answer(b"{}")), _context(authority, "other.example")) as server:
        error = fails(Http(timeout=5, ca_bundle=ca_bundle), server.url)
    assert error.code == "provider_unreachable"
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
                http.send("GET", server.url)
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
        assert Http(timeout=5).send("GET", "http://op.example/x?y=1").status == 200
    assert requests[0].startswith(b"GET http://op.example/x?y=1 HTTP/1.1\r\n")


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
            assert http.send("GET", server.url).document == {"via": 1}
            assert fails(Http(timeout=5), server.url).code == "provider_unreachable"
    assert connects[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())


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
        http.send("GET", server.url)
        child = os.fork()
        if child == 0:
            os._exit(0 if http.send("GET", server.url).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        http.send("GET", server.url)
        assert server.connections == 2


def test_many_threads_share_the_pool() -> None:
    with raw_server(always(answer(b"{}"))) as server:
        http = Http(timeout=5)

        def work() -> None:
            for _ in range(20):
                assert http.send("POST", server.url, form={"a": "b"}).status == 200

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections <= 8
