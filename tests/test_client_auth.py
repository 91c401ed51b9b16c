"""How the site proves which client it is: at the push, for tokens, and where it gives them back."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from flask import Flask

from flask_parjar import LoginOptions, ParJar
from flask_parjar.testing import Call, DevProvider
from tests.support.after_login import age, token_site, token_views
from tests.support.headers import FROM_HERE
from tests.support.jwt import read_jwt
from tests.support.site import ISSUER, Visitor, make_site

SECRET = "a secret of 32 characters and more!"
PUSH, TOKEN, REVOCATION = "pushed_authorization_request", "token", "revocation"


def authenticated_calls(provider: DevProvider, **config: Any) -> list[Call]:
    """Every call of one login, one renewal and one logout for which the client says who it is."""
    visitor = Visitor(token_site(provider, "memory", **config), provider)
    assert visitor.log_in().location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    calls = [call for call in provider.calls if call.endpoint in (PUSH, TOKEN, REVOCATION)]
    assert [call.endpoint for call in calls] == [PUSH, TOKEN, TOKEN, REVOCATION, REVOCATION]
    return calls


def assertions(calls: list[Call]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Header and claims of each client assertion."""
    return [read_jwt(call.form["client_assertion"]) for call in calls]


def test_with_basic_the_header_alone_says_who_asks_for_tokens(provider: DevProvider) -> None:
    """RFC 6749 section 4.1.3; in a push ``client_id`` is an authorization parameter (RFC 9126)."""
    calls = authenticated_calls(
        provider, PARJAR_CLIENT_SECRET=SECRET, PARJAR_CLIENT_AUTH="client_secret_basic"
    )
    assert all(call.headers["Authorization"].startswith("Basic ") for call in calls)
    with_client_id = [call.endpoint for call in calls if "client_id" in call.form]
    assert with_client_id == [PUSH]


@pytest.mark.parametrize(
    "config, typ",
    [
        ({}, "JWT"),
        ({"PARJAR_CLIENT_AUTH": "client_secret_jwt", "PARJAR_CLIENT_SECRET": SECRET}, "JWT"),
        ({"PARJAR_ASSERTION_TYP": "JWT"}, "JWT"),
        ({"PARJAR_ASSERTION_TYP": "client-authentication+jwt"}, "client-authentication+jwt"),
    ],
)
def test_an_assertion_says_what_it_is(
    provider: DevProvider, config: dict[str, Any], typ: str
) -> None:
    provider.demands.assertion_typ = typ
    calls = authenticated_calls(provider, **config)
    assert [header.get("typ") for header, _ in assertions(calls)] == [typ] * 5


def test_an_assertion_holds_from_the_same_moment_as_a_request_object(provider: DevProvider) -> None:
    before = int(time.time())
    calls = authenticated_calls(provider)
    after = int(time.time())
    request_object = read_jwt(calls[0].form["request"])[1]
    starts = [claims.get("nbf") for _, claims in assertions(calls)]
    assert None not in starts
    assert abs(starts[0] - request_object["nbf"]) <= 1
    assert all(before - 60 <= start <= after for start in starts)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_the_token_endpoint_may_be_the_audience_of_every_assertion(
    provider: DevProvider, secret: str | None
) -> None:
    """Some providers know no other of their URLs, not even where a token is revoked."""
    method = "private_key_jwt" if secret is None else "client_secret_jwt"
    calls = authenticated_calls(
        provider,
        PARJAR_ASSERTION_AUDIENCE="token_endpoint",
        PARJAR_CLIENT_AUTH=method,
        PARJAR_CLIENT_SECRET=secret,
    )
    audiences = [claims["aud"] for _, claims in assertions(calls)]
    assert audiences == [provider.metadata["token_endpoint"]] * 5


def test_another_uri_may_be_the_audience_of_every_assertion(provider: DevProvider) -> None:
    audience = provider.demands.assertion_audience = "https://id.example/oidc"
    calls = authenticated_calls(provider, PARJAR_ASSERTION_AUDIENCE=audience)
    assert [claims["aud"] for _, claims in assertions(calls)] == [audience] * 5


DETAILS = [{"type": "helseid_authorization", "organisation": "994598759"}]


def test_further_claims_are_in_every_assertion(provider: DevProvider) -> None:
    provider.demands.assertion_claims = ("authorization_details", "nbf")
    calls = authenticated_calls(
        provider, PARJAR_ASSERTION_CLAIMS={"authorization_details": DETAILS}
    )
    claims = [each for _, each in assertions(calls)]
    assert [each["authorization_details"] for each in claims] == [DETAILS] * 5


def test_the_claims_of_one_login_stay_with_its_tokens(provider: DevProvider) -> None:
    """Over those of the configuration; another login of the same browser has its own."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        app.get("/for/<org>")(lambda org: parjar.login(LoginOptions(assertion_claims={"org": org})))

    configured = {"org": "0", "amr": "mtls"}
    app = token_site(
        provider, "memory", prepare=prepare, PARJAR_ASSERTION_CLAIMS=lambda: configured
    )
    visitor = Visitor(app, provider)
    first = visitor.come_back(visitor.leave("/for/1"))
    visitor.leave("/login")
    assert visitor.get(first).location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    calls = [call for call in provider.calls if call.endpoint in (PUSH, TOKEN, REVOCATION)]
    claims = [each for _, each in assertions(calls)]
    assert [each["org"] for each in claims] == ["1", "0", "1", "1", "1", "1"]
    assert {each["amr"] for each in claims} == {"mtls"}


def test_claims_of_a_login_need_an_assertion(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/for")(lambda: parjar.login(LoginOptions(assertion_claims={"org": "1"})))

    app = make_site(provider, prepare=prepare, PARJAR_CLIENT_AUTH="none")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="assertion_claims"):
        Visitor(app, provider).get("/for")
    assert PUSH not in [call.endpoint for call in provider.calls]


def test_a_function_gives_further_claims_for_each_assertion(provider: DevProvider) -> None:
    asked = iter(range(1, 9))
    calls = authenticated_calls(provider, PARJAR_ASSERTION_CLAIMS=lambda: {"n": next(asked)})
    assert [claims["n"] for _, claims in assertions(calls)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("claims", [None, [], {"iss": "x"}, {"a": {1, 2}}, {"a": float("nan")}])
def test_a_function_that_returns_no_claims_is_an_error_of_the_site(
    provider: DevProvider, claims: Any
) -> None:
    app = make_site(provider, PARJAR_ASSERTION_CLAIMS=lambda: claims)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="JSON values|iss"):
        Visitor(app, provider).get("/login")
    assert PUSH not in [call.endpoint for call in provider.calls]


def test_further_headers_are_in_every_request_to_the_provider(provider: DevProvider) -> None:
    authenticated_calls(provider, PARJAR_HTTP_HEADERS={"x-fapi-interaction-id": "c770aef3"})
    from_the_site = [call for call in provider.calls if "x-fapi-interaction-id" in call.headers]
    assert {call.headers["x-fapi-interaction-id"] for call in from_the_site} == {"c770aef3"}
    wanted = ("discovery", PUSH, TOKEN, "jwks", TOKEN, REVOCATION, REVOCATION)
    assert sorted(call.endpoint for call in from_the_site) == sorted(wanted)


def test_a_function_gives_the_headers_of_each_request(provider: DevProvider) -> None:
    asked = iter(range(100))
    calls = authenticated_calls(provider, PARJAR_HTTP_HEADERS=lambda: {"X-N": str(next(asked))})
    numbers = [int(call.headers["X-N"]) for call in calls]
    assert numbers == sorted(set(numbers)) and len(numbers) == 5


@pytest.mark.parametrize("headers", [None, {"Authorization": "Bearer x"}, {"a": "x\ny: z"}])
def test_a_function_that_returns_no_headers_is_an_error_of_the_site(
    provider: DevProvider, headers: Any
) -> None:
    app = make_site(provider, PARJAR_HTTP_HEADERS=lambda: headers)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="function|Authorization|value of a"):
        Visitor(app, provider).get("/login")
    assert provider.calls == []


def test_a_public_client_need_not_be_listed(provider: DevProvider) -> None:
    """Many providers serve public clients and do not list ``none``."""
    methods: Any = provider.metadata["token_endpoint_auth_methods_supported"]
    listed = [method for method in methods if method != "none"]
    metadata = {**provider.metadata, "token_endpoint_auth_methods_supported": listed}
    app = make_site(provider, PARJAR_CLIENT_AUTH="none", PARJAR_METADATA=metadata)
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    calls = [call for call in provider.calls if call.endpoint in (PUSH, TOKEN)]
    assert [call.form["client_id"] for call in calls] == ["flask-parjar"] * 2
    assert not any("Authorization" in call.headers for call in calls)


@pytest.mark.parametrize("seconds", [1, 2, 5, 9])
def test_a_clock_that_is_ahead_of_a_provider_without_tolerance(seconds: int) -> None:
    """``iat`` lies as far back as ``nbf``, in request objects and in client assertions."""
    provider = DevProvider(ISSUER, now=lambda: time.time() - seconds)
    provider.clock_skew = 0
    authenticated_calls(provider)


def test_iat_and_nbf_are_equal(provider: DevProvider) -> None:
    calls = authenticated_calls(provider)
    signed = [read_jwt(calls[0].form["request"])[1], *(claims for _, claims in assertions(calls))]
    assert [claims["iat"] for claims in signed] == [claims.get("nbf") for claims in signed]


def test_basic_credentials_are_form_encoded(provider: DevProvider) -> None:
    """RFC 6749 section 2.3.1: a colon in a client id is no end of it."""
    app = make_site(
        provider,
        PARJAR_CLIENT_ID="https://client.example:8443/a b",
        PARJAR_CLIENT_SECRET="se:cr+t/%é ü",
        PARJAR_CLIENT_AUTH="client_secret_basic",
    )
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    sent = next(c.headers["Authorization"] for c in provider.calls if c.endpoint == "token")
    pair = base64.b64decode(sent.removeprefix("Basic ")).decode("ascii")
    assert pair.count(":") == 1 and pair.startswith("https%3A%2F%2Fclient.example%3A8443%2Fa+b:")
