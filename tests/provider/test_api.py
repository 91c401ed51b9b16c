"""Calls to an API: where the token goes, and where it never does. Real sockets."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import trustme
import urllib3

from flask_parjar.protocol.binding import BearerToken
from flask_parjar.protocol.challenge import StepUpChallenge
from flask_parjar.protocol.outbound import Answer, Outbound
from flask_parjar.provider import ApiSession, Http
from tests.support.framing import ALLOWED, LAST, MALFORMED, NO_STATUS_LINES, SAID, chunked, sized
from tests.support.raw_server import RawServer, answer, raw_server, read_request
from tests.support.threads import at_once, switching_often

STEP_UP = 'WWW-Authenticate: Bearer error="insufficient_user_authentication", acr_values="mfa"\r\n'
#: What a busy machine may add to a bound before a test calls it broken.
SLACK = 1.0


class Api:
    """A server that answers by path and writes down what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.server: RawServer
        self.origin = ""

    def __call__(self, connection: Any) -> None:
        while received := read_request(connection):
            lines = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            target = lines[0].split(" ")[1]
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            self.requests.append((target, headers))
            connection.sendall(self.answers.get(target, answer(b"ok")))

    def redirect(self, path: str, location: str, status: str = "302 Found") -> None:
        self.answers[path] = answer(b"", status=status, headers=f"Location: {location}\r\n")

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    @property
    def tokens(self) -> list[str | None]:
        return [headers.get("authorization") for _, headers in self.requests]


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Api]:
    api = Api()
    with raw_server(api, context) as server:
        api.server, api.origin = server, server.url.rstrip("/")
        yield api


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
def other() -> Iterator[Api]:
    """Another origin: the same host, another port."""
    with serving() as api:
        yield api


@pytest.fixture(autouse=True)
def no_authorities_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they matter, a test sets its own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


class NeededError(Exception):
    """What on_challenge raises here."""


def challenged(challenge: StepUpChallenge) -> None:
    raise NeededError(challenge)


def call(base_url: str, http: Http | None = None, **more: Any) -> ApiSession:
    numbers = iter(range(1, 100))
    access_token = more.pop("access_token", lambda: f"live-{next(numbers)}")
    given: dict[str, Any] = {
        "proofs": lambda: (BearerToken(access_token()),),
        "renewed_proofs": lambda refused: (),
        "on_challenge": challenged,
    }
    return (http or Http(timeout=5)).api(base_url, **(given | more))


# Where it goes.


def test_the_token_goes_to_the_api(api: Api) -> None:
    session = call(api.origin)
    assert session.get("/items").text == "ok"
    assert session.post(f"{api.origin}/items", json={"a": 1}).ok
    assert api.paths == ["/items", "/items"]
    assert api.requests[1][1]["content-type"] == "application/json"


def test_a_live_token_is_asked_for_at_each_call(api: Api) -> None:
    session = call(api.origin)
    for _ in range(3):
        session.get("/")
    assert api.tokens == ["bearer live-1", "bearer live-2", "bearer live-3"]


def test_another_origin_costs_no_renewal(api: Api, other: Api) -> None:
    def fails() -> str:
        raise NeededError

    session = call(api.origin, access_token=fails)
    assert session.get(other.origin).ok
    with pytest.raises(NeededError):
        session.get("/")
    assert api.requests == []


@pytest.mark.parametrize(
    ("base", "url", "path"),
    [
        ("", "items", "/items"),
        ("/", "items", "/items"),
        ("", "", "/"),
        ("/v1", "items", "/v1/items"),
        ("/v1/", "items/7?a=b", "/v1/items/7?a=b"),
        ("/v1", "", "/v1/"),
        ("/v1", "?a=b", "/v1/?a=b"),
        ("/v1", "/v1/items", "/v1/items"),
        ("/v1", "./items", "/v1/items"),
        ("/v1", "old/../items", "/v1/items"),
        ("/v1", "/v1", "/v1"),
        ("/v1/", "../v1/items", "/v1/items"),
        ("/v1/old/..", "items", "/v1/items"),
        ("/v1", ".hidden/..x/a..b/...", "/v1/.hidden/..x/a..b/..."),
        ("/v1", "items?from=../..", "/v1/items?from=../.."),
        ("", "/../items", "/items"),
    ],
)
def test_a_relative_url(api: Api, base: str, url: str, path: str) -> None:
    call(api.origin + base).get(url)
    assert api.requests[0][0] == path
    assert api.tokens == ["bearer live-1"]


@pytest.mark.parametrize(
    "url",
    [
        "..",
        "../items",
        "../v1x/items",
        "/items",
        "/v1x",
        "..;x/items",
        "items/..;/items",
        "..\\items",
        "%2e%2e/items",
        ".%2E/items",
        "..%2fitems",
        "..%5Citems",
        "%252e%252e%252fitems",
        "%2e%2e;x/items",
        "\t../items",
        "http:../items",
        "http:/items",
        "///items",
    ],
)
def test_a_relative_url_that_is_not_below_the_url_of_the_api(api: Api, url: str) -> None:
    """However a server may read it (RFC 3986 section 6.2.2)."""
    with pytest.raises(requests.exceptions.InvalidURL) as caught:
        call(f"{api.origin}/v1").get(url)
    assert isinstance(caught.value, ValueError)
    assert api.requests == []


def test_a_whole_url_may_be_anywhere_at_the_api(api: Api) -> None:
    assert call(f"{api.origin}/v1").get(f"{api.origin}/v2/items").ok
    assert api.tokens == ["bearer live-1"]


def test_the_url_of_an_api_has_no_query(api: Api) -> None:
    with pytest.raises(ValueError, match="query"):
        call(f"{api.origin}/v1?key=1")


def test_the_origin_is_compared_without_case_and_with_its_port(api: Api) -> None:
    port = api.server.port
    for base, url in [
        (f"http://LOCALHOST:{port}", f"http://localhost:{port}/"),
        (f"http://localhost:{port}", f"HTTP://LocalHost:{port}/"),
        (f"http://user@localhost:{port}", f"http://localhost:{port}/"),
    ]:
        api.requests.clear()
        call(base).get(url)
        assert api.tokens == ["bearer live-1"]


def test_a_callers_own_authorization_is_no_ones_at_the_api(api: Api, other: Api) -> None:
    """At the API the token counts; elsewhere requests does what it always does."""
    session = call(api.origin)
    session.get("/", headers={"Authorization": "Basic eA=="})
    session.get("/", auth=("ada", "pw"))
    session.get(other.origin, headers={"Authorization": "Basic eA=="})
    assert api.tokens == ["bearer live-1", "bearer live-2"]
    assert other.tokens == ["basic ea=="]


# Where it never goes.


@pytest.mark.parametrize("way", ["another port", "another host", "userinfo"])
def test_another_origin_gets_no_token(api: Api, other: Api, way: str) -> None:
    port = api.server.port
    url = {
        "another port": other.origin,
        "another host": f"http://localhost:{port}/",
        "userinfo": f"http://127.0.0.1:{port}@127.0.0.1:{other.server.port}/",
    }[way]
    call(api.origin).get(url)
    asked = api if way == "another host" else other
    assert len(api.requests + other.requests) == 1
    assert "live" not in str(asked.tokens[0])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Again", "308 Moved"])
def test_a_redirect_to_another_port_loses_the_token(api: Api, other: Api, status: str) -> None:
    api.redirect("/away", f"{other.origin}/there", status)
    assert call(api.origin).get("/away").text == "ok"
    assert api.tokens == ["bearer live-1"]
    assert other.tokens == [None]


class ProofInAHeader:
    """A proof that does not go into the Authorization header."""

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        return outbound.with_header("Proof", f"of {outbound.url}")

    def learn(self, answer: Answer) -> bool:
        return False


def test_a_redirect_to_another_port_loses_every_proof(api: Api, other: Api) -> None:
    api.redirect("/old", "/new")
    api.redirect("/new", f"{other.origin}/there")
    session = call(api.origin, proofs=lambda: (ProofInAHeader(),))
    assert session.get("/old", headers={"X-Own": "kept"}).text == "ok"
    assert [headers["proof"] for _, headers in api.requests] == [
        f"of {api.origin}/old",
        f"of {api.origin}/new",
    ]
    (headers,) = [headers for _, headers in other.requests]
    assert "proof" not in headers
    assert headers["x-own"] == "kept"


class ProofOnceMore(ProofInAHeader):
    """A proof that the API wants once more, as with a new nonce of DPoP."""

    def learn(self, answer: Answer) -> bool:
        return answer.status == 401


@pytest.mark.parametrize("body", [None, b"ab", "ab"])
def test_a_request_is_sent_once_more_with_another_proof(api: Api, body: object) -> None:
    api.answers["/"] = answer(b"", status="401 Unauthorized")
    session = call(api.origin, proofs=lambda: (ProofOnceMore(),))
    assert session.post("/", data=body).status_code == 401
    assert api.paths == ["/", "/"]


def test_a_body_that_can_be_sent_only_once_is_an_error_of_requests(api: Api) -> None:
    api.answers["/"] = answer(b"", status="401 Unauthorized")
    session = call(api.origin, proofs=lambda: (ProofOnceMore(),))
    with pytest.raises(requests.exceptions.UnrewindableBodyError):
        session.post("/", data=io.BytesIO(b"ab"))
    assert api.paths == ["/"]


def test_a_redirect_to_another_host_loses_the_token(api: Api) -> None:
    api.redirect("/away", f"http://localhost:{api.server.port}/there")
    assert call(api.origin).get("/away").text == "ok"
    assert api.paths == ["/away", "/there"]
    assert api.tokens == ["bearer live-1", None]


def test_a_redirect_to_another_scheme_loses_the_token(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, bundle), serving(context) as secure, serving() as plain:
        secure.redirect("/down", f"{plain.origin}/there")
        plain.redirect("/up", f"{secure.origin}/there")
        http = Http(timeout=5, ca_bundle=bundle)
        assert call(secure.origin, http).get("/down").ok
        assert (secure.tokens, plain.tokens) == (["bearer live-1"], [None])
        assert call(plain.origin, http).get("/up").ok
        assert secure.tokens[1:] == [None]
        assert plain.tokens[1:] == ["bearer live-1"]


@pytest.mark.parametrize("status", ["302 Found", "307 Again", "308 Moved"])
def test_a_redirect_back_does_not_get_it_again(api: Api, other: Api, status: str) -> None:
    api.redirect("/away", f"{other.origin}/back", status)
    other.redirect("/back", f"{api.origin}/there", status)
    api.redirect("/there", "/further", status)
    session = call(api.origin)
    assert session.get("/away").text == "ok"
    assert api.paths == ["/away", "/there", "/further"]
    assert api.tokens == ["bearer live-1", None, None]
    assert other.tokens == [None]
    session.get("/")
    assert api.tokens[3:] == ["bearer live-2"]


def test_a_redirect_within_the_api_keeps_it(api: Api) -> None:
    api.redirect("/old", "/new")
    call(api.origin).get("/old")
    assert api.tokens == ["bearer live-1", "bearer live-2"]


def test_a_redirect_from_elsewhere_brings_neither_the_token_nor_the_callers_own(
    api: Api, other: Api
) -> None:
    other.redirect("/", f"{api.origin}/there")
    call(api.origin).get(other.origin, auth=("ada", "pw"))
    assert other.tokens == ["basic ywrhonb3"]
    assert api.tokens == [None]


def test_a_redirect_that_a_caller_follows_is_one_too(api: Api, other: Api) -> None:
    api.redirect("/away", f"{other.origin}/back")
    other.redirect("/back", f"{api.origin}/there")
    session = call(api.origin)
    response = session.get("/away", allow_redirects=False)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
    assert response.text == "ok"
    assert api.paths == ["/away", "/there"]
    assert api.tokens == ["bearer live-1", None]


@pytest.mark.parametrize("location", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/"])
def test_a_redirect_to_no_port_is_an_error_of_requests(api: Api, location: str) -> None:
    api.redirect("/", location)
    with pytest.raises(requests.exceptions.InvalidURL):
        call(api.origin).get("/")


def test_credentials_of_a_proxy_reach_no_api_on_this_machine(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://ada:pw@proxy.invalid:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    api.redirect("/old", "/new")
    session = call(api.origin)
    assert session.get("/old").text == "ok"
    assert session.get("/old", proxies={"http": "http://ada:pw@proxy.invalid:1"}).text == "ok"
    assert [headers.get("proxy-authorization") for _, headers in api.requests] == [None] * 4


def test_a_request_that_a_caller_prepared(api: Api, other: Api) -> None:
    session = call(api.origin)
    for url in (api.origin, other.origin):
        session.send(session.prepare_request(requests.Request("GET", url)))
    assert (api.tokens, other.tokens) == (["bearer live-1"], [None])


def test_netrc_neither_replaces_the_token_nor_follows_it(
    api: Api, other: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password pw\ndefault login eve password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api.redirect("/away", f"{other.origin}/there")
    api.redirect("/near", "/there")
    session = call(api.origin)
    session.get("/there")
    session.get("/away")
    session.get("/near")
    assert api.tokens == [f"bearer live-{number}" for number in range(1, 5)]
    assert other.tokens == [None]


# Time-outs.


def test_a_call_has_the_apps_time_out() -> None:
    def hang(connection: Any) -> None:
        read_request(connection)
        connection.recv(1)

    with raw_server(hang) as server:
        session = call(server.url, Http(timeout=0.3))
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.get("/")
        assert 0.3 <= time.monotonic() - began < 0.3 + SLACK
        with pytest.raises(requests.ReadTimeout):
            session.get("/", timeout=0.1)


def test_a_call_may_have_a_time_out_of_its_own(api: Api) -> None:
    def slow(connection: Any) -> None:
        while read_request(connection):
            time.sleep(0.5)
            connection.sendall(answer(b"late"))

    with raw_server(slow) as server:
        session = call(server.url, Http(timeout=0.2))
        assert session.get("/", timeout=5).text == "late"
        assert session.get("/", timeout=None).text == "late"
        by_position = (None, None, None, None, None, None, 5)
        another = call(server.url, Http(timeout=0.2))
        assert another.request("GET", "/", *by_position).text == "late"


# A token that the API does not accept any more (RFC 6750 section 3.1).

EXPIRED = answer(
    b"no",
    status="401 Unauthorized",
    headers='WWW-Authenticate: Bearer realm="x", error="invalid_token"\r\n',
)


class Renewals:
    """Gives a newer token each time that one is refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, refused: str) -> tuple[BearerToken, ...]:
        self.refused.append(refused)
        return (BearerToken(f"new-{len(self.refused)}"),)


@pytest.fixture
def renewals() -> Renewals:
    return Renewals()


@pytest.mark.parametrize("body", [None, b"ab", "ab"])
def test_a_request_is_sent_once_more_with_a_newer_token(
    api: Api, renewals: Renewals, body: object
) -> None:
    api.answers["/"] = EXPIRED
    response = call(api.origin, renewed_proofs=renewals).post("/", data=body)
    assert (response.status_code, response.text) == (401, "no")
    assert renewals.refused == ["live-1"]
    assert api.tokens == ["bearer live-1", "bearer new-1"]
    lengths = [headers.get("content-length") for _, headers in api.requests]
    assert lengths == ["0" if body is None else "2"] * 2


def test_a_body_that_can_be_sent_only_once_is_not_sent_again(api: Api, renewals: Renewals) -> None:
    """But the token is renewed, so that the next call succeeds."""
    api.answers["/"] = EXPIRED
    response = call(api.origin, renewed_proofs=renewals).post("/", data=io.BytesIO(b"ab"))
    assert (response.status_code, response.text) == (401, "no")
    assert renewals.refused == ["live-1"]
    assert api.tokens == ["bearer live-1"]


def test_behind_a_redirect_it_is_renewed_once_too(api: Api, renewals: Renewals) -> None:
    api.redirect("/old", "/new")
    api.answers["/new"] = EXPIRED
    assert call(api.origin, renewed_proofs=renewals).get("/old").status_code == 401
    assert renewals.refused == ["live-2"]
    assert api.tokens == ["bearer live-1", "bearer live-2", "bearer new-1"]


def test_a_challenge_after_a_redirect_from_another_origin_is_ignored(
    api: Api, other: Api, renewals: Renewals
) -> None:
    """The request had no token, so its answer says nothing of one."""
    api.redirect("/away", f"{other.origin}/back")
    session = call(api.origin, renewed_proofs=renewals)
    for path, challenge in [("/expired", EXPIRED), ("/strong", _unauthorized(STEP_UP))]:
        other.redirect("/back", f"{api.origin}{path}")
        api.answers[path] = challenge
        assert session.get("/away").status_code == 401
    assert renewals.refused == []


def test_the_newer_token_may_meet_another_challenge(api: Api, renewals: Renewals) -> None:
    answers = iter([EXPIRED, _unauthorized(STEP_UP)])

    def both(connection: Any) -> None:
        while read_request(connection):
            connection.sendall(next(answers))

    with raw_server(both) as server, pytest.raises(NeededError):
        call(server.url, renewed_proofs=renewals).get("/")
    assert renewals.refused == ["live-1"]


def _unauthorized(headers: str) -> bytes:
    return answer(b"no", status="401 Unauthorized", headers=headers)


# A stronger login.


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_challenge_is_reported(api: Api, scheme: str) -> None:
    headers = STEP_UP.replace("Bearer", scheme)
    api.answers["/strong"] = answer(b"", status="401 Unauthorized", headers=headers)
    with pytest.raises(NeededError) as caught:
        call(api.origin).get("/strong")
    assert caught.value.args == (StepUpChallenge(acr_values=("mfa",), max_age=None),)


def test_a_challenge_after_a_redirect_is_reported(api: Api) -> None:
    api.redirect("/", "/strong")
    api.answers["/strong"] = answer(b"", status="401 Unauthorized", headers=STEP_UP)
    with pytest.raises(NeededError):
        call(api.origin).get("/")


def test_a_challenge_gives_its_connection_back(api: Api) -> None:
    api.answers["/strong"] = answer(b"x" * 1000, status="401 Unauthorized", headers=STEP_UP)
    session = call(api.origin)
    for _ in range(3):
        with pytest.raises(NeededError):
            session.get("/strong")
    assert session.get("/").ok
    assert api.server.connections <= 4


@pytest.mark.parametrize(
    "headers",
    ["", "WWW-Authenticate: Bearer error=invalid_token\r\n", "WWW-Authenticate: Basic realm=x\r\n"],
)
def test_another_401_is_an_answer(api: Api, headers: str) -> None:
    api.answers["/"] = answer(b"no", status="401 Unauthorized", headers=headers)
    response = call(api.origin).get("/")
    assert (response.status_code, response.text) == (401, "no")


def test_another_status_is_no_challenge(api: Api) -> None:
    api.answers["/"] = answer(b"no", status="403 Forbidden", headers=STEP_UP)
    assert call(api.origin).get("/").status_code == 403


def test_another_origin_cannot_send_a_user_to_a_login(api: Api, other: Api) -> None:
    other.answers["/"] = answer(b"no", status="401 Unauthorized", headers=STEP_UP)
    api.redirect("/away", f"{other.origin}/")
    session = call(api.origin)
    assert session.get(other.origin).status_code == 401
    assert session.get("/away").status_code == 401


# What is shared.


def test_two_sessions_share_connections_but_no_cookies(api: Api) -> None:
    api.answers["/in"] = answer(b"", headers="Set-Cookie: who=ada; Path=/\r\n")
    http = Http(timeout=5)
    ada, bob = call(api.origin, http), call(api.origin, http)
    ada.get("/in")
    bob.get("/")
    ada.get("/")
    assert [headers.get("cookie") for _, headers in api.requests] == [None, None, "who=ada"]
    assert api.server.connections == 1


def test_closing_a_session_leaves_the_others_their_connections(api: Api) -> None:
    http = Http(timeout=5)
    with call(api.origin, http) as session:
        session.get("/")
    session.close()
    assert session.get("/").ok
    assert call(api.origin, http).get("/").ok
    assert api.server.connections == 1


def test_an_answer_may_be_large_and_compressed_and_streamed(api: Api) -> None:
    api.answers["/"] = answer(b"x" * 3_000_000)
    with call(api.origin).get("/", stream=True) as response:
        assert sum(len(chunk) for chunk in response.iter_content(65536)) == 3_000_000
    assert "gzip" in api.requests[0][1]["accept-encoding"]


# TLS.


@contextlib.contextmanager
def authority(folder: Path, name: str = "ca.pem") -> Iterator[tuple[ssl.SSLContext, str]]:
    """A server's context, and the file that says whom to trust."""
    maker = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    maker.issue_cert("127.0.0.1").configure_cert(context)
    maker.cert_pem.write_to_path(str(folder / name))
    yield context, str(folder / name)


def test_https_with_an_authority_of_the_sites_own(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, bundle), serving(context) as api:
        session = call(api.origin, Http(timeout=5, ca_bundle=bundle))
        assert session.get("/").text == "ok"
        assert api.tokens == ["bearer live-1"]


def test_https_is_verified(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, _), serving(context) as api:
        with pytest.raises(requests.exceptions.SSLError):
            call(api.origin).get("/")
        assert api.requests == []


def test_the_name_in_the_certificate_is_verified(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, bundle), serving(context) as api:
        http = Http(timeout=5, ca_bundle=bundle)
        with pytest.raises(requests.exceptions.SSLError):
            call(f"https://localhost:{api.server.port}", http).get("/")
        assert api.requests == []


def test_the_environments_authorities_do_not_take_the_place_of_the_sites_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        authority(tmp_path) as (context, bundle),
        authority(tmp_path, "other.pem") as (_, environment),
        serving(context) as api,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", environment)
        http = Http(timeout=5, ca_bundle=bundle)
        assert call(api.origin, http).get("/").text == "ok"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        assert call(api.origin, Http(timeout=5)).get("/").text == "ok"


def test_verify_of_a_call_is_what_requests_makes_of_it(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, bundle), serving(context) as api:
        session = call(api.origin)
        assert session.get("/", verify=bundle).text == "ok"
        with pytest.warns(Warning, match="Unverified HTTPS request"):
            assert session.get("/", verify=False).text == "ok"
        with pytest.raises(requests.exceptions.SSLError):
            session.get("/")
        session.verify = bundle
        assert session.get("/").text == "ok"


def test_a_client_certificate_of_a_call_is_shown(tmp_path: Path) -> None:
    with authority(tmp_path) as (context, bundle):
        clients = trustme.CA()
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        pem = tmp_path / "client.pem"
        clients.issue_cert("ada@client.example").private_key_and_cert_chain_pem.write_to_path(
            str(pem)
        )
        with serving(context) as api:
            session = call(api.origin, Http(timeout=5, ca_bundle=bundle))
            assert session.get("/", cert=str(pem), verify=bundle).text == "ok"
            with pytest.raises(requests.exceptions.RequestException):
                session.get("/")
            assert len(api.requests) == 1


def test_http_and_https_of_one_host_share_an_adapter() -> None:
    session = call("https://api.example")
    adapter = session.get_adapter("https://api.example/")
    assert adapter is session.get_adapter("http://api.example/")
    adapter.close()
    session.close()
    assert session.get_adapter("https://api.example/") is adapter


# Whose answer it is.

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
ANOTHER = answer(b"for another")
BUFFER = 8192  # what a socket's file reads at once


class Echo:
    """An API that tells each its token, and says other things before or after it.

    :param first: what the first requests get instead
    """

    def __init__(self) -> None:
        self.first: list[Callable[[Any, bytes], None]] = []
        self.ended = threading.Semaphore(0)

    def __call__(self, connection: Any) -> None:
        with contextlib.suppress(OSError):
            while request := read_request(connection):
                _, _, after = request.partition(b"Authorization: Bearer ")
                own = answer(b"for " + after.partition(b"\r\n")[0])
                if self.first:
                    self.first.pop(0)(connection, own)
                else:
                    connection.sendall(own)
        self.ended.release()


class Shared(NamedTuple):
    """An API, and the connections of an app to it that the tokens of many go over."""

    echo: Echo
    server: RawServer
    http: Http
    url: str

    def session(self, who: str) -> ApiSession:
        return call(self.url, self.http, access_token=lambda: who)

    def told(self, who: str) -> str:
        return self.session(who).get("/").text

    def was_closed(self) -> bool:
        """Whether a connection was closed by us, so that the API saw the end of it."""
        return self.echo.ended.acquire(timeout=2)


@contextlib.contextmanager
def sharing(way: str = "direct", folder: Path | None = None) -> Iterator[Shared]:
    echo = Echo()
    with contextlib.ExitStack() as stack:
        context, bundle = None, None
        if folder is not None:
            context, bundle = stack.enter_context(authority(folder))
        server = stack.enter_context(raw_server(echo, context))
        url = server.url
        if way == "proxy":
            patched = stack.enter_context(pytest.MonkeyPatch.context())
            patched.setenv("http_proxy", server.url)
            for name in ("no_proxy", "NO_PROXY"):
                patched.delenv(name, raising=False)
            url = "http://api.example/"
        yield Shared(echo, server, Http(timeout=5, ca_bundle=bundle), url)


@pytest.fixture(params=["direct", "proxy", "https"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    folder = tmp_path if request.param == "https" else None
    with sharing(request.param, folder) as shared:
        yield shared


def only(whole: bytes) -> Callable[[Any, bytes], None]:
    return lambda connection, own: connection.sendall(whole)


def test_the_answer_is_the_final_one(shared: Shared) -> None:
    """One that comes late is not read by the next who uses the connection."""

    def late(connection: Any, own: bytes) -> None:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY_HINTS)
        time.sleep(0.05)
        connection.sendall(EARLY_HINTS + own)

    shared.echo.first = [late]
    response = shared.session("ada").get("/")
    assert (response.status_code, response.text) == (200, "for ada")
    assert "Link" not in response.headers
    assert shared.told("bob") == "for bob"
    assert shared.server.connections == 1


def test_informational_answers_end(shared: Shared) -> None:
    shared.echo.first = [lambda connection, own: connection.sendall(EARLY_HINTS * 500 + own)]
    with pytest.raises(requests.ConnectionError):
        shared.told("ada")
    assert shared.told("bob") == "for bob"


def test_another_protocol_that_was_not_asked_for(shared: Shared) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    shared.echo.first = [lambda connection, own: connection.sendall(switch + own)]
    response = shared.session("ada").get("/")
    assert (response.status_code, response.text) == (101, "")
    assert shared.was_closed()
    assert shared.told("bob") == "for bob"


@pytest.mark.parametrize(
    "surplus",
    [ANOTHER, ANOTHER[:30], b"x", b"\r\n", b" " * 20_000, b" " * 200_000],
    ids=["another", "a part of one", "a byte", "a line end", "much", "more"],
)
def test_data_after_an_answer_reaches_no_other_request(shared: Shared, surplus: bytes) -> None:
    chunks = chunked() + surplus
    shared.echo.first = [
        lambda connection, own: connection.sendall(own + surplus),
        only(b"HTTP/1.1 204 No Content\r\n\r\n" + surplus),
        only(chunks),
        only(chunks),
    ]
    assert shared.told("ada") == "for ada"
    assert shared.session("bob").get("/").status_code == 204
    assert shared.session("eve").get("/").content == SAID
    with shared.session("grace").get("/", stream=True) as response:
        assert b"".join(response.iter_content(None)) == SAID
    for _ in range(4):
        assert shared.was_closed()
    assert shared.told("kim") == "for kim"
    assert shared.server.connections == 5


def test_data_in_the_tls_buffer_reaches_no_other_request(tmp_path: Path) -> None:
    """One record holds the end of an answer and another one: no look at the socket shows that."""

    def fill(connection: Any, own: bytes) -> None:
        filled = own.replace(b"\r\n\r\n", b"\r\nX: %b\r\n\r\n", 1)
        padding = b"x" * (BUFFER + 2 - len(filled))
        connection.sendall(filled % padding + ANOTHER)

    with sharing(folder=tmp_path) as shared:
        shared.echo.first = [fill]
        assert shared.told("ada") == "for ada"
        assert shared.told("bob") == "for bob"


def test_an_answer_that_was_not_read_to_its_end_reaches_no_other(shared: Shared) -> None:
    shared.echo.first = [only(sized("70000", body=b"x" * 70_000)), only(chunked())]
    for _ in range(2):
        with shared.session("ada").get("/", stream=True) as response:
            assert len(next(response.iter_content(2))) == 2
        assert shared.was_closed()
    assert shared.told("bob") == "for bob"


def test_a_truncated_answer_is_an_error(shared: Shared) -> None:
    def cut(connection: Any, own: bytes) -> None:
        connection.sendall(own[:-2])
        raise OSError("as if the API had crashed")

    shared.echo.first = [cut]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        shared.told("ada")
    assert shared.told("bob") == "for bob"


def test_a_connection_that_is_reset_after_an_answer() -> None:
    """The answer has come as a whole, so it counts; the connection does not."""
    reset = threading.Event()

    def answer_and_reset(connection: Any, own: bytes) -> None:
        connection.sendall(own)
        assert reset.wait(2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()

    with sharing() as shared:
        shared.echo.first = [answer_and_reset]
        response = shared.session("ada").get("/", stream=True)
        reset.set()
        assert shared.was_closed()
        assert response.text == "for ada"
        assert shared.told("bob") == "for bob"


def test_unusual_answers_are_read_and_their_connection_is_kept(shared: Shared) -> None:
    session = shared.session("ada")
    for name, whole in ALLOWED.items():
        shared.echo.first = [only(whole)] * 3
        assert (name, session.get("/").content) == (name, SAID)
        streamed = session.get("/", stream=True)
        assert (name, b"".join(streamed.iter_content(2))) == (name, SAID)
        raw = session.get("/", stream=True).raw
        assert (name, raw.read(3) + raw.read(), raw.read(1)) == (name, SAID, b"")
    assert shared.server.connections == 1


@pytest.mark.parametrize("whole", LAST.values(), ids=LAST)
def test_an_answer_after_which_the_connection_is_closed(whole: bytes) -> None:
    with sharing() as shared:
        shared.echo.first = [only(whole)]
        assert shared.session("ada").get("/").content == SAID
        assert shared.was_closed()
        assert shared.told("bob") == "for bob"


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("whole", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_an_error_of_requests(way: str, whole: bytes) -> None:
    broken = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    with sharing(way) as shared:
        shared.echo.first = [only(whole), only(whole)]
        with pytest.raises(broken):
            shared.session("ada").get("/")
        with pytest.raises(broken):
            b"".join(shared.session("bob").get("/", stream=True).iter_content(None))
        assert shared.was_closed() and shared.was_closed()
        assert shared.told("eve") == "for eve"
        assert shared.server.connections == 3


@pytest.mark.parametrize("line", NO_STATUS_LINES)
def test_an_invalid_status_line_is_an_error_of_requests(line: str) -> None:
    with sharing() as shared:
        shared.echo.first = [only(sized("7", head=f"{line}\r\n"))]
        with pytest.raises(requests.ConnectionError):
            shared.told("ada")
        assert shared.told("bob") == "for bob"


def test_answers_without_a_body_are_not_waited_for(shared: Shared) -> None:
    """Whatever they say of its length; and they keep the connection."""
    heads = [
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    ]
    shared.echo.first = [only(head) for head in heads]
    for _ in heads:
        assert shared.session("ada").get("/").content == b""
    for framing in (b"Content-Length: 7", b"Transfer-Encoding: chunked"):
        shared.echo.first = [only(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")]
        assert shared.session("ada").head("/").content == b""
    assert shared.told("bob") == "for bob"
    assert shared.server.connections == 1


def test_chunks_are_passed_on_as_they_come(shared: Shared) -> None:
    seen = threading.Event()

    def in_time(connection: Any, own: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert seen.wait(2)
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")

    shared.echo.first = [in_time]
    pieces = shared.session("ada").get("/", stream=True).iter_content(None)
    assert next(pieces) == b"one"
    seen.set()
    assert list(pieces) == [b"two"]
    assert shared.told("bob") == "for bob"
    assert shared.server.connections == 1


def test_a_body_is_not_read_as_chunks() -> None:
    """Who begins to read in one way and goes on in another gets no bytes for a chunk size."""
    inside = b"2\r\nno\r\n0\r\n\r\n"
    whole = b"%x\r\nabc%b\r\n0\r\n\r\n" % (len(inside) + 3, inside)
    with sharing() as shared:
        shared.echo.first = [only(chunked(body=whole))] * 2
        response = shared.session("ada").get("/", stream=True)
        assert response.raw.read(3) == b"abc"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(response.iter_content(None))
        response = shared.session("ada").get("/", stream=True)
        with contextlib.closing(response.iter_content(3)) as pieces:
            assert next(pieces) == b"abc"
            with pytest.raises(urllib3.exceptions.HTTPError):
                response.raw.read(2)
        assert shared.told("bob") == "for bob"


def test_threads_and_an_api_that_does_everything_wrong() -> None:
    """Whatever comes for one reaches no other; who is told something is told of themselves."""
    number = itertools.count()

    def early(connection: Any, own: bytes) -> None:
        connection.sendall(EARLY_HINTS)
        time.sleep(0.01)
        connection.sendall(own)

    def cut(connection: Any, own: bytes) -> None:
        connection.sendall(own[:-2])
        raise OSError("as if the API had crashed")

    ways: list[Callable[[Any, bytes], None]] = [
        lambda connection, own: connection.sendall(own),
        early,
        lambda connection, own: connection.sendall(own + ANOTHER),
        lambda connection, own: connection.sendall(EARLY_HINTS + own + b"HTTP/1.1 200"),
        cut,
        only(chunked("gzip, chunked")),
    ]
    heard: list[tuple[str, str]] = []

    def work(name: str, shared: Shared) -> None:
        for turn in range(20):
            who = f"{name}{turn}"
            with contextlib.suppress(requests.RequestException):
                heard.append((f"for {who}", shared.told(who)))

    def wrong(connection: Any, own: bytes) -> None:
        ways[next(number) % len(ways)](connection, own)

    with sharing() as shared:
        shared.echo.first = [wrong] * 200
        with switching_often():
            at_once([partial(work, name, shared) for name in "abcdefgh"])
    assert len(heard) > 80
    assert [pair for pair in heard if pair[0] != pair[1]] == []
