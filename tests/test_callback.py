"""The way back: which answers are taken, in which order they are proved, and what stays behind."""

from __future__ import annotations

import html
import inspect
import os
import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, redirect, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import Forbidden

from flask_parjar import (
    AccessDenied,
    Identity,
    LoginOptions,
    ParJar,
    ParJarError,
    logged_in,
    login_failed,
)
from flask_parjar.testing import DevProvider
from tests.support.pages import code_of, endpoints
from tests.support.signed_state import signed_state
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, query


def test_a_whole_login(visitor: Visitor, provider: DevProvider) -> None:
    response = visitor.log_in("/login?next=/me")
    assert (response.status_code, response.location) == (302, "/me")
    assert response.headers["Cache-Control"] == "no-store"
    assert "Cookie" in response.headers["Vary"]
    me = visitor.get("/me").json
    assert (me["sub"], me["iss"], me["provider"]) == ("ada", ISSUER, "default")
    assert (me["name"], me["email"]) == ("Ada Lovelace", "ada@people.example")
    assert me["scopes"] == sorted(SCOPES.split())
    proof_only = {"iss", "aud", "exp", "iat", "nonce", "at_hash", "sub", "jti", "azp"}
    assert not proof_only & set(me["claims"])


def test_the_token_call(visitor: Visitor, provider: DevProvider) -> None:
    visitor.log_in()
    call = next(call for call in provider.calls if call.endpoint == "token")
    assert set(call.form) == {
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "client_id",
        "client_assertion",
        "client_assertion_type",
    }
    assert call.form["redirect_uri"] == "http://localhost/callback"
    assert len(call.form["code_verifier"]) == 43
    assert call.headers["Accept"] == "application/json"


def test_cookies_stay_small(visitor: Visitor) -> None:
    away = visitor.get("/login?next=/me")
    assert len(away.headers["Set-Cookie"]) <= 300
    back = visitor.get(visitor.come_back(away.location))
    assert len(back.headers["Set-Cookie"]) <= 420
    for _ in range(40):  # many more than are kept
        away = visitor.get("/login?next=/me")
        assert len(away.headers["Set-Cookie"]) <= 800
    assert visitor.get(visitor.come_back(away.location)).location == "/me"


def test_state_cannot_be_used_twice(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(back).location == "/me"
    provider.calls.clear()
    again = visitor.get(back)
    assert (again.status_code, again.location) == (302, "/")  # back or reload: nothing happened
    assert provider.calls == []


def test_another_browser_s_answer_logs_no_one_in(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """Login CSRF: the attacker's own code and state, brought to the victim."""
    stolen = visitor.come_back(visitor.leave())
    victim = Visitor(site, provider)
    provider.calls.clear()
    response = victim.get(stolen)
    assert response.status_code == 302  # a login of the victim's own begins instead
    assert set(query(response.location)) == {"client_id", "request_uri"}
    assert endpoints(provider) == ["pushed_authorization_request"]
    assert victim.get("/me").status_code == 302


def test_a_lost_login_is_started_once_more(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.client.delete_cookie("session")
    response = visitor.get(back)
    assert response.location.startswith(f"{ISSUER}/")
    assert visitor.get(visitor.come_back(response.location)).location == "/"


def test_a_login_lost_twice_ends_in_a_page(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.client.delete_cookie("session")
    again = visitor.come_back(visitor.get(back).location)
    visitor.client.delete_cookie("session")
    provider.calls.clear()
    page = visitor.get(again)
    assert (page.status_code, "login_lost" in page.text) == (400, True)
    assert 'href="/login"' in page.text
    assert provider.calls == []


def test_a_lost_login_with_options_is_not_started_again(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        def strong() -> Any:
            return parjar.login(
                LoginOptions(prompt="login", acr_values=["mfa"], essential_acr=True), next="/me"
            )

        @app.get("/plain")
        def plain() -> Any:
            return parjar.login(next="/me")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    back = visitor.come_back(visitor.leave("/strong"))
    visitor.client.delete_cookie("session")
    page = visitor.get(back)
    assert (page.status_code, "login_lost" in page.text) == (400, True)
    back = visitor.come_back(visitor.leave("/plain"))
    visitor.client.delete_cookie("session")
    assert visitor.get(back).location.startswith(ISSUER)


def test_an_expired_login_is_started_once_more(provider: DevProvider) -> None:
    app = make_site(provider)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(age(app, back, 601)).location.startswith(f"{ISSUER}/")
    again = visitor.come_back(visitor.get(age(app, back, 601)).location)
    page = visitor.get(age(app, again, 601))
    assert (page.status_code, "login_expired" in page.text) == (400, True)


def age(app: Flask, callback: str, seconds: int) -> str:
    """Sign the state anew as of some seconds ago, with the app's own key."""
    values = {name: value[0] for name, value in query(callback).items()}
    text = values["state"].split(".")[0]
    # An identifier that no session has: that of a transaction which fell out of it.
    text = text[:22][::-1] + text[22:]
    moment = time.time() - seconds
    values["state"] = signed_state(text, key=str(app.secret_key), at=moment)
    return f"/callback?{urlencode(values)}"


def test_the_session_s_half_expires_too(provider: DevProvider) -> None:
    app = make_site(provider)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    with visitor.client.session_transaction() as stored:
        stored["_parjar_logins"] = [[e[0], e[1] - 601, *e[2:]] for e in stored["_parjar_logins"]]
    provider.calls.clear()
    assert visitor.get(back).location.startswith(f"{ISSUER}/")
    assert endpoints(provider) == ["pushed_authorization_request"]


def test_a_transaction_of_another_issuer_counts_for_nothing(
    visitor: Visitor, provider: DevProvider
) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    with visitor.client.session_transaction() as stored:
        for entry in stored["_parjar_logins"]:
            entry[3] = "https://other.example"
        stored.modified = True
    provider.calls.clear()
    assert visitor.get(back).location.startswith(f"{ISSUER}/")
    assert "token" not in endpoints(provider)


@pytest.mark.parametrize(
    "change, code",
    [
        (lambda q: q.pop("state"), "state_missing"),
        (lambda q: q.update(state=""), "state_missing"),
        (lambda q: q.update(state=q["state"][:-1]), "state_forged"),
        (lambda q: q.update(state="x" * 5000), "state_forged"),
        (lambda q: q.update(state="ü"), "state_forged"),
        (lambda q: q.update(state=[q["state"], q["state"]]), "response_duplicate"),
        (lambda q: q.update(code=[q["code"], "x"]), "response_duplicate"),
        (lambda q: q.update(code="x" * 9000), "response_malformed"),
        (lambda q: q.update({f"p{n}": "x" for n in range(40)}), "response_malformed"),
        (lambda q: q.update(code="a\0b"), "response_malformed"),
        (lambda q: q.update(iss="https://evil.example"), "issuer_mismatch"),
        (lambda q: q.update(iss=ISSUER + "/"), "issuer_mismatch"),
        (lambda q: q.pop("iss"), "issuer_missing"),
        (lambda q: q.pop("code"), "code_missing"),
        (lambda q: q.update(code=""), "code_missing"),
        (lambda q: q.update(code="x" * 4097), "code_missing"),
    ],
)
def test_an_answer_that_breaks_a_rule(visitor, provider, change, code: str) -> None:
    parameters = {n: v[0] for n, v in query(visitor.come_back(visitor.leave())).items()}
    change(parameters)
    provider.calls.clear()
    page = visitor.get(f"/callback?{urlencode(parameters, doseq=True)}")
    assert (page.status_code, f"<code>{code}</code>" in page.text) == (400, True)
    assert provider.calls == []
    assert visitor.get("/me").status_code == 302


@pytest.mark.parametrize(
    "text", ["", "text", "i" * 21 + "1default", "i" * 22 + "2default", "i" * 22 + "1", "i" * 66]
)
def test_a_signed_state_of_another_shape_is_refused(visitor: Visitor, text: str) -> None:
    state = signed_state(text)
    page = visitor.client.get("/callback", query_string={"state": state, "code": "x"})
    assert (page.status_code, "state_forged" in page.text) == (400, True)


def test_text_that_is_not_utf_8(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave())
    page = visitor.get(back.replace("code=", "code=%ff%fe"))
    assert (page.status_code, "response_malformed" in page.text) == (400, True)


def test_the_issuer_may_be_missing_where_it_is_not_promised(
    visitor: Visitor, provider: DevProvider
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = False
    parameters = {n: v[0] for n, v in query(visitor.come_back(visitor.leave("/login"))).items()}
    parameters.pop("iss", None)
    assert visitor.get(f"/callback?{urlencode(parameters)}").location == "/"


def test_an_issuer_parameter_of_the_callback_is_not_the_expected_issuer(visitor: Visitor) -> None:
    other = "https://other-provider.example"
    with visitor.provider.fault("id_token_iss_foreign"):
        back = visitor.come_back(visitor.leave())
        page = visitor.get(f"{back}&issuer={other}")
    assert code_of(page) == "token_issuer"
    assert visitor.get("/me").status_code == 302


def test_an_answer_for_another_provider(provider: DevProvider) -> None:
    """Mix-up: what one provider's callback was promised counts nowhere else."""
    sections = {"work": {"client_id": "w"}, "home": {"client_id": "h"}}
    visitor = Visitor(make_site(provider, PARJAR_PROVIDERS=sections), provider)
    back = visitor.come_back(visitor.leave("/login/work"))
    provider.calls.clear()
    page = visitor.get(back.replace("/callback/work", "/callback/home"))
    assert (page.status_code, "state_mismatch" in page.text) == (400, True)
    assert provider.calls == []
    assert visitor.get(back).location == "/"  # and the login itself is not lost by it


def test_a_person_who_refuses_is_told(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave(), approve=False)
    provider.calls.clear()
    page = visitor.get(back)
    assert (page.status_code, "access_denied" in page.text) == (403, True)
    assert provider.calls == []
    again = visitor.get(back)  # used up, and nothing is started anew behind an error
    assert (again.status_code, "login_lost" in again.text) == (400, True)


@pytest.mark.parametrize(
    "error, status",
    [("login_required", 401), ("server_error", 502), ("temporarily_unavailable", 503)],
)
def test_the_provider_s_error_is_text_and_nothing_more(
    visitor: Visitor, error: str, status: int
) -> None:
    parameters = {n: v[0] for n, v in query(visitor.come_back(visitor.leave())).items()}
    parameters |= {
        "error": error,
        "error_description": "<script>alert(1)</script>" + "x" * 500,
        "error_uri": "https://evil.example/",
    }
    page = visitor.get(f"/callback?{urlencode(parameters)}")
    assert page.status_code == status
    assert error in page.text and "&lt;script&gt;" in page.text
    assert "<script" not in page.text and "evil.example" not in page.text
    assert "x" * 201 not in page.text


#: They turn the direction of the text around them, or hide in it (Unicode, *Bidirectional
#: Algorithm* 2).
DIRECTIONS = "\u202a\u202d\u202e\u2066\u2067\u2068\u200e\u200f\u061c"


def test_the_provider_s_error_does_not_turn_the_page_around(
    visitor: Visitor, provider: DevProvider
) -> None:
    parameters = {n: v[0] for n, v in query(visitor.come_back(visitor.leave())).items()}
    parameters |= {"error": "access_denied", "error_description": f"before{DIRECTIONS}after"}
    page = visitor.get(f"/callback?{urlencode(parameters)}")
    assert (page.status_code, "access_denied" in page.text) == (403, True)
    assert "before" in page.text and "after" in page.text
    assert not set(DIRECTIONS) & set(page.text)


def test_an_answer_in_one_signed_parameter_is_named(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    """JARM, which was not asked for: the operator must not look for an old bookmark."""
    page = visitor.get("/callback?response=eyJhbGciOiJFUzI1NiJ9.eyJjb2RlIjoiYyJ9.c2ln")
    assert page.status_code == 400
    assert code_of(page) == "state_missing"
    assert re.search(r"state_missing: .*\bresponse\b", caplog.text)
    assert "PARJAR_RESPONSE_MODE" in caplog.text
    assert "eyJ" not in caplog.text + page.text


@pytest.mark.parametrize("description", ["refus%E9", "refus%EF%BF%BD"], ids=["Latin-1", "U+FFFD"])
def test_a_description_that_is_no_utf_8_does_not_hide_the_error(
    visitor: Visitor, description: str
) -> None:
    parameters = {
        name: values[0]
        for name, values in query(visitor.come_back(visitor.leave(), approve=False)).items()
        if name != "error_description"
    }
    assert parameters["error"] == "access_denied"
    page = visitor.get(f"/callback?{urlencode(parameters)}&error_description={description}")
    assert (page.status_code, code_of(page)) == (403, "access_denied")


@pytest.mark.parametrize(
    "error",
    ["login_required", "interaction_required", "consent_required", "account_selection_required"],
)
def test_a_silent_login_that_would_need_a_page_has_a_code_of_its_own(
    provider: DevProvider, error: str
) -> None:
    """OpenID Connect Core 3.1.2.6: the site can tell it from a refusal, and ask with a page."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.login_options(lambda: LoginOptions(prompt="none"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    answer = query(visitor.come_back(visitor.leave()))
    parameters = {"state": answer["state"][0], "iss": ISSUER, "error": error}
    page = visitor.get(f"/callback?{urlencode(parameters)}")
    assert (page.status_code, code_of(page)) == (401, "interaction_required")
    assert error in page.text


#: What turns the direction of the text that follows (Unicode Technical Report 36, section 2.5).
TURNS_THE_TEXT = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("name", ["error", "error_description"])
def test_the_text_of_an_error_does_not_turn_that_of_the_page(visitor: Visitor, name: str) -> None:
    parameters = {n: v[0] for n, v in query(visitor.come_back(visitor.leave())).items()}
    parameters |= {"error": "server_error", "error_description": "why", name: f"a{TURNS_THE_TEXT}b"}
    page = visitor.get(f"/callback?{urlencode(parameters)}")
    assert code_of(page) == "provider_refused"
    assert set(TURNS_THE_TEXT).isdisjoint(html.unescape(page.text))


def test_head_and_prefetch_take_nothing(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    provider.calls.clear()
    assert visitor.client.head(back).status_code == 200
    assert visitor.get(back, headers={"Sec-Purpose": "prefetch"}).status_code == 503
    assert provider.calls == []
    assert visitor.get(back).location == "/me"


def test_a_post_where_get_is_meant(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    response = visitor.post(back)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")
    assert visitor.get(back).location == "/me"


def test_form_post(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    path, _, fields = back.partition("?")
    got = visitor.get(back)
    assert (got.status_code, got.headers["Allow"]) == (405, "POST")
    form = {name: values[0] for name, values in query(f"{path}?{fields}").items()}
    # The browser keeps a SameSite=Lax cookie back from a form that another site sends.
    elsewhere = visitor.app.test_client()
    bounce = elsewhere.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert bounce.status_code == 200
    assert all(f'value="{form[name]}"' in bounce.text for name in ("code", "state"))
    done = visitor.post(path, data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert done.location == "/me"


def test_a_form_from_another_site_is_looked_at_when_it_comes_from_here(
    provider: DevProvider,
) -> None:
    visitor = Visitor(make_site(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    provider.calls.clear()
    form = {"code": "<x>", "state": "of another", "utm": "left out"}
    page = visitor.post("/callback", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status_code == 200
    assert 'value="&lt;x&gt;"' in page.text
    assert "left out" not in page.text
    refused = visitor.post("/callback", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (refused.status_code, code_of(refused)) == (400, "state_forged")
    assert provider.calls == []


@pytest.mark.parametrize(
    "csp_nonce, written",
    [
        (lambda: "of-this-answer", [("style", "of-this-answer"), ("script", "of-this-answer")]),
        ("no function", []),
        (None, []),
    ],
)
def test_our_pages_have_the_nonce_of_the_site(
    provider: DevProvider, csp_nonce: Any, written: list[tuple[str, str]]
) -> None:
    """Otherwise a Content-Security-Policy of the site takes their style and their script."""
    app = make_site(provider, PARJAR_RESPONSE_MODE="form_post")
    if csp_nonce is not None:
        app.jinja_env.globals["csp_nonce"] = csp_nonce
    form, headers = {"code": "x", "state": "y"}, {"Sec-Fetch-Site": "cross-site"}
    page = Visitor(app, provider).post("/callback", data=form, headers=headers)
    assert page.status_code == 200
    assert re.findall(r'<(style|script) nonce="([^"]*)"', page.text) == written


@pytest.mark.parametrize("mode, method", [("form_post", "get"), ("query", "post")])
def test_a_callback_by_the_wrong_method_is_logged(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, mode: str, method: str
) -> None:
    """As where a provider does not mind the response mode that it was asked for."""
    visitor = Visitor(make_site(provider, PARJAR_RESPONSE_MODE=mode), provider)
    back = visitor.come_back(visitor.leave())
    path, _, answer = back.partition("?")
    caplog.clear()
    if method == "get":
        page = visitor.get(back)
    else:
        page = visitor.post(path, data=answer, content_type="application/x-www-form-urlencoded")
    assert (page.status_code, code_of(page)) == (405, "response_method")
    assert "PARJAR_RESPONSE_MODE" in caplog.text
    assert query(back)["code"][0] not in caplog.text


def test_three_tabs_all_finish(visitor: Visitor) -> None:
    away = [visitor.leave(f"/login?next=/tab{n}") for n in range(3)]
    for n in (1, 2, 0):
        assert visitor.get(visitor.come_back(away[n])).location == f"/tab{n}"


def test_of_many_abandoned_logins_the_newest_five_work(visitor: Visitor) -> None:
    away = [visitor.leave(f"/login?next=/tab{n}") for n in range(7)]
    for n in range(6, 1, -1):
        assert visitor.get(visitor.come_back(away[n])).location == f"/tab{n}"


def test_a_change_of_person_starts_a_new_session(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/put")
        def put() -> str:
            session["cart"] = ["a"]
            return "put"

        @app.get("/cart")
        def cart() -> str:
            return str(session.get("cart"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.get("/put")
    visitor.log_in()
    assert visitor.get("/cart").text == "None"
    visitor.get("/put")
    visitor.log_in()
    assert visitor.get("/cart").text == "['a']"  # the same person, perhaps with a stronger login
    visitor.log_in(person="grace")
    assert visitor.get("/cart").text == "None"
    assert visitor.get("/me").json["sub"] == "grace"


def test_the_app_s_own_user(provider: DevProvider) -> None:
    loads: list[Identity] = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        from flask_parjar import current_user

        @parjar.user_loader
        def load(identity: Identity) -> str | None:
            loads.append(identity)
            return {"ada": "user no. 1"}.get(identity.subject)

        @app.get("/user")
        def user() -> str:
            return f"{current_user.user} {current_user.user} {bool(current_user)}"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    loads.clear()
    assert visitor.get("/user").text == "user no. 1 user no. 1 True"
    assert [identity.subject for identity in loads] == ["ada"]  # once a request
    refused = visitor.get(visitor.come_back(visitor.leave(), "grace"))
    assert (refused.status_code, "user_refused" in refused.text) == (403, True)


def test_a_user_who_is_gone_is_logged_out(provider: DevProvider) -> None:
    users = {"ada": 1}

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.user_loader(lambda identity: users.get(identity.subject))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/me").status_code == 200
    users.clear()
    assert visitor.get("/me").status_code == 302


def test_userinfo_is_merged_where_asked(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_USERINFO=True), provider)
    visitor.log_in()
    call = next(call for call in provider.calls if call.endpoint == "userinfo")
    assert (call.method, call.headers["Authorization"][:7]) == ("GET", "Bearer ")
    assert visitor.get("/me").json["name"] == "Ada Lovelace"


def test_userinfo_says_nothing_of_the_sign_in(provider: DevProvider) -> None:
    """How strong, how fresh, by which session: the ID token alone is believed there."""
    visitor = Visitor(make_site(provider, PARJAR_USERINFO=True), provider)
    proof = ("acr", "auth_time", "sid")
    with provider.fault("userinfo_sign_in"):
        visitor.log_in()
        told = visitor.get("/me").json["claims"]
        assert told["acr"] == "pwd" and told["amr"] == ["pwd"] and told["sid"] != "of-userinfo"
        for claim in proof:
            provider.fault(f"id_token_{claim}_missing")
        visitor.log_in()
    told = visitor.get("/me").json["claims"]
    assert not set(proof) & set(told)
    assert (told["name"], told["amr"]) == ("Ada Lovelace", ["pwd"])


def test_max_age_and_acr_are_proved(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        def strong() -> object:
            return parjar.login(LoginOptions(max_age=60, acr_values=["pwd"], essential_acr=True))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    for fault, code in {
        "id_token_auth_time_missing": "token_auth_time",
        "id_token_auth_time_old": "token_auth_time",
        "id_token_auth_time_string": "token_auth_time",
        "id_token_acr_other": "token_acr",
        "id_token_acr_missing": "token_acr",
    }.items():
        with provider.fault(fault):
            page = visitor.log_in("/strong")
        assert (page.status_code, code in page.text) == (502, True), fault
    assert visitor.log_in("/strong").status_code == 302


@pytest.mark.parametrize(
    "claim, fault, code",
    [
        ({"acr": {"essential": True, "values": ["pwd", "mfa"]}}, "id_token_acr_other", "token_acr"),
        ({"acr": {"essential": True, "value": "pwd"}}, "id_token_acr_missing", "token_acr"),
        ({"acr": {"essential": True}}, "id_token_acr_missing", "token_acr"),
        ({"auth_time": {"essential": True}}, "id_token_auth_time_missing", "token_auth_time"),
        ({"auth_time": {"essential": True}}, "id_token_auth_time_string", "token_auth_time"),
    ],
)
@pytest.mark.parametrize("place", ["login", "params", "configuration"])
def test_an_essential_claim_is_proved(
    provider: DevProvider, claim: dict[str, object], fault: str, code: str, place: str
) -> None:
    """OpenID Connect Core 3.1.3.7 (12) and 5.5.1.1, wherever it was asked for."""
    claims = {"id_token": claim}
    visitor = visitor_who_asks(provider, claims, place)
    with provider.fault(fault):
        page = visitor.log_in("/asks")
    assert (page.status_code, code_of(page)) == (502, code)
    assert visitor.get("/me").status_code == 302
    assert visitor.log_in("/asks").location == "/me"


@pytest.mark.parametrize(
    "claim, fault",
    [
        ({"acr": {"values": ["gold"]}}, "id_token_acr_missing"),
        ({"acr": None, "auth_time": None}, "id_token_auth_time_missing"),
        ({"auth_time": {"essential": True}, "acr": {"value": "pwd"}}, "id_token_acr_other"),
    ],
)
def test_a_claim_that_is_not_essential_may_be_missing(
    provider: DevProvider, claim: dict[str, object], fault: str
) -> None:
    visitor = visitor_who_asks(provider, {"id_token": claim}, "login")
    with provider.fault(fault):
        assert visitor.log_in("/asks").location == "/me"


def test_acr_values_of_every_login_are_not_essential(provider: DevProvider) -> None:
    params = {"acr_values": "mfa"}
    app = make_site(provider, PARJAR_AUTHORIZATION_PARAMS=params)
    visitor = Visitor(app, provider)
    with provider.fault("id_token_acr_other"):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["claims"]["acr"] == "mfa"


@pytest.mark.parametrize("sub", [{"value": "ada"}, {"values": ["alan", "ada"]}])
@pytest.mark.parametrize("place", ["login", "params", "configuration"])
def test_a_login_that_is_for_one_person(
    provider: DevProvider, sub: dict[str, object], place: str
) -> None:
    """OpenID Connect Core 5.5.1; of anybody else nothing is kept, not even at the provider."""
    scopes = "openid offline_access"
    visitor = visitor_who_asks(provider, {"id_token": {"sub": sub}}, place, PARJAR_SCOPES=scopes)
    page = visitor.log_in("/asks", "grace")
    assert (page.status_code, code_of(page)) == (403, "other_person")
    assert visitor.get("/me").status_code == 302
    revoked = [c.form["token_type_hint"] for c in provider.calls if c.endpoint == "revocation"]
    assert revoked == ["refresh_token", "access_token"]
    assert visitor.log_in("/asks", "ada").location == "/me"
    assert visitor.get("/me").json["sub"] == "ada"


def test_a_failed_revocation_changes_nothing_of_a_refusal(provider: DevProvider) -> None:
    visitor = visitor_who_asks(provider, {"id_token": {"sub": {"value": "ada"}}}, "login")
    with provider.fault("revocation_503"):
        page = visitor.log_in("/asks", "grace")
    assert (page.status_code, code_of(page)) == (403, "other_person")


def visitor_who_asks(
    provider: DevProvider, claims: dict[str, object], place: str, **config: object
) -> Visitor:
    """Somebody whose logins at ``/asks`` ask for single claims, by one of the three ways."""
    options: dict[str, Any] = {
        "login": {"claims": claims},
        "params": {"params": {"claims": claims}},
        "configuration": {},
    }[place]
    if place == "configuration":
        config["PARJAR_AUTHORIZATION_PARAMS"] = {"claims": claims}

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/asks")
        def asks() -> object:
            return parjar.login(LoginOptions(**options), next="/me")

    return Visitor(make_site(provider, prepare=prepare, **config), provider)


def test_a_rotation_of_the_provider_s_keys(visitor: Visitor, provider: DevProvider) -> None:
    visitor.log_in()
    provider.rotate_keys()
    provider.calls.clear()
    assert visitor.log_in().status_code == 302
    assert endpoints(provider).count("jwks") == 1


def test_old_and_new_secret_keys(provider: DevProvider) -> None:
    app = make_site(provider)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["of the tests"])
    answer = visitor.get(back)
    if "fallback_keys" in signature_of_flask_s_session():
        assert answer.location == "/me"
    else:  # Flask 3.0 has no former keys: its session is lost, but our state is not called forged
        assert answer.location.startswith(ISSUER)
    assert visitor.log_in("/login?next=/me").location == "/me"


def signature_of_flask_s_session() -> str:
    """What Flask's own session knows of former keys (since 3.1)."""
    source = inspect.getsource(SecureCookieSessionInterface.get_signing_serializer)
    return "fallback_keys" if "FALLBACKS" in source else ""


def test_a_custom_error_handler(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.error_handler
        def show(error: ParJarError | AccessDenied) -> tuple[str, int]:
            return f"mine: {error.error_code}", 418

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    response = visitor.get("/callback")
    assert (response.status_code, response.text) == (418, "mine: state_missing")
    assert response.headers["Cache-Control"] == "no-store"
    assert visitor.get("/me").status_code == 302
    visitor.log_in()
    denied = visitor.get("/acme")
    assert (denied.status_code, denied.text) == (418, "mine: insufficient_claims")


@pytest.mark.parametrize("known", [True, False])
def test_a_receiver_may_refuse_a_login(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, known: bool
) -> None:
    """With an error of ours it is a failed login like any other; what else it raises is its own."""
    failed: list[str] = []

    def refuse(sender: Flask, **_: Any) -> None:
        if known:
            raise AccessDenied("insufficient_claims", "not one of the staff")
        raise Forbidden

    def note(sender: Flask, error: Any, **_: Any) -> None:
        failed.append(error.error_code)

    app = make_site(provider)
    logged_in.connect(refuse, app)
    login_failed.connect(note, app)
    visitor = Visitor(app, provider)
    assert visitor.log_in().status_code == 403
    assert failed == (["insufficient_claims"] if known else [])
    assert ("not one of the staff" in caplog.text) is known
    assert visitor.get("/me").status_code == 302


def test_an_error_handler_that_gives_no_status_gets_400(provider: DevProvider) -> None:
    answers: list[Any] = ["text", {"json": 1}, ("text", 418), redirect("/")]

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.error_handler(lambda error: answers[0])

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    for status in (400, 400, 418, 302):
        assert visitor.get("/callback").status_code == status
        answers.pop(0)


def test_errors_for_scripts_are_json(visitor: Visitor) -> None:
    response = visitor.get("/callback", headers={"Accept": "application/json"})
    assert (response.status_code, response.json["error"]) == (400, "state_missing")
    assert "login_url" not in response.json


def test_the_developer_is_told_more_in_debug_mode(site: Flask, visitor: Visitor) -> None:
    assert "SECRET_KEY_FALLBACKS" not in visitor.get("/callback?state=x&code=y").text
    site.debug = True
    assert "SECRET_KEY_FALLBACKS" in visitor.get("/callback?state=x&code=y").text


def test_the_error_page_works_where_undefined_is_strict(visitor: Visitor) -> None:
    from jinja2 import StrictUndefined

    visitor.app.jinja_env.undefined = StrictUndefined
    assert visitor.get("/callback").status_code == 400


# What the operator reads of an answer that is not taken.


def test_a_failure_of_which_nothing_more_is_known_leaves_no_gap_in_the_log(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    assert visitor.get("/callback").status_code == 400
    (message,) = caplog.messages
    assert "state_missing" in message
    assert ": ." not in message and ":  " not in message


def test_a_state_of_another_worker_makes_the_log_speak_of_keys_made_at_start(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    config = provider.config()
    workers = [make_site(provider, **config, SECRET_KEY=os.urandom(32)) for _ in range(2)]
    back = Visitor(workers[0], provider)
    page = Visitor(workers[1], provider).get(back.come_back(back.leave()))
    assert (page.status_code, "state_forged" in page.text) == (400, True)
    assert "SECRET_KEY" in caplog.text
    assert re.search(r"worker|process", caplog.text)
