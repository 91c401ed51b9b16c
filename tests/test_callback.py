"""The way back: which answers are taken, in which order they are proved, and what stays behind."""

from __future__ import annotations

import inspect
import time
from urllib.parse import urlencode

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from flask_parjar import Identity, ParJar
from flask_parjar.testing import DevProvider
from tests.site import ISSUER, SCOPES, Visitor, make_site, query


def endpoints(provider: DevProvider) -> list[str]:
    return [call.endpoint for call in provider.calls]


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
    assert len(back.headers["Set-Cookie"]) <= 400
    for _ in range(1000):
        away = visitor.get("/login?next=/me")
        assert len(away.headers["Set-Cookie"]) <= 800
    assert visitor.get(visitor.come_back(away.location)).location == "/me"


def test_state_cannot_be_used_twice(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(back).location == "/me"
    provider.calls.clear()
    again = visitor.get(back)
    assert (again.status_code, again.location) == (302, "/me")  # back or reload: nothing happened
    assert provider.calls == []


def test_another_browser_s_answer_logs_nobody_in(
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
    assert visitor.get(visitor.come_back(response.location)).location == "/me"


def test_a_login_lost_twice_ends_in_a_page(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.client.delete_cookie("session")
    again = visitor.come_back(visitor.get(back).location)
    visitor.client.delete_cookie("session")
    provider.calls.clear()
    page = visitor.get(again)
    assert (page.status_code, "login_lost" in page.text) == (400, True)
    assert 'href="/login?next=/me"' in page.text  # the page that was wanted is not forgotten
    assert provider.calls == []


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
    serializer = _serializer(app)
    slip = serializer.loads(values["state"])

    class Earlier(serializer.default_signer):  # type: ignore[name-defined,misc]
        def get_timestamp(self) -> int:
            return int(time.time()) - seconds

    serializer.signer = Earlier
    values["state"] = str(serializer.dumps([derived_from_nothing(slip[0]), *slip[1:]]))
    return f"/callback?{urlencode(values)}"


def derived_from_nothing(identifier: str) -> str:
    """An identifier that no session has: that of a transaction which fell out of it."""
    return identifier[::-1]


def _serializer(app: Flask) -> URLSafeTimedSerializer:
    import hashlib

    return URLSafeTimedSerializer(
        str(app.secret_key),
        salt="flask_parjar.state",
        signer_kwargs={"digest_method": hashlib.sha256},
    )


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


def test_the_person_says_no(visitor: Visitor, provider: DevProvider) -> None:
    back = visitor.come_back(visitor.leave(), approve=False)
    provider.calls.clear()
    page = visitor.get(back)
    assert (page.status_code, "access_denied" in page.text) == (403, True)
    assert provider.calls == []
    again = visitor.get(back)  # used up, and nothing is started anew behind an error
    assert (again.status_code, "login_lost" in again.text) == (400, True)


@pytest.mark.parametrize(
    "error, status",
    [("login_required", 400), ("server_error", 502), ("temporarily_unavailable", 503)],
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


def test_max_age_and_acr_are_proved(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        def strong() -> object:
            return parjar.login(max_age=60, acr_values=["pwd"], essential_acr=True)

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
        def show(error: object) -> tuple[str, int]:
            return f"mine: {getattr(error, 'code', '?')}", 418

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    response = visitor.get("/callback")
    assert (response.status_code, response.text) == (418, "mine: state_missing")
    assert response.headers["Cache-Control"] == "no-store"
    assert visitor.get("/me").status_code == 302


def test_errors_for_scripts_are_json(visitor: Visitor) -> None:
    response = visitor.get("/callback", headers={"Accept": "application/json"})
    assert (response.status_code, response.json["error"]) == (400, "state_missing")
    assert "login_url" not in response.json


def test_the_developer_is_told_more_in_debug_mode(site: Flask, visitor: Visitor) -> None:
    assert "SECRET_KEY_FALLBACKS" not in visitor.get("/callback?state=x&code=y").text
    site.debug = True
    assert "SECRET_KEY_FALLBACKS" in visitor.get("/callback?state=x&code=y").text
