"""The client certificate on real TLS connections: who sees it, and what a renewal does."""

from __future__ import annotations

import gc
import logging
import os
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.mutual_tls import BoundToken
from flask_parjar.protocol.outbound import CURRENT_CERTIFICATE, Outbound
from flask_parjar.provider.api import ApiSession
from flask_parjar.provider.http import Http
from flask_parjar.provider.pools import KEPT_FOR, CertificateFiles, CertifiedPools
from tests.support.certificates import DAY, PairFiles, make_pair
from tests.support.clock import Clock, WallClock
from tests.support.errors import error_of, invalid, refused
from tests.support.raw_server import RawServer, answer, raw_server, read_request

ROOT = make_pair("root", authority=True)
SERVER = make_pair("server", issuer=ROOT, host="127.0.0.1")


class Asking:
    """A server that asks for a certificate, and remembers what it saw."""

    def __init__(self, server: RawServer, seen: list[str | None]) -> None:
        self.url = server.url
        self.server = server
        self.seen = seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("server")
    (found / "root.pem").write_text(ROOT.pem)
    (found / "server.pem").write_text(SERVER.pem + SERVER.key_pem)
    return found


@contextmanager
def asking(
    folder: Path, *, demands: bool = False, reply: bytes = answer(b"{}")
) -> Iterator[Asking]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(folder / "root.pem")
    seen: list[str | None] = []

    def script(connection: Any) -> None:
        while read_request(connection):
            shown = connection.getpeercert()
            names = dict(pair for (pair,) in (shown or {}).get("subject", ()))
            seen.append(names.get("commonName"))
            connection.sendall(reply)

    with raw_server(script, context) as server:
        yield Asking(server, seen)


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    return PairFiles(tmp_path, make_pair("first", issuer=ROOT))


def paths(files: PairFiles) -> CertificateFiles:
    return CertificateFiles(str(files.certificate), str(files.key))


@pytest.fixture
def http(files: PairFiles, folder: Path) -> Http:
    return Http(timeout=10, ca_bundle=str(folder / "root.pem"), tls=paths(files))


def call(http: Http, url: str, certificate: str | None = CURRENT_CERTIFICATE) -> str | None:
    """Call, and give the thumbprint that we say was presented."""
    answered = http.send(Outbound(method="GET", url=url, certificate=certificate))
    assert answered.status == 200
    return answered.certificate


def test_only_requests_that_say_so_present_it(http: Http, files: PairFiles, folder: Path) -> None:
    with asking(folder) as server:
        assert call(http, server.url) == files.pair.thumbprint
        assert call(http, server.url, None) is None
        assert call(http, server.url, files.pair.thumbprint) == files.pair.thumbprint
        without = Http(timeout=10, ca_bundle=str(folder / "root.pem"))
        assert call(without, server.url) is None
        assert server.seen == ["first", None, "first", None]
        assert server.server.connections == 3  # one pool for each


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_does_not_accept_it(tmp_path: Path, folder: Path, version: Any) -> None:
    files = PairFiles(tmp_path, make_pair("of no authority"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "root.pem")
    context.minimum_version = context.maximum_version = version
    http = Http(timeout=10, ca_bundle=str(folder / "root.pem"), tls=paths(files))
    with raw_server(lambda connection: None, context) as server:
        error = error_of(call, http, server.url)
    # With TLS 1.3 our request can meet a closed connection before the alert was read.
    codes = ["client_certificate_refused"]
    codes += ["provider_unreachable"] if version == ssl.TLSVersion.TLSv1_3 else []
    assert error.error_code in codes
    assert "ALERT" in error.detail or "client certificate" in error.detail


def test_no_connection_may_be_because_of_the_certificate(http: Http) -> None:
    with raw_server(lambda connection: None) as server:
        error = error_of(call, http, server.url.replace("http:", "https:"))
        without = error_of(call, http, server.url.replace("http:", "https:"), None)
    assert error.error_code == without.error_code == "provider_unreachable"
    assert "client certificate" in error.detail and "client certificate" not in without.detail


def test_a_certificate_that_has_ended(http: Http, folder: Path, wall_clock: WallClock) -> None:
    wall_clock.ahead = 100 * DAY
    with asking(folder) as server:
        with refused(ProviderUnavailable, "client_certificate_ended"):
            call(http, server.url)
        assert server.server.connections == 0


@pytest.mark.parametrize("bad", ["expired", "not yet valid", "of another key", "no file"])
def test_files_that_cannot_be_used_at_start(tmp_path: Path, bad: str) -> None:
    pair = {
        "expired": make_pair(begins=-2 * DAY, ends=-DAY),
        "not yet valid": make_pair(begins=DAY),
    }.get(bad, make_pair())
    files = PairFiles(tmp_path, pair)
    if bad == "of another key":
        files.key.write_text(make_pair().key_pem)
    if bad == "no file":
        files.key.unlink()
    with pytest.raises(OSError if bad == "no file" else ValueError):
        CertifiedPools(paths(files), None)


# A renewal.


def test_a_renewed_certificate_is_used_by_the_next_request(
    http: Http, files: PairFiles, folder: Path
) -> None:
    with asking(folder) as server:
        call(http, server.url)
        for name in ("second", "third"):
            files.write(make_pair(name, issuer=ROOT))
            assert call(http, server.url) == files.pair.thumbprint
            assert call(http, server.url) == files.pair.thumbprint
        assert server.seen == ["first", "second", "second", "third", "third"]
        assert server.server.connections == 3


def test_the_certificate_before_is_kept_for_its_tokens_for_a_minute(
    files: PairFiles, folder: Path
) -> None:
    clock = Clock()
    pools = CertifiedPools(paths(files), None, clock=clock)
    first = files.pair.thumbprint
    former = weakref.ref(pools.find(first).pools)
    files.write(make_pair("second", issuer=ROOT))
    second = files.pair.thumbprint

    def found(wanted: str) -> str:
        return pools.find(wanted).certificate.thumbprint

    assert (found(CURRENT_CERTIFICATE), found(first), found(second)) == (second, first, second)
    assert [each.certificate.thumbprint for each in pools.in_use()] == [second, first]
    clock.now += KEPT_FOR
    assert (found(CURRENT_CERTIFICATE), found(first), found("unknown")) == (second,) * 3
    assert len(pools.in_use()) == 1
    gc.collect()
    assert former() is None  # its connections are closed
    for name in "abcdef":
        files.write(make_pair(name, issuer=ROOT))
        assert found(CURRENT_CERTIFICATE) == files.pair.thumbprint
    assert len(pools.in_use()) == 4


def test_our_certificates_are_known_by_what_is_in_the_files(http: Http, files: PairFiles) -> None:
    assert [each.thumbprint for each in http.certificates] == [files.pair.thumbprint]
    first = files.pair.thumbprint
    files.write(make_pair("second", issuer=ROOT))
    assert [each.thumbprint for each in http.certificates] == [files.pair.thumbprint, first]
    assert Http(timeout=5).certificates == ()


def test_half_of_a_pair_is_not_used(
    http: Http, files: PairFiles, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renewed = make_pair("second", issuer=ROOT)
    with asking(folder) as server:
        files.replace(files.certificate, renewed.pem)
        for _ in range(3):
            assert call(http, server.url) == files.pair.thumbprint
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert "PARJAR_CLIENT_CERT" in record.getMessage()
        files.replace(files.key, renewed.key_pem)
        assert call(http, server.url) == renewed.thumbprint
        assert server.seen == ["first"] * 3 + ["second"]


@pytest.mark.parametrize(
    "bad", ["empty", "cut", "no certificate", "expired", "not yet valid", "encrypted", "gone"]
)
def test_files_that_cannot_be_used_leave_the_certificate_before(
    http: Http, files: PairFiles, folder: Path, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = files.pair
    renewed = make_pair(
        "second",
        issuer=ROOT,
        begins=DAY if bad == "not yet valid" else -2 * DAY,
        ends=-DAY if bad == "expired" else 90 * DAY,
    )
    files.write(renewed)
    if bad == "empty":
        files.certificate.write_text("")
    elif bad == "cut":
        files.key.write_text(renewed.key_pem[:90])
    elif bad == "no certificate":
        files.certificate.write_bytes(b"\xff\xfe")
    elif bad == "encrypted":
        files.key.write_text(renewed.encrypted_key_pem())
    elif bad == "gone":
        files.certificate.unlink()
    with asking(folder) as server:
        assert [call(http, server.url) for _ in "12"] == [first.thumbprint] * 2
        assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
        assert files.key.read_text()[30:60] not in caplog.text
        last = make_pair("third", issuer=ROOT)
        files.write(last)
        assert call(http, server.url) == last.thumbprint


def test_files_that_failed_are_read_again_after_a_second(
    files: PairFiles, wall_clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Though they look the same: written in place, or not valid before a certain time."""
    clock = Clock()
    pools = CertifiedPools(paths(files), None, clock=clock)
    first = files.pair.thumbprint
    files.write(make_pair("second", issuer=ROOT, begins=3600))
    assert pools.find("").certificate.thumbprint == first
    clock.now += 1
    assert pools.find("").certificate.thumbprint == first
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    wall_clock.ahead = 2 * 3600
    assert pools.find("").certificate.thumbprint == first
    clock.now += 1
    assert pools.find("").certificate.thumbprint == files.pair.thumbprint


def test_files_that_change_while_they_are_read_are_not_used(files: PairFiles) -> None:
    stop = threading.Event()

    def touch() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            os.utime(files.key, ns=(number, number))

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with invalid("changed"):
            for _ in range(50):
                CertifiedPools(paths(files), None)
    finally:
        stop.set()
        thread.join()


def test_one_thread_reads_the_files_and_the_others_go_on(files: PairFiles) -> None:
    pools = CertifiedPools(paths(files), None)
    first = files.pair.thumbprint
    files.write(make_pair("second", issuer=ROOT))
    with pools._lock:  # as while another thread reads
        assert pools.find("").certificate.thumbprint == first
    assert pools.find("").certificate.thumbprint == files.pair.thumbprint


def test_a_thread_that_comes_late_finds_the_work_done(files: PairFiles) -> None:
    """Between its two looks another thread read the files."""
    before = 1000.0
    times: list[float] = []

    def clock() -> float:
        return times.pop() if times else before

    pools = CertifiedPools(paths(files), None, clock=clock)
    files.key.write_text("")
    pools.find("")
    failed = pools._failed_at
    times.append(before + 1)  # at its first look; at the second one nothing is to be done yet
    pools.find("")
    assert pools._failed_at == failed


def test_an_exchange_under_way_ends_with_its_own_connection(files: PairFiles, folder: Path) -> None:
    """A renewal in the middle of an exchange changes nothing for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    came, go_on = threading.Event(), threading.Event()

    def script(connection: Any) -> None:
        read_request(connection)
        came.set()
        go_on.wait(10)
        connection.sendall(answer(b'{"one": 1}'))

    http = Http(timeout=10, ca_bundle=str(folder / "root.pem"), tls=paths(files))
    first, got = files.pair.thumbprint, []
    with raw_server(script, context) as server:
        thread = threading.Thread(target=lambda: got.append(call(http, server.url)))
        thread.start()
        assert came.wait(10)
        files.write(make_pair("second", issuer=ROOT))
        with asking(folder) as other:
            assert call(http, other.url) == files.pair.thumbprint
        go_on.set()
        thread.join()
    assert got == [first]


# APIs.


def api(http: Http, base_url: str, thumbprint: str = CURRENT_CERTIFICATE) -> ApiSession:
    def challenged(challenge: object) -> None:
        raise AssertionError

    return http.api(
        base_url,
        proofs=lambda: (BoundToken(access_token="t", thumbprint=thumbprint),),
        renewed_proofs=lambda refused: (),
        on_challenge=challenged,
    )


def test_an_api_sees_the_certificate_and_no_other_host_does(http: Http, folder: Path) -> None:
    with ExitStack() as stack:
        foreign = stack.enter_context(asking(folder))
        leaving = answer(b"", status="302 Found", headers=f"Location: {foreign.url}x\r\n")
        ours = stack.enter_context(asking(folder, reply=leaving))
        session = api(http, ours.url)
        assert session.get("").status_code == 200  # the answer of the foreign host
        assert (ours.seen, foreign.seen) == (["first"], [None])
        assert session.get(foreign.url).status_code == 200
        assert foreign.seen == [None, None]
        session.get("", allow_redirects=False)
        assert ours.seen == ["first", "first"]
        prepared = session.get("", allow_redirects=False).request
        prepared.url = foreign.url
        session.send(prepared)
        assert foreign.seen == [None] * 3


def test_a_redirect_from_another_host_brings_no_certificate(http: Http, folder: Path) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(asking(folder))
        back = answer(b"", status="302 Found", headers=f"Location: {ours.url}\r\n")
        foreign = stack.enter_context(asking(folder, reply=back))
        assert api(http, ours.url).get(foreign.url).status_code == 200
        assert (ours.seen, foreign.seen) == ([None], [None])


def test_a_bearer_token_goes_without_the_certificate(http: Http, folder: Path) -> None:
    from flask_parjar.protocol.binding import BearerToken

    with asking(folder) as server:
        session = http.api(
            server.url,
            proofs=lambda: (BearerToken("t"),),
            renewed_proofs=lambda refused: (),
            on_challenge=lambda challenge: None,
        )
        assert session.get("").status_code == 200
        assert server.seen == [None]


def test_a_session_for_an_api_goes_on_after_a_renewal(
    http: Http, files: PairFiles, folder: Path
) -> None:
    with asking(folder) as server:
        session = api(http, server.url)
        session.get("")
        of_the_token = api(http, server.url, files.pair.thumbprint)
        files.write(make_pair("second", issuer=ROOT))
        session.get("")
        of_the_token.get("")
        assert server.seen == ["first", "second", "first"]
