"""No secret in any log, signal, page or error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey

from flask_parjar import (
    access_refused,
    logged_in,
    logged_out,
    login_failed,
    login_started,
    logout_token_refused,
    provider_called,
    refresh_failed,
    tokens_refreshed,
)
from flask_parjar.testing import DevProvider
from tests.support import after_login
from tests.support.after_login import age, token_site
from tests.support.headers import FROM_HERE
from tests.support.site import Visitor, make_site, query

CLIENT_SECRET = "the-client-secret-of-these-tests"
SIGNALS = {
    "login_started": login_started,
    "provider_called": provider_called,
    "logged_in": logged_in,
    "login_failed": login_failed,
    "logged_out": logged_out,
    "tokens_refreshed": tokens_refreshed,
    "refresh_failed": refresh_failed,
    "access_refused": access_refused,
    "logout_token_refused": logout_token_refused,
}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of every library in the process, at its most talkative."""
    caplog.handler.setLevel(logging.DEBUG)
    with after_login.everything_logged():
        yield caplog


@pytest.fixture
def heard(site: Flask) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What the signals said, in order."""
    events: list[tuple[str, dict[str, Any]]] = []
    receivers = []
    for name, signal in SIGNALS.items():

        def hear(sender: Any, _name: str = name, **what: Any) -> None:
            events.append((_name, what))

        receivers.append(hear)
        signal.connect(hear)
    yield events
    for signal, receiver in zip(SIGNALS.values(), receivers, strict=True):
        signal.disconnect(receiver)


def secrets_of(provider: DevProvider, visitor: Visitor, callback: str) -> dict[str, str]:
    """Everything of one login that no one else may learn."""
    found: dict[str, str] = {}
    for call in provider.calls:
        for name in ("request", "client_assertion", "code", "code_verifier", "client_secret"):
            if name in call.form:
                found[f"{call.endpoint} {name}"] = call.form[name]
        if call.endpoint == "userinfo":
            found["access token"] = call.headers["Authorization"].removeprefix("Bearer ")
    answer = {name: values[0] for name, values in query(callback).items()}
    found["code"], found["state"] = answer["code"], answer["state"]
    with visitor.client.session_transaction() as stored:
        stored["probe"] = True
    found["cookie"] = str(visitor.client.get_cookie("session").value)  # type: ignore[union-attr]
    key = visitor.app.extensions["parjar"].providers["default"].client.signing_keys[0]
    found["private key"] = key._key.as_dict(private=True)["d"]
    return found


DECRYPTION_KEY = ECKey.generate_key("P-256").as_dict(private=True)
ENCRYPTED = {
    "PARJAR_ENCRYPTION_KEY": DECRYPTION_KEY,
    "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES A256GCM",
    "PARJAR_USERINFO_ENCRYPTION": "ECDH-ES A256GCM",
    "PARJAR_REQUEST_ENCRYPTION_ALG": "ECDH-ES",
}


@pytest.mark.parametrize("encryption", [{}, ENCRYPTED], ids=["clear", "encrypted"])
@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_post", "client_secret_basic"])
def test_no_secret_is_logged_or_signalled(
    provider: DevProvider,
    everything_logged: pytest.LogCaptureFixture,
    heard: Any,
    method: str,
    encryption: dict[str, Any],
) -> None:
    app = make_site(
        provider,
        PARJAR_CLIENT_SECRET=CLIENT_SECRET,
        PARJAR_CLIENT_AUTH=method,
        PARJAR_USERINFO=True,
        **encryption,
    )
    visitor = Visitor(app, provider)
    callback = visitor.come_back(visitor.leave("/login?next=/me"))
    with visitor.client.session_transaction() as stored:
        seed = stored["_parjar_logins"][0][0]
    assert visitor.get(callback).location == "/me"
    secrets = secrets_of(provider, visitor, callback)
    secrets |= {"client secret": CLIENT_SECRET, "seed": seed, "decrypts": DECRYPTION_KEY["d"]}
    ours = "\n".join(
        record.getMessage()
        for record in everything_logged.records
        if record.name.startswith(("flask_parjar", "urllib3", "requests", "joserfc"))
    )
    told = json.dumps([name for name, _ in heard]) + repr(heard)
    assert "pushed_authorization_request: HTTP 201" in ours
    assert {"request_uri", "code_verifier"} <= set(told.replace("'", '"').split('"'))
    assert len(secrets) >= 10
    for name, secret in secrets.items():
        assert secret not in ours, f"{name} in the log"
        assert secret not in told, f"{name} in a signal"
        assert secret[12:40] not in told, f"a piece of {name} in a signal"


def test_the_signals_of_a_login(visitor: Visitor, heard: Any) -> None:
    visitor.log_in("/login?next=/me")
    names = [name if name != "provider_called" else what["endpoint"] for name, what in heard]
    assert names == [
        "discovery",
        "pushed_authorization_request",
        "login_started",
        "token",
        "jwks",
        "logged_in",
    ]
    events = {names[n]: what for n, (_, what) in enumerate(heard)}
    push = events["pushed_authorization_request"]
    assert (push["provider"], push["status"], push["error"]) == ("default", 201, None)
    assert push["milliseconds"] > 0 and "?" not in push["url"]
    assert set(push["sent"]) >= {"client_id", "request"}
    assert push["sent"]["client_id"] == "flask-parjar"
    assert push["sent"]["request"].startswith("eyJ") and "characters)" in push["sent"]["request"]
    assert push["received"]["expires_in"] > 0
    started = events["login_started"]
    assert started["request_object"]["header"]["typ"] == "oauth-authz-req+jwt"
    assert started["request_object"]["claims"]["iss"] == "flask-parjar"
    assert "characters)" in started["request_object"]["claims"]["nonce"]
    assert set(started["redirect"]["parameters"]) == {"client_id", "request_uri"}
    done = events["logged_in"]
    assert done["identity"].subject == "ada"
    assert done["id_token"]["claims"]["sub"] == "ada"
    assert set(done["response"]) == {"code", "state", "iss"}
    assert list(done["checked"]) == [
        "signature",
        "iss",
        "aud",
        "exp",
        "iat",
        "nonce",
        "sub",
        "at_hash",
    ]


def test_the_signals_of_a_login_with_bound_tokens(provider: DevProvider, heard: Any) -> None:
    """A proof is told without its signature, and without what could be used or recognised."""
    visitor = Visitor(make_site(provider, PARJAR_DPOP=True, PARJAR_USERINFO=True), provider)
    visitor.log_in("/login?next=/me")
    told = {
        what["endpoint"]: what["dpop_proof"] for name, what in heard if name == "provider_called"
    }
    assert (told["discovery"], told["jwks"]) == (None, None)
    for endpoint in ("pushed_authorization_request", "token", "userinfo"):
        header, claims = told[endpoint]["header"], told[endpoint]["claims"]
        assert set(header) == {"typ", "alg", "jwk"}
        assert set(header["jwk"]) == {"kty", "crv", "x", "y"}
        assert claims["htm"] == ("GET" if endpoint == "userinfo" else "POST")
        assert claims["htu"].startswith(provider.issuer)
        assert "characters)" in claims["jti"]
    assert "characters)" in told["userinfo"]["claims"]["ath"]
    proofs = [call.headers["DPoP"] for call in provider.calls if "DPoP" in call.headers]
    assert len(proofs) == 3
    for part in (part for proof in proofs for part in proof.split(".")):
        assert part not in repr(heard)


def test_the_signals_of_a_failure(visitor: Visitor, provider: DevProvider, heard: Any) -> None:
    with provider.fault("par_error_invalid_client"):
        visitor.get("/login")
    name, what = heard[-1]
    assert (name, what["provider"], what["error"].error_code) == (
        "login_failed",
        None,
        "client_refused",
    )
    with provider.fault("par_html"):
        visitor.get("/login")
    call = [what for name, what in heard if name == "provider_called"][-1]
    assert (call["status"], call["error"], call["received"]) == (200, "provider_answer", {})


def test_a_lost_login_fails_once(visitor: Visitor, heard: Any) -> None:
    """Starting again is no failure; failing at it is one, told once."""
    back = visitor.come_back(visitor.leave())
    visitor.client.delete_cookie("session")
    heard.clear()
    away = visitor.get(back).location
    assert [name for name, _ in heard].count("login_failed") == 0
    again = visitor.come_back(away)
    visitor.client.delete_cookie("session")
    visitor.get(again)
    assert [name for name, _ in heard].count("login_failed") == 1


def test_no_page_shows_a_secret(visitor: Visitor, provider: DevProvider) -> None:
    visitor.app.debug = True
    back = visitor.come_back(visitor.leave())
    code = query(back)["code"][0]
    with provider.fault("token_error_invalid_grant"):
        page = visitor.get(back)
    assert page.status_code == 400
    assert code not in page.text and "code_refused" in page.text


def test_the_signals_of_what_comes_after(provider: DevProvider, heard: Any) -> None:
    """A renewal, a renewal that is refused, and a logout: told, and nothing told whole."""
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    first = visitor.get("/kept").json
    age(visitor, left=-1)
    heard.clear()
    visitor.get("/token")
    second = visitor.get("/kept").json
    visitor.post("/logout", headers=FROM_HERE)
    names = [name if name != "provider_called" else what["endpoint"] for name, what in heard]
    assert names == ["token", "tokens_refreshed", "logged_out", "revocation", "revocation"]
    renewal, said, *_ = (what for _, what in heard)
    assert set(renewal["sent"]) >= {"grant_type", "refresh_token", "client_assertion"}
    assert set(renewal["received"]) >= {"access_token", "refresh_token", "id_token"}
    assert "characters)" in renewal["sent"]["refresh_token"]
    assert said["identity"].subject == "ada"
    for kept in (first, second):
        for name in ("access_token", "refresh_token", "id_token"):
            assert kept[name] not in repr(heard) and kept[name][12:40] not in repr(heard), name
    visitor.log_in()
    age(visitor, left=-1)
    heard.clear()
    with provider.fault("refresh_invalid_grant"):
        assert visitor.get("/token").status_code == 302
    (call, _), (failure, what) = heard
    assert (call, failure, what["error"].error_code) == (
        "provider_called",
        "refresh_failed",
        "refresh_refused",
    )
    assert (what["identity"].subject, what["usable"]) == ("ada", False)
