"""Calls to an API: where the token goes, and where it never does. Real sockets."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from flask_parjar.protocol.challenge import StepUpChallenge
from flask_parjar.provider import ApiSession, Http
from flask_parjar.provider.transport import SharedTLSAdapter
from tests.provider.raw_server import RawServer, answer, raw_server, read_request

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
    given: dict[str, Any] = {
        "access_token": lambda: f"live-{next(numbers)}",
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


def test_what_the_token_costs_is_not_asked_for_elsewhere(api: Api, other: Api) -> None:
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
        ("/v1", "/items", "/items"),
        ("/v1/x", "../items", "/v1/items"),
    ],
)
def test_a_relative_url(api: Api, base: str, url: str, path: str) -> None:
    call(api.origin + base).get(url)
    assert api.requests[0][0] == path
    assert api.tokens == ["bearer live-1"]


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


@pytest.mark.parametrize("way", ["another port", "another host", "//", "userinfo"])
def test_another_origin_gets_no_token(api: Api, other: Api, way: str) -> None:
    port = api.server.port
    url = {
        "another port": other.origin,
        "another host": f"http://localhost:{port}/",
        "//": f"//127.0.0.1:{other.server.port}/",
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


def test_a_redirect_back_gets_it_again(api: Api, other: Api) -> None:
    api.redirect("/away", f"{other.origin}/back")
    other.redirect("/back", f"{api.origin}/there")
    assert call(api.origin).get("/away").text == "ok"
    assert api.tokens == ["bearer live-1", "bearer live-2"]
    assert other.tokens == [None]


def test_a_redirect_within_the_api_keeps_it(api: Api) -> None:
    api.redirect("/old", "/new")
    call(api.origin).get("/old")
    assert api.tokens == ["bearer live-1", "bearer live-2"]


def test_a_redirect_from_elsewhere_does_not_take_the_callers_own_along(
    api: Api, other: Api
) -> None:
    other.redirect("/", f"{api.origin}/there")
    call(api.origin).get(other.origin, auth=("ada", "pw"))
    assert other.tokens == ["basic ywrhonb3"]
    assert api.tokens == ["bearer live-1"]


def test_a_request_that_a_caller_prepared(api: Api, other: Api) -> None:
    session = call(api.origin)
    for url in (api.origin, other.origin):
        session.send(session.prepare_request(requests.Request("GET", url)))
    assert (api.tokens, other.tokens) == (["bearer live-1"], [None])


def test_netrc_never_takes_the_place_of_the_token_nor_follows_it(
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
        read_request(connection)
        time.sleep(0.5)
        connection.sendall(answer(b"late"))

    with raw_server(slow) as server:
        session = call(server.url, Http(timeout=0.2))
        assert session.get("/", timeout=5).text == "late"
        assert session.get("/", timeout=None).text == "late"
        by_position = (None, None, None, None, None, None, 5)
        another = call(server.url, Http(timeout=0.2))
        assert another.request("GET", "/", *by_position).text == "late"


# A stronger login.


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_challenge_is_told(api: Api, scheme: str) -> None:
    headers = STEP_UP.replace("Bearer", scheme)
    api.answers["/strong"] = answer(b"", status="401 Unauthorized", headers=headers)
    with pytest.raises(NeededError) as caught:
        call(api.origin).get("/strong")
    assert caught.value.args == (StepUpChallenge(acr_values=("mfa",), max_age=None),)


def test_a_challenge_behind_a_redirect_is_told(api: Api) -> None:
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


def test_a_stranger_cannot_send_anybody_to_a_login(api: Api, other: Api) -> None:
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
    assert isinstance(adapter, SharedTLSAdapter)
