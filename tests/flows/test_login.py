"""A login without a Flask app around it; what can go wrong is in tests/test_callback.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from flask_parjar.errors import LoginError, ProviderRefused, ProviderUnavailable, TokenRejected
from flask_parjar.flows.login import begin_login, complete_login, verify_response
from flask_parjar.protocol.authorization import AuthorizationRedirect, LoginOptions
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.response import ResponseParameters
from flask_parjar.protocol.transaction import Transaction, new_seed
from flask_parjar.testing.serving import wsgi_pool
from tests.support.logged_in import ISSUER, LoggedIn

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@pytest.mark.parametrize("userinfo", [False, True])
def test_a_login(userinfo: bool) -> None:
    login = LoggedIn(log_in=False)
    login.provider = login.another_process(replace(login.provider.client, userinfo=userinfo))
    tokens = login.log_in()
    assert tokens.refresh_token is not None
    assert tokens.lives(login.clock())
    assert login.called.count("userinfo") == int(userinfo)
    assert login.called.count("pushed_authorization_request") == 1
    assert login.called.count("token") == 1


# Out.


def configure(login: LoggedIn, **fields: Any) -> None:
    """Let another process of ours, configured so, be the one that logs in."""
    client: ClientConfig = replace(login.provider.client, **fields)
    login.provider = login.another_process(client)


def begin(login: LoggedIn) -> AuthorizationRedirect:
    transaction = make_transaction(login)
    return begin_login(login.provider, transaction, LoginOptions(), now=login.clock())


def make_transaction(login: LoggedIn, **fields: Any) -> Transaction:
    given: dict[str, Any] = {
        "seed": new_seed(),
        "secret": new_seed(),
        "state": "of this login",
        "provider": "default",
        "issuer": ISSUER,
        "redirect_uri": "https://site.example/callback",
        "started_at": login.clock(),
        "next": "/",
        "scopes": login.provider.client.scopes,
    }
    return Transaction(**(given | fields))


@pytest.fixture
def login() -> LoggedIn:
    return LoggedIn(log_in=False)


def pushes(login: LoggedIn) -> list[dict[str, str]]:
    return [
        dict(call.form)
        for call in login.dev.calls
        if call.endpoint == "pushed_authorization_request"
    ]


def test_the_browser_carries_two_parameters(login: LoggedIn) -> None:
    redirect = begin(login)
    (form,) = pushes(login)
    assert set(redirect.parameters) == {"client_id", "request_uri"}
    assert redirect.request_object is not None
    assert redirect.request_object.jwt == form["request"]
    assert set(form) >= {"client_id", "request", "client_assertion"}


class HangsUpOnce:
    """The way to the provider, on which the first push is read and not answered."""

    def __init__(self, login: LoggedIn) -> None:
        self._app = login.dev.app
        self.requests: list[bytes] = []

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/par"):
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = BytesIO(body)
            self.requests.append(body)
            if len(self.requests) == 1:
                raise requests.ConnectionError("hung up")
        return self._app(environ, start)


def test_one_more_try_has_a_request_object_and_an_assertion_of_its_own(login: LoggedIn) -> None:
    wire = HangsUpOnce(login)
    login.provider.http.mount(ISSUER, wsgi_pool(wire, ISSUER))
    redirect = begin(login)
    first, second = (dict(parse_qsl(body.decode())) for body in wire.requests)
    assert redirect.request_object is not None
    assert redirect.request_object.jwt == second["request"]
    for name in ("request", "client_assertion"):
        assert first[name] != second[name]


@pytest.mark.parametrize("fault", ["par_429_once", "par_503_once"])
def test_a_provider_that_asks_for_a_moment_is_pushed_to_once_more(
    login: LoggedIn, fault: str
) -> None:
    with login.dev.fault(fault):
        redirect = begin(login)
    first, second = pushes(login)
    assert redirect.request_object is not None
    assert redirect.request_object.jwt == second["request"] != first["request"]


@pytest.mark.parametrize("fault", ["par_429", "par_500"])
def test_a_push_that_fails_for_longer_is_not_tried_again(login: LoggedIn, fault: str) -> None:
    with login.dev.fault(fault), pytest.raises(ProviderUnavailable):
        begin(login)
    assert len(pushes(login)) == 1


def test_a_push_that_is_refused_is_not_tried_again(login: LoggedIn) -> None:
    with login.dev.fault("par_error_invalid_client"), pytest.raises(ProviderRefused) as caught:
        begin(login)
    assert caught.value.error_code == "client_refused"
    assert len(pushes(login)) == 1


def test_an_unsigned_request_is_pushed_as_a_form(login: LoggedIn) -> None:
    login.dev.metadata["require_signed_request_object"] = False
    configure(login, request="pushed")
    begin_or_refused(login)
    (form,) = pushes(login)
    assert "request" not in form and form["code_challenge_method"] == "S256"


def begin_or_refused(login: LoggedIn) -> None:
    """What the provider makes of an unsigned request is its own matter."""
    with contextlib.suppress(ProviderRefused):
        assert begin(login).request_object is None


def test_an_unpushed_request_is_in_the_url(login: LoggedIn) -> None:
    login.dev.metadata["require_pushed_authorization_requests"] = False
    configure(login, request="signed")
    redirect = begin(login)
    assert pushes(login) == []
    assert set(redirect.parameters) == {"client_id", "response_type", "scope", "request"}
    assert redirect.request_object is not None
    assert redirect.parameters["request"] == redirect.request_object.jwt


def test_the_first_thing_without_an_agreement_ends_the_login(login: LoggedIn) -> None:
    login.dev.metadata["code_challenge_methods_supported"] = ["plain"]
    login.dev.metadata["id_token_signing_alg_values_supported"] = ["HS256"]
    with pytest.raises(LoginError) as caught:
        begin(login)
    assert caught.value.error_code == "pkce_unsupported" and "['plain']" in caught.value.detail
    assert pushes(login) == []


# Back.


def test_the_tokens_of_another_person_are_revoked(login: LoggedIn) -> None:
    transaction = make_transaction(login, subjects=("grace",))
    redirect = begin_login(login.provider, transaction, LoginOptions(), now=login.clock())
    back = urlsplit(login.dev.sign_in(redirect.url, "ada")).query
    parameters = ResponseParameters.parse(parse_qsl(back))
    response = verify_response(login.provider, transaction, parameters, now=login.clock())
    with pytest.raises(TokenRejected) as caught:
        complete_login(login.provider, transaction, response, clock=login.clock)
    assert caught.value.error_code == "other_person"
    assert login.called.count("revocation") == 2


def test_an_exchange_may_take_longer_than_clocks_may_differ(login: LoggedIn) -> None:
    """The token is issued after the callback came, and not in the future."""

    def busy(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/token"):
            login.clock.now += 2
        return login.dev.app(environ, start)

    configure(login, clock_skew=0)
    login.provider.http.mount(ISSUER, wsgi_pool(busy, ISSUER))
    assert login.log_in().lives(login.clock())
    assert login.called.count("token") == 1
