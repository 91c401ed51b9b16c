"""The wire: what it draws of logins that end well, and of every one that does not."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey

from example_app import create_app
from example_app.wire import BOUND, CALLS, CHECKS, MAX_BROWSERS, PROOF, WAYS, Wire, clock
from flask_parjar.testing import DevProvider, Stopped
from tests.support.fault_table import FAULTS as FAULT_TABLE
from tests.support.site import ISSUER, Visitor, query
from tests.support.threads import at_once

SECRETS = ("code", "state", "request_uri")


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


@pytest.fixture
def app(provider: DevProvider) -> Flask:
    return make_app(provider)


def make_app(provider: DevProvider, **config: object) -> Flask:
    app = create_app(provider.config({"TESTING": True, **config}))
    provider.connect(app)
    return app


def steps(visitor: Visitor) -> list[str]:
    """The names of the steps that this visitor sees."""
    page = visitor.get("/wire")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    return re.findall(r'data-step="(\w+)"', page.text)


def last_heading(visitor: Visitor) -> str:
    page = visitor.get("/wire").text
    found = re.findall(r"<h2><span class=\"number\">\d+</span><span>(.*?) <small>", page)
    return unescape(found[-1])


def test_a_login_is_drawn_in_order(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    assert steps(ada) == []
    ada.log_in("/login?next=/account")
    assert steps(ada) == [
        "start",
        "discovery",
        "sign",
        "pushed_authorization_request",
        "redirect",
        "sign_in",
        "return",
        "token",
        "jwks",
        "verify",
        "logged_in",
    ]
    page = ada.get("/wire").text
    for shown in ("oauth-authz-req+jwt", "at_hash", "nonce", "/account", 'data-calls="4"', "ES256"):
        assert shown in page
    listed = re.findall(r"<li><b>(\w+)</b> (.*?)</li>", page)
    assert [name for name, _ in listed] == [
        *("signature", "iss", "aud", "exp", "iat", "nonce", "sub", "at_hash"),
    ]
    assert [sentence for name, sentence in listed] == [CHECKS[name] for name, _ in listed]

    ada.log_in()
    assert len(steps(ada)) == 9, "metadata and keys were cached"
    assert 'data-calls="2"' in ada.get("/wire").text


@pytest.mark.parametrize(
    ("level", "drawn", "way"),
    [
        ("pushed+signed", ["sign", "pushed_authorization_request"], "request_uri"),
        ("pushed", ["pushed_authorization_request"], "request_uri"),
        ("signed", ["sign"], "request"),
        ("plain", [], "redirect_uri"),
    ],
)
def test_a_login_of_each_request_level_is_drawn(
    provider: DevProvider, level: str, drawn: list[str], way: str
) -> None:
    provider.allow_requests(level)
    ada = Visitor(make_app(provider, PARJAR_REQUEST=level), provider)
    away = query(ada.leave())
    assert ada.get(ada.come_back(ada.leave())).status_code == 302
    page = ada.get("/wire").text
    assert steps(ada) == [
        *("start", *drawn, "redirect", "sign_in", "return", "token", "jwks"),
        *("verify", "logged_in"),
    ]
    assert WAYS[way][0] in unescape(page)
    assert ("It is not signed." in page) is (level == "pushed")
    assert [one for name in SECRETS for one in away.get(name, []) if one in page] == []


def test_a_login_is_drawn_for_no_browser_that_knew_the_session_before_it(
    app: Flask, provider: DevProvider
) -> None:
    """Somebody has planted the cookie of their own browser in another one."""
    mallory, ada = Visitor(app, provider), Visitor(app, provider)
    mallory.leave()
    planted = mallory.client.get_cookie("example_site")
    assert planted is not None
    ada.client.set_cookie("example_site", planted.value)
    assert ada.log_in("/login?next=/account").location == "/account"
    assert "ada@people.example" in ada.get("/wire").text
    page = mallory.get("/wire").text
    assert "ada@people.example" not in page and "Ada Lovelace" not in page


def test_userinfo_is_drawn(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_USERINFO=True), provider)
    ada.log_in()
    assert "userinfo" in steps(ada)
    assert "about the same sub" in ada.get("/wire").text


def tables(visitor: Visitor, step: str) -> list[dict[str, dict[str, str]]]:
    """The tables of each step of that name: a caption, and the members below it."""
    sections = visitor.get("/wire").text.split("<section ")[1:]
    return [
        {
            caption: {
                name: unescape(re.sub("<.*?>", "", cell))
                for name, cell in re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', table)
            }
            for caption, table in re.findall(
                r"<caption>(.*?)</caption>(.*?)</table>", section, re.S
            )
        }
        for section in sections
        if f'data-step="{step}"' in section
    ]


def test_proofs_and_a_bound_token_are_drawn(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_DPOP=True, PARJAR_USERINFO=True), provider)
    ada.log_in()
    page = unescape(ada.get("/wire").text)
    assert (page.count(PROOF), page.count(BOUND)) == (3, 1)
    for step, method in (
        ("pushed_authorization_request", "POST"),
        ("token", "POST"),
        ("userinfo", "GET"),
    ):
        (shown,) = tables(ada, step)
        header, claims = shown["DPoP proof: header"], shown["DPoP proof: claims"]
        assert (header["typ"], header["alg"]) == ("dpop+jwt", "ES256")
        members = [part.split()[0] for part in header["jwk"].split(", ")]
        assert sorted(members) == ["crv", "kty", "x", "y"]  # no d
        assert (claims["htm"], claims["htu"].partition(ISSUER)[0]) == (method, "")
        assert ("ath" in claims) is (step == "userinfo")
    (token,) = tables(ada, "token")
    assert token["Received"]["token_type"] == "DPoP"
    proofs = [call.headers["DPoP"] for call in provider.calls if "DPoP" in call.headers]
    assert len(proofs) == 3
    assert [part for proof in proofs for part in proof.split(".") if part in page] == []


def test_a_provider_that_asks_for_a_nonce_is_drawn(provider: DevProvider) -> None:
    provider.dpop_nonces = True
    ada = Visitor(make_app(provider, PARJAR_DPOP=True), provider)
    ada.log_in()
    assert steps(ada).count("pushed_authorization_request") == 2
    page = unescape(ada.get("/wire").text)
    assert page.count(CALLS["nonce"][0]) == 1
    assert 'class="failed"' not in page
    refused, pushed = tables(ada, "pushed_authorization_request")
    assert refused["Received"]["error"] == "use_dpop_nonce"
    assert "nonce" not in refused["DPoP proof: claims"]
    assert "nonce" in pushed["DPoP proof: claims"]


def test_without_bound_tokens_there_is_no_proof_to_draw(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    ada.log_in()
    page = ada.get("/wire").text
    assert "token_type" in page
    assert "DPoP" not in page


def test_an_id_token_that_came_encrypted_is_drawn(provider: DevProvider) -> None:
    key = ECKey.generate_key("P-256").as_dict(private=True)
    encrypted = {
        "PARJAR_ENCRYPTION_KEY": key,
        "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256GCM",
    }
    for config, first in ((encrypted, "encryption"), ({}, "signature")):
        ada = Visitor(make_app(provider, **config), provider)
        ada.log_in()
        page = ada.get("/wire").text
        assert re.findall(r"<li><b>(\w+)</b>", page)[0] == first
        assert ("decrypts and verifies the ID token" in page) is (first == "encryption")
        (shown,) = tables(ada, "verify")
        assert shown["Claims"]["sub"] == "ada"
        assert key["d"] not in page


def test_an_answer_that_is_posted_is_drawn(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    away = ada.leave()
    assert 'data-login="under_way"' in ada.get("/wire").text
    callback = provider.sign_in(away, "ada")
    ada.post("/callback", data={name: values[0] for name, values in query(callback).items()})
    page = ada.get("/wire").text
    assert "POST /callback" in page.replace("<wbr>", "")
    assert "a form to post" in page


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_signed_answer_is_drawn_with_what_is_in_it(
    provider: DevProvider, encrypted: bool
) -> None:
    config: dict[str, Any] = {"PARJAR_RESPONSE_MODE": "jwt"}
    if encrypted:
        config["PARJAR_ENCRYPTION_KEY"] = ECKey.generate_key("P-256").as_dict(private=True)
        config["PARJAR_RESPONSE_ENCRYPTION"] = "ECDH-ES A256GCM"
    ada = Visitor(make_app(provider, **config), provider)
    callback = ada.come_back(ada.leave())
    assert ada.get(callback).status_code == 302
    page = ada.get("/wire").text
    assert "signed JWT" in page
    assert ("A256GCM" in page) is encrypted
    assert query(callback)["response"][0] not in page
    assert "sign_in" in steps(ada), "the login is found by the state inside"


@pytest.fixture(scope="module")
def faulty() -> DevProvider:
    """One for all the faults: its keys take longer to make than a login."""
    return DevProvider(ISSUER)


#: One fault of each section for each place where a login can end.
ONE_OF_EACH = {
    (section, row.status, row.steps): fault
    for section, rows in FAULT_TABLE.items()
    for fault, row in rows.items()
}


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH.values()))
def test_a_fault_is_drawn_up_to_where_it_ends(faulty: DevProvider, name: str) -> None:
    config = {"PARJAR_RESPONSE_MODE": "jwt"} if "jarm" in name else {}
    app = make_app(faulty, PARJAR_USERINFO=name.startswith("userinfo"), **config)
    visitor = Visitor(app, faulty)
    whole: list[str] = []
    ended = 0
    with faulty.fault(name):
        left = visitor.get("/login")
        if left.status_code == 302:
            whole += secrets_in(left.location)
            try:
                callback = visitor.come_back(left.location)
            except Stopped:
                pass  # at a page of the provider's own, and no one comes back
            else:
                whole += secrets_in(callback)
                ended = visitor.get(callback).status_code
        else:
            ended = left.status_code
    page = visitor.get("/wire").text
    last = steps(visitor)[-1]
    if ended == 302:
        assert last == "logged_in"
    elif ended:
        assert last == "failed"
        assert 'data-login="failed"' in page
    else:
        assert last == "redirect"
    assert [secret for secret in whole if len(secret) > 20 and secret in page] == []


def secrets_in(url: str) -> list[str]:
    return [value for name, values in query(url).items() if name in SECRETS for value in values]


def unreachable(*_: object) -> Any:
    raise ConnectionError("no route")


def test_a_provider_that_is_down_is_drawn(app: Flask, provider: DevProvider) -> None:
    provider.app.wsgi_app = unreachable  # type: ignore[method-assign]
    visitor = Visitor(app, provider)
    assert visitor.get("/login").status_code == 503
    assert steps(visitor) == ["start", "discovery", "failed"]
    assert "provider_unreachable" in visitor.get("/wire").text


def test_each_browser_sees_its_own_login_and_no_other(app: Flask, provider: DevProvider) -> None:
    ada, grace, anonymous = (Visitor(app, provider) for _ in range(3))
    ada.log_in()
    grace.log_in(person="grace")
    assert "Ada Lovelace" in last_heading(ada)
    assert "Grace Hopper" in last_heading(grace)
    assert steps(anonymous) == []


def test_after_the_logout_there_is_nothing_to_see(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    ada.log_in()
    ada.post("/logout", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"})
    assert steps(ada) == []


def test_two_logins_at_once_are_not_mixed_up(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    first, second = ada.leave("/login?next=/account"), ada.leave("/login?next=/reports")
    ada.get(ada.come_back(first))
    page = ada.get("/wire").text
    assert "/account" in page.partition('data-step="sign"')[0].partition("<main")[2]
    ada.get(ada.come_back(second, approve=False))
    assert steps(ada)[0] == "start"
    assert steps(ada)[-1] == "failed"
    assert steps(ada).count("return") == 1


def test_an_answer_to_nothing_is_drawn_without_a_beginning(
    app: Flask, provider: DevProvider
) -> None:
    visitor = Visitor(app, provider)
    assert visitor.get("/callback?state=made-up&code=x").status_code == 400
    assert steps(visitor) == ["return", "failed"]


def test_the_oldest_browsers_are_forgotten(app: Flask, provider: DevProvider) -> None:
    visitors = [Visitor(app, provider) for _ in range(MAX_BROWSERS + 1)]
    for visitor in visitors:
        visitor.get("/callback?state=made-up")
    assert steps(visitors[0]) == []
    assert steps(visitors[1]) != []


def test_many_threads_at_once(app: Flask, provider: DevProvider) -> None:
    Visitor(app, provider).log_in()

    def log_in_often() -> None:
        for _ in range(5):
            visitor = Visitor(app, provider)
            visitor.log_in()
            assert len(steps(visitor)) == 9

    at_once([log_in_often] * 8)


def test_two_apps_have_two_wires(app: Flask, provider: DevProvider) -> None:
    other = make_app(provider, PARJAR_CLIENT_ID="another")
    ada = Visitor(app, provider)
    ada.log_in()
    wires = [each.extensions["wire"] for each in (app, other)]
    assert all(isinstance(wire, Wire) for wire in wires)
    assert [len(wire._browsers) for wire in wires] == [1, 0]


def test_calls_outside_of_requests_are_not_its_business(app: Flask) -> None:
    with app.app_context():
        app.extensions["parjar"].providers["default"].metadata(0)


@pytest.mark.parametrize("beyond", [1e30, float("nan"), float("inf"), -1e18])
def test_a_time_beyond_the_calendar_breaks_no_page(beyond: float) -> None:
    assert clock(beyond) == "no valid time"
