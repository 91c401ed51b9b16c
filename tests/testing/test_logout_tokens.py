"""Who is received when somebody signs out at the provider: by which token, in which frame."""

from __future__ import annotations

import base64
import json
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, request
from werkzeug.test import Client

from flask_parjar.testing import Browser, ClientMetadata, DevProvider, Person, WSGIAdapter
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import HOME, NOW, HandMadeClient, response
from tests.testing.test_tokens import refresh

OP = "https://op.example"
EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


class Site:
    """A site that keeps the logout tokens that it is sent, and may answer what it likes."""

    def __init__(self, provider: DevProvider, name: str, **registration: Any) -> None:
        self.tokens: list[str] = []
        self.status = 200
        self.broken = False
        self.app = Flask(name)
        self.app.add_url_rule("/logout-token", "logout_token", self.receive, methods=["POST"])
        provider.http.mount(f"https://{name}.example/", WSGIAdapter(self.app))
        registration = {
            "backchannel_logout_uri": f"https://{name}.example/logout-token",
            **registration,
        }
        self.client = HandMadeClient(
            provider, client_id=name, now=provider._state.now, **registration
        )

    def receive(self) -> tuple[str, int]:
        assert list(request.form) == ["logout_token"]
        self.tokens.append(request.form["logout_token"])
        if self.broken:
            raise RuntimeError("broken")
        return "", self.status

    def log_in(self, browser: Browser, person: str = "ada", **claims: Any) -> dict[str, Any]:
        """The tokens of a login in that browser."""
        code = response(browser.sign_in(self.client.start(**claims), person))["code"]
        tokens = self.client.redeem(code).json()
        assert isinstance(tokens, dict)
        return tokens

    def sid(self, browser: Browser, person: str = "ada", **claims: Any) -> str:
        return str(self.client.verify(self.log_in(browser, person, **claims)["id_token"])[1]["sid"])

    def received(self) -> list[dict[str, Any]]:
        """The claims of the logout tokens, all of which hold."""
        return [self.client.verify(token)[1] for token in self.tokens]


@pytest.fixture
def one(provider: DevProvider) -> Site:
    return Site(provider, "one")


@pytest.fixture
def two(provider: DevProvider) -> Site:
    return Site(provider, "two")


@pytest.fixture
def browser(provider: DevProvider) -> Browser:
    return provider.browser()


def end_session(**parameters: str) -> str:
    return f"{OP}/end-session?{urlencode(parameters)}"


def test_the_metadata_promises_it(provider: DevProvider) -> None:
    for channel in ("backchannel", "frontchannel"):
        assert provider.metadata[f"{channel}_logout_supported"] is True
        assert provider.metadata[f"{channel}_logout_session_supported"] is True


def test_a_session_has_one_name_for_each_client(one: Site, two: Site, browser: Browser) -> None:
    first = one.log_in(browser, scope="openid offline_access")
    sid = one.client.verify(first["id_token"])[1]["sid"]
    assert len(sid) == 22
    assert one.sid(browser, prompt="none", scope="openid") == sid
    assert one.sid(browser, prompt="login") == sid
    refreshed = refresh(one.client, first["refresh_token"]).json()
    assert one.client.verify(refreshed["id_token"])[1]["sid"] == sid
    assert two.sid(browser) != sid
    assert one.sid(one.client.provider.browser()) != sid, "another browser"


def test_a_session_has_another_name_when_it_is_another(one: Site, browser: Browser) -> None:
    sids = [one.sid(browser), one.sid(browser, "grace", prompt="login")]
    assert browser.sign_out(end_session()) is None
    sids.append(one.sid(browser, "grace"))
    one.client.provider.end_session("grace")
    sids.append(one.sid(browser, "grace"))
    assert len(set(sids)) == 4


def test_each_client_of_the_session_gets_a_logout_token(
    one: Site, two: Site, browser: Browser, provider: DevProvider
) -> None:
    silent = Site(provider, "silent", backchannel_logout_uri=None)
    elsewhere = Site(provider, "elsewhere")
    sids = one.sid(browser), two.sid(browser)
    silent.sid(browser)
    elsewhere.sid(provider.browser())
    one.sid(provider.browser(), "grace")
    assert browser.sign_out(end_session(), approve=False) is None
    assert one.tokens == []
    where = end_session(client_id="one", post_logout_redirect_uri=HOME, state="s")
    assert browser.sign_out(where) == f"{HOME}?state=s"
    assert browser.frames == []
    for site, sid in zip((one, two), sids, strict=True):
        (token,), (claims,) = site.tokens, site.received()
        header, _ = site.client.verify(token)
        assert header == {"typ": "logout+jwt", "alg": "ES256", "kid": header["kid"]}
        assert len(claims.pop("jti")) == 43
        assert claims == {
            "iss": OP,
            "aud": site.client.client_id,
            "iat": NOW,
            "exp": NOW + 120,
            "events": EVENTS,
            "sub": "ada",
            "sid": sid,
        }
    assert silent.tokens == elsewhere.tokens == []
    assert browser.sign_out(end_session()) is None
    assert len(one.tokens) == 1, "no one was signed in any more"


def test_a_client_that_was_registered_anew(one: Site, browser: Browser) -> None:
    one.sid(browser)
    Site(one.client.provider, "one", backchannel_logout_uri=None)
    browser.sign_out(end_session())
    assert one.tokens == []


def test_logout_tokens_are_signed_as_id_tokens_are(provider: DevProvider, browser: Browser) -> None:
    site = Site(provider, "rsa", id_token_signed_response_alg="PS256")
    site.sid(browser)
    browser.sign_out(end_session())
    assert site.client.verify(site.tokens[0])[0]["alg"] == "PS256"


def test_a_client_that_fails_keeps_no_one_signed_in(
    one: Site, two: Site, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    provider = one.client.provider
    for site in (one, two):
        site.app.testing = True
    away = Site(provider, "away", backchannel_logout_uri="http://127.0.0.1:1/logout-token")
    for site in (away, one, two):
        site.sid(browser)
    one.broken, two.status = True, 400
    assert browser.sign_out(end_session()) is None
    assert (len(one.tokens), len(two.tokens)) == (1, 1)
    facts = [("'away'", "ConnectionError"), ("'one'", "RuntimeError"), ("'two'", "400")]
    for message, expected in zip(caplog.messages, facts, strict=True):
        assert all(fact in message for fact in expected)
    assert "error=login_required" in browser.sign_in(one.client.start(prompt="none"))


def test_an_administrator_ends_all_sessions_of_a_person(one: Site, two: Site) -> None:
    provider = one.client.provider
    provider.people["eve"] = Person("eve", {"sub": "e-1"})
    silent = Site(provider, "silent", backchannel_logout_uri=None)
    browsers = [provider.browser() for _ in range(3)]
    for browser in browsers[:2]:
        one.sid(browser, "eve")
    silent.sid(browsers[0], "eve")
    two.sid(browsers[2], "ada")
    provider.end_session("eve")
    (claims,) = one.received()
    assert claims["sub"] == "e-1"
    assert "sid" not in claims
    assert two.tokens == silent.tokens == []
    for browser, outcome in zip(browsers, ("error", "error", "code"), strict=True):
        back = response(browser.sign_in(two.client.start(prompt="none")))
        assert outcome in back
    provider.end_session("eve")
    assert len(one.tokens) == 1, "there was no session left"
    with pytest.raises(ValueError, match="'eva'; there are: ada, grace, "):
        provider.end_session("eva")


def test_a_person_who_left_is_not_signed_in(one: Site, browser: Browser) -> None:
    provider = one.client.provider
    one.sid(browser)
    assert "Ada" in browser.get(OP).text
    del provider.people["ada"]
    assert "Ada" not in browser.get(OP).text
    assert "Signed out" in browser.get(end_session()).text


def framed(provider: DevProvider, name: str, uri: str) -> Site:
    return Site(provider, name, frontchannel_logout_uri=uri, backchannel_logout_uri=None)


def test_the_page_holds_a_frame_for_each_client(provider: DevProvider, browser: Browser) -> None:
    sites = [
        framed(provider, "one", "https://one.example/out"),
        framed(provider, "two", "https://two.example:8443/out?x=%22y"),
        Site(provider, "silent", backchannel_logout_uri=None),
    ]
    first, second, _ = [site.sid(browser) for site in sites]
    assert browser.sign_out(end_session()) is None
    iss = "iss=https%3A%2F%2Fop.example"
    assert browser.frames == [
        f"https://one.example/out?{iss}&sid={first}",
        f"https://two.example:8443/out?x=%22y&{iss}&sid={second}",
    ]
    assert browser.sign_out(end_session()) is None
    assert browser.frames == []


@pytest.mark.parametrize(
    ("registered", "state", "expected"),
    [
        (HOME, "s t", f"{HOME}?state=s+t"),
        (HOME, "", HOME),
        (f"{HOME}?a=1&b=", "s", f"{HOME}?a=1&b=&state=s"),
    ],
)
def test_frames_are_loaded_before_the_browser_goes_back(
    provider: DevProvider, registered: str, state: str, expected: str
) -> None:
    site = framed(provider, "one", "https://one.example/out")
    provider.register(
        ClientMetadata(
            client_id="one",
            redirect_uris=["https://site.example/callback"],
            jwks={"keys": [site.client.key.as_dict(private=False)]},
            post_logout_redirect_uris=[registered],
            frontchannel_logout_uri="https://one.example/out",
        )
    )
    where = end_session(client_id="one", post_logout_redirect_uri=registered, state=state)
    browser = provider.browser()
    site.sid(browser)
    assert browser.sign_out(where) == expected
    assert len(browser.frames) == 1


def test_the_page_may_load_these_frames_and_no_others(provider: DevProvider) -> None:
    site = framed(provider, "one", "https://one.example/out?x='%22")
    visitor = Client(provider.app)
    place = visitor.get(site.client.start().removeprefix(OP), base_url=OP).headers["Location"]
    visitor.post(f"{place}/sign-in", base_url=OP, data={"person": "ada"})
    visitor.post(f"{place}/consent", base_url=OP, data={"decision": "approve"})
    visitor.get(place, base_url=OP)
    where = end_session(client_id="one", post_logout_redirect_uri=HOME)
    question = visitor.get(where.removeprefix(OP), base_url=OP)
    assert "frame-src" not in question.headers["Content-Security-Policy"]
    action = question.text.split('action="')[1].split('"')[0]
    page = visitor.post(action, base_url=OP, data={"decision": "approve"})
    policy = page.headers["Content-Security-Policy"]
    assert "; frame-src https://one.example; " in policy
    frame = page.text.split('<iframe hidden src="')[1].split('"')[0]
    assert unescape(frame).startswith("https://one.example/out?x='%22&iss=")
    assert f'<form action="{HOME}" id="continue">' in page.text
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">' in page.text


def taken_apart(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    header, claims, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    return json.loads(header), json.loads(claims), signature


def test_a_logout_token_by_hand(one: Site, clock: Clock) -> None:
    clock.now += 7
    token = one.client.provider.logout_token(client_id="one", sub="ada", sid="s")
    header, claims = one.client.verify(token)
    assert header["typ"] == "logout+jwt"
    assert (claims["sub"], claims["sid"], claims["aud"]) == ("ada", "s", "one")
    assert (claims["iat"], claims["exp"]) == (NOW + 7, NOW + 127)
    bare = one.client.verify(one.client.provider.logout_token(client_id="one"))[1]
    assert bare.keys() == {"iss", "aud", "iat", "exp", "jti", "events"}
    assert bare["jti"] != claims["jti"]
    with pytest.raises(ValueError, match="no client is registered as 'flask-parjar'"):
        one.client.provider.logout_token(sub="ada")


def test_a_spoilt_logout_token(one: Site) -> None:
    provider = one.client.provider
    token = provider.logout_token(
        client_id="one",
        sub="ada",
        header={"typ": "JWT", "crit": ["x"]},
        claims={"aud": ["one", "two"], "nonce": "n", "events": None, "exp": None},
    )
    header, claims = one.client.verify(token)
    assert (header["typ"], header["crit"]) == ("JWT", ["x"])
    assert (claims["aud"], claims["nonce"]) == (["one", "two"], "n")
    assert not claims.keys() & {"events", "exp", "sid"}


def test_a_logout_token_under_another_algorithm(one: Site) -> None:
    provider = one.client.provider
    rsa = provider.logout_token(client_id="one", sub="ada", header={"alg": "RS256"})
    assert one.client.verify(rsa)[0]["alg"] == "RS256"
    bare = provider.logout_token(client_id="one", sub="ada", header={"alg": "none", "kid": None})
    assert taken_apart(bare)[0] == {"typ": "logout+jwt", "alg": "none"}
    assert taken_apart(bare)[2] == b""
    for header in ({"alg": "HS256"}, {"alg": None}):
        lying = provider.logout_token(client_id="one", sub="ada", header=header)
        assert taken_apart(lying)[0].get("alg") == header["alg"]
        assert len(taken_apart(lying)[2]) == 64
