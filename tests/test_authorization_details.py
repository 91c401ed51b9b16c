"""Rich authorization requests in whole logins: asked for, granted, kept, required (RFC 9396)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, jsonify
from flask.views import MethodView

from flask_parjar import (
    LoginOptions,
    ParJar,
    authorization_details_required,
    current_user,
    step_up_required,
)
from flask_parjar.testing import DevProvider
from tests.support.after_login import TOKEN_SCOPES, age, token_site, token_views
from tests.support.headers import NAVIGATION, SCRIPT
from tests.support.jwt import read_jwt
from tests.support.pages import code_of
from tests.support.site import Visitor, make_site

PAYMENT = {"type": "payment_initiation", "amount": {"currency": "EUR", "value": "7.00"}}
ACCOUNT = {"type": "account_information"}


def views(app: Flask, parjar: ParJar) -> None:
    token_views(app, parjar)

    @app.get("/pay")
    def pay() -> Any:
        return parjar.login(LoginOptions(authorization_details=[PAYMENT]), next="/payment")

    @app.get("/payment")
    @authorization_details_required(type="payment_initiation")
    def payment() -> Any:
        return jsonify(list(parjar.tokens().authorization_details))

    @app.get("/accounts")
    @authorization_details_required(type="account_information", provider=None)
    def accounts() -> str:
        return "accounts"

    @app.get("/strong")
    @step_up_required(acr="mfa")
    def strong() -> str:
        return current_user.acr or ""

    @app.get("/details")
    def details() -> Any:
        return jsonify(list(parjar.tokens().authorization_details))


def details_site(provider: DevProvider, store: str | None = "memory", **config: Any) -> Flask:
    return token_site(provider, store, prepare=views, **config)


def asked(provider: DevProvider) -> Any:
    """What the last pushed request object asked for."""
    pushes = [c for c in provider.calls if c.endpoint == "pushed_authorization_request"]
    return read_jwt(pushes[-1].form["request"])[1].get("authorization_details")


@pytest.mark.parametrize("store", ["memory", "cookie"])
def test_a_whole_login(provider: DevProvider, store: str) -> None:
    visitor = Visitor(details_site(provider, store), provider)
    assert visitor.log_in("/pay").location == "/payment"
    assert asked(provider) == [PAYMENT], "JSON values, and not their text"
    assert visitor.get("/payment").json == [PAYMENT]
    denied = visitor.get("/accounts", headers=NAVIGATION)
    assert (denied.status_code, code_of(denied)) == (403, "insufficient_authorization_details")


def test_in_an_unsigned_push_they_are_json_text(provider: DevProvider) -> None:
    provider.allow_requests("pushed")
    visitor = Visitor(details_site(provider, PARJAR_REQUEST="pushed"), provider)
    visitor.log_in("/pay")
    (push,) = [c for c in provider.calls if c.endpoint == "pushed_authorization_request"]
    assert json.loads(push.form["authorization_details"]) == [PAYMENT]
    assert visitor.get("/payment").json == [PAYMENT]


def test_those_of_the_configuration_are_asked_for_at_every_login(provider: DevProvider) -> None:
    config = {"PARJAR_AUTHORIZATION_PARAMS": {"authorization_details": [ACCOUNT]}}
    visitor = Visitor(details_site(provider, **config), provider)
    visitor.log_in()
    assert visitor.get("/accounts").text == "accounts"
    assert visitor.log_in("/pay").location == "/payment"
    assert asked(provider) == [PAYMENT]
    assert visitor.get("/payment").json == [PAYMENT]


def test_a_step_up_asks_for_them_too(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        views(app, parjar)

        @parjar.login_options
        def options() -> LoginOptions:
            return LoginOptions(authorization_details=[PAYMENT, ACCOUNT])

    visitor = Visitor(token_site(provider, "memory", prepare=prepare), provider)
    visitor.log_in()
    away = visitor.get("/strong", headers=NAVIGATION)
    assert visitor.log_in(away.location).location == "/strong"
    assert asked(provider) == [PAYMENT, ACCOUNT]
    assert visitor.get("/strong").text == "mfa"
    assert visitor.get("/details").json == [PAYMENT, ACCOUNT]


def test_the_provider_knows_no_such_type(provider: DevProvider) -> None:
    provider.metadata["authorization_details_types_supported"] = ["account_information"]
    visitor = Visitor(details_site(provider), provider)
    page = visitor.get("/pay", headers=NAVIGATION)
    assert (page.status_code, code_of(page)) == (502, "authorization_details_unsupported")
    assert [call.endpoint for call in provider.calls] == ["discovery"]


def test_fewer_than_asked_for_is_logged_and_the_guard_refuses(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(details_site(provider), provider)
    with provider.fault("token_details_missing"):
        assert visitor.log_in("/pay").location == "/payment"
    assert any("not granted" in each and "payment_initiation" in each for each in caplog.messages)
    denied = visitor.get("/payment", headers=SCRIPT)
    assert denied.json is not None
    assert (denied.status_code, denied.json["error"]) == (
        403,
        "insufficient_authorization_details",
    )


def test_what_is_not_asked_for_is_not_read(provider: DevProvider) -> None:
    visitor = Visitor(details_site(provider), provider)
    with provider.fault("token_details_unasked"):
        assert visitor.log_in().status_code == 302
    assert visitor.get("/details").json == []
    assert visitor.get("/payment", headers=NAVIGATION).status_code == 403


def test_a_renewal_keeps_them(provider: DevProvider) -> None:
    visitor = Visitor(details_site(provider, PARJAR_SCOPES=TOKEN_SCOPES), provider)
    visitor.log_in("/pay")
    first = visitor.get("/token").text
    age(visitor, left=-1)
    assert visitor.get("/token").text != first
    assert visitor.get("/payment").json == [PAYMENT]
    age(visitor, left=-1)
    with provider.fault("token_details_enriched"):
        visitor.get("/token")
    assert visitor.get("/payment").json == [{**PAYMENT, "account": "DE40100100103307118608"}]
    age(visitor, left=-1)
    with provider.fault("token_details_missing"):
        visitor.get("/token")
    (kept,) = visitor.get("/payment").json or ()
    assert kept["account"]


def test_a_renewal_that_grants_another_type_is_not_used(provider: DevProvider) -> None:
    visitor = Visitor(details_site(provider, PARJAR_SCOPES=TOKEN_SCOPES), provider)
    visitor.log_in("/pay")
    age(visitor, left=-1)
    with provider.fault("refresh_details_unasked"):
        answer = visitor.get("/token", headers=SCRIPT)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]) == (502, "token_details_unasked")


# The guard.


def test_the_guard_asks_for_a_login_first(provider: DevProvider) -> None:
    visitor = Visitor(details_site(provider), provider)
    answer = visitor.get("/payment", headers=NAVIGATION)
    assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/login")
    assert visitor.get("/payment", headers=SCRIPT).status_code == 401


def test_the_guard_asks_for_a_login_where_the_tokens_have_ended(provider: DevProvider) -> None:
    app = details_site(provider, PARJAR_SCOPES=TOKEN_SCOPES)
    visitor = Visitor(app, provider)
    visitor.log_in("/pay")
    age(visitor, left=-1)
    with provider.fault("refresh_invalid_grant"):
        visitor.get("/token", headers=SCRIPT)
    answer = visitor.get("/payment", headers=SCRIPT)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]) == (401, "tokens_missing")


def test_the_guard_asks_for_a_login_that_was_before_there_was_a_store(
    provider: DevProvider,
) -> None:
    before = Visitor(details_site(provider, None), provider)
    before.log_in("/pay")
    signing = before.app.config["PARJAR_SIGNING_KEY"]
    app = details_site(provider, PARJAR_SIGNING_KEY=signing)
    visitor = Visitor(app, provider)
    cookie = before.client.get_cookie("session")
    assert cookie is not None
    visitor.client.set_cookie("session", cookie.value)
    answer = visitor.get("/payment", headers=SCRIPT)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]) == (401, "login_required")


def test_without_a_store_the_guard_is_an_error_and_a_warning(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        views(app, parjar)

        class Pay(MethodView):
            @authorization_details_required(type="payment_initiation")
            def get(self) -> str:
                return "never"

        app.add_url_rule("/by-method", view_func=Pay.as_view("by_method"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.get("/")
    warned = [each for each in caplog.messages if "PARJAR_STORE is not set" in each]
    assert [each.split(" ")[0] for each in warned] == ["/payment", "/accounts", "/by-method"]
    visitor.log_in()
    with pytest.raises(RuntimeError, match="PARJAR_STORE is not set"):
        visitor.app.testing = True
        visitor.get("/payment")


def test_with_a_store_there_is_no_warning(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    Visitor(details_site(provider, "cookie"), provider).get("/")
    assert "PARJAR_STORE" not in caplog.text


@pytest.mark.parametrize("value", ["", None, ["a"], 7])
def test_the_guard_names_a_type(value: Any) -> None:
    with pytest.raises(TypeError, match="name the type"):
        authorization_details_required(type=value)
