"""After the login: what is asked of a provider, in which order, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import run_wsgi_app

from flask_parjar.errors import (
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    TokenRejected,
)
from flask_parjar.protocol.binding import BEARER
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.provider import Http, Provider
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import wsgi_pool
from tests.support.errors import error_of
from tests.support.logged_in import CLIENT_ID, ISSUER, LoggedIn
from tests.support.pages import endpoints


@pytest.fixture
def login() -> LoggedIn:
    return LoggedIn()


def refresh(login: LoggedIn, tokens: TokenSet | None = None) -> TokenSet:
    """Refresh and prove what came, as a flow does."""
    return renew(login, login.provider, tokens or login.tokens)


def renew(login: LoggedIn, provider: Provider, tokens: TokenSet) -> TokenSet:
    renewal = provider.refresh(tokens, now=login.clock())
    id_token = provider.verify_renewal(
        renewal, original=tokens, issuer=ISSUER, subject="ada", now=login.clock()
    )
    return renewal.tokens if id_token is None else replace(renewal.tokens, id_token=id_token.jws)


@pytest.fixture
def fresh_process(login: LoggedIn) -> Provider:
    """A process that has read nothing of the provider yet, with the same client."""
    return login.another_process(login.provider.client)


# A refresh.


def test_a_refresh_is_one_call(login: LoggedIn) -> None:
    renewed = refresh(login)
    assert endpoints(login.dev) == ["token"]
    form = login.dev.calls[0].form
    assert (form["grant_type"], form["refresh_token"]) == (
        "refresh_token",
        login.tokens.refresh_token,
    )
    assert set(form) == {
        "grant_type",
        "refresh_token",
        "client_id",
        "client_assertion",
        "client_assertion_type",
    }
    assert renewed.access_token != login.tokens.access_token
    assert renewed.scopes == login.tokens.scopes


def test_a_refresh_in_a_fresh_process(login: LoggedIn, fresh_process: Provider) -> None:
    """All that a proof needs is there before the refresh token is sent."""
    renew(login, fresh_process, login.tokens)
    assert endpoints(login.dev) == ["discovery", "jwks", "token"]


def test_without_keys_no_refresh_token_is_sent(login: LoggedIn, fresh_process: Provider) -> None:
    with login.dev.fault("jwks_500"):
        error = error_of(fresh_process.refresh, login.tokens, now=login.clock())
    assert error.error_code == "provider_failed"
    assert "token" not in endpoints(login.dev)
    login.elapsed.now += 2
    assert renew(login, fresh_process, login.tokens).access_token != login.tokens.access_token


def test_a_refresh_without_an_id_token_keeps_the_former_one(login: LoggedIn) -> None:
    with login.dev.fault("refresh_without_id_token"):
        renewed = refresh(login)
    assert renewed.id_token == login.tokens.id_token
    assert endpoints(login.dev) == ["token"]


def test_a_refresh_after_the_provider_changed_its_keys(login: LoggedIn) -> None:
    login.dev.rotate_keys()
    login.clock.now += 61
    renewed = refresh(login)
    assert renewed.id_token != login.tokens.id_token
    assert [each for each in endpoints(login.dev) if each != "discovery"] == ["token", "jwks"]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("refresh_invalid_grant", ProviderRefused, "refresh_refused"),
        ("token_error_invalid_client", ProviderRefused, "client_refused"),
        ("refresh_503", ProviderUnavailable, "provider_busy"),
        ("refresh_hangs_up", ProviderUnavailable, "provider_unreachable"),
        ("token_500", ProviderUnavailable, "provider_failed"),
        ("token_redirect", ProviderUnavailable, "provider_redirect"),
        ("token_html", ProviderUnavailable, "provider_answer"),
        ("token_access_token_missing", TokenRejected, "token_response"),
        ("token_type_mac", TokenRejected, "token_type"),
        ("token_expires_in_string", TokenRejected, "token_response"),
        ("refresh_other_subject", TokenRejected, "token_subject"),
        ("refresh_other_issuer", TokenRejected, "token_issuer"),
    ],
)
def test_a_refresh_that_fails_is_not_tried_again(
    login: LoggedIn, fault: str, kind: type[ParJarError], code: str
) -> None:
    with login.dev.fault(fault):
        error = error_of(refresh, login)
    assert (type(error), error.error_code) == (kind, code)
    assert endpoints(login.dev) == ["token"]
    assert str(login.tokens.refresh_token) not in error.detail


def test_a_refresh_token_is_good_once(login: LoggedIn) -> None:
    renewed = refresh(login)
    assert error_of(refresh, login).error_code == "refresh_refused"
    assert endpoints(login.dev) == ["token"]  # it was not sent again
    assert refresh(login, renewed).refresh_token not in (renewed.refresh_token, None)


def test_another_process_that_sends_a_used_token_ends_them_all(
    login: LoggedIn, fresh_process: Provider
) -> None:
    """The provider takes it for a theft."""
    renewed = refresh(login)
    assert error_of(renew, login, fresh_process, login.tokens).error_code == "refresh_refused"
    assert error_of(refresh, login, renewed).error_code == "refresh_refused"


def test_a_refresh_token_that_is_not_rotated_is_sent_each_time(login: LoggedIn) -> None:
    tokens = login.tokens
    with login.dev.fault("refresh_without_new_token"):
        for _ in range(3):
            tokens = refresh(login, tokens)
    assert tokens.refresh_token == login.tokens.refresh_token
    assert endpoints(login.dev) == ["token"] * 3


@pytest.mark.parametrize(
    "fault", ["refresh_hangs_up", "token_html", "token_type_mac", "token_access_token_missing"]
)
def test_after_a_200_the_token_is_never_sent_again(login: LoggedIn, fault: str) -> None:
    with login.dev.fault(fault):
        error_of(refresh, login)
    login.elapsed.now += 60
    error = error_of(refresh, login)
    assert (error.error_code, endpoints(login.dev)) == ("refresh_refused", ["token"])


@pytest.mark.parametrize("fault", ["refresh_503", "token_500", "refresh_overloaded"])
def test_after_an_error_that_may_pass_it_is_sent_again(login: LoggedIn, fault: str) -> None:
    with login.dev.fault(fault):
        error_of(refresh, login)
    login.elapsed.now += 5
    assert refresh(login).access_token != login.tokens.access_token
    assert endpoints(login.dev) == ["token"] * 2


def test_a_pause_is_the_provider_s_and_not_a_session_s(login: LoggedIn) -> None:
    other = login.log_in("grace")
    login.dev.calls.clear()
    with login.dev.fault("refresh_429"):
        assert error_of(refresh, login).error_code == "provider_busy"
    for tokens in (login.tokens, other):
        error = error_of(refresh, login, tokens)
        assert (error.error_code, error.retry_after) == ("provider_unreachable", 120)
    login.elapsed.now += 119
    assert error_of(refresh, login).retry_after == 1
    assert endpoints(login.dev) == ["token"]
    login.elapsed.now += 1
    assert refresh(login).access_token != login.tokens.access_token


# Keys that are replaced.


class OneKey:
    """The way to a provider that publishes one key, under a name that never changes.

    :param kid: that name; None where the key has none (OpenID Connect Core 10.1).
    :param max_age: how long, in seconds, it says that its keys may be kept
    """

    def __init__(self, dev: DevProvider, kid: str | None, *, max_age: int = 86_400) -> None:
        self._dev = dev
        self._named = {} if kid is None else {"kid": kid}
        self._max_age = max_age

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].endswith("/jwks.json"):
            return self._dev.app(environ, start_response)
        pieces, _, _ = run_wsgi_app(self._dev.app, environ)
        newest = next(key for key in json.loads(b"".join(pieces))["keys"] if key["kty"] == "EC")
        del newest["kid"]
        body = json.dumps({"keys": [newest | self._named]}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        headers["Cache-Control"] = f"public, max-age={self._max_age}"
        start_response("200 OK", list(headers.items()))
        return [body]


def by_way_of(login: LoggedIn, way: Any) -> Provider:
    """The provider as a process sees it that reaches it so."""
    http = Http(timeout=5)
    http.mount(login.dev.issuer, wsgi_pool(way, login.dev.issuer))
    return Provider(login.provider.client, http, on_call=lambda describe: None)


#: The fault that gives ID tokens the name, and that name.
NAMES = [
    ("id_token_kid_unknown", "a-key-that-is-not-published"),
    ("id_token_kid_missing_single_key", None),
]


@pytest.mark.parametrize("fault, kid", NAMES)
def test_a_key_that_is_replaced_under_its_name_is_looked_for(
    login: LoggedIn, fault: str, kid: str | None
) -> None:
    login.provider = by_way_of(login, OneKey(login.dev, kid))
    with login.dev.fault(fault):
        login.log_in()
        login.dev.rotate_keys()
        login.clock.now += 61
        login.log_in()
        login.clock.now += 61
        login.log_in()
    assert endpoints(login.dev).count("jwks") == 2


@pytest.mark.parametrize("fault, kid", NAMES)
def test_signatures_that_are_wrong_do_not_make_us_ask_each_time(
    login: LoggedIn, fault: str, kid: str | None
) -> None:
    login.provider = by_way_of(login, OneKey(login.dev, kid))
    with login.dev.fault(fault):
        login.log_in()
        login.clock.now += 61
        with login.dev.fault("id_token_bad_signature"):
            for _ in range(5):
                error = error_of(login.log_in)
                assert (type(error), error.error_code) == (TokenRejected, "token_signature")
    assert endpoints(login.dev).count("jwks") <= 2


def test_keys_are_looked_at_again_after_an_hour(login: LoggedIn) -> None:
    """However long they may be kept: a key that was stolen is taken away by its provider."""
    kid = "a-key-that-is-not-published"
    login.provider = by_way_of(login, OneKey(login.dev, kid))
    with login.dev.fault("id_token_kid_unknown"):
        login.log_in()
        login.clock.now += 3601
        login.log_in()
    assert endpoints(login.dev).count("jwks") == 2


# A revocation.


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a_revocation_is_one_call(login: LoggedIn, kind: str) -> None:
    token = str(getattr(login.tokens, kind))
    login.provider.revoke(token, kind, binding=BEARER, now=login.clock())
    assert endpoints(login.dev) == ["revocation"]
    form = login.dev.calls[0].form
    assert (form["token"], form["token_type_hint"]) == (token, kind)
    assert "client_assertion" in form
    if kind == "refresh_token":
        assert error_of(refresh, login).error_code == "refresh_refused"


def test_a_token_that_is_not_known_is_as_good_as_revoked(login: LoggedIn) -> None:
    """RFC 7009 section 2.2."""
    login.provider.revoke("nonsense", "access_token", binding=BEARER, now=login.clock())
    assert endpoints(login.dev) == ["revocation"]


def test_a_provider_that_wants_no_revocations(login: LoggedIn) -> None:
    del login.dev.metadata["revocation_endpoint"]
    fresh_process = login.another_process(login.provider.client)
    fresh_process.revoke(
        login.tokens.access_token, "access_token", binding=BEARER, now=login.clock()
    )
    assert endpoints(login.dev) == ["discovery"]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("revocation_503", ProviderUnavailable, "provider_busy"),
        ("revocation_refused", ProviderRefused, "revocation_refused"),
    ],
)
def test_a_revocation_that_fails(
    login: LoggedIn, fault: str, kind: type[ParJarError], code: str
) -> None:
    with login.dev.fault(fault):
        error = error_of(
            login.provider.revoke, "x", "access_token", binding=BEARER, now=login.clock()
        )
    assert (type(error), error.error_code) == (kind, code)
    assert endpoints(login.dev) == ["revocation"]


def test_a_revocation_by_a_client_that_is_refused(login: LoggedIn) -> None:
    key = parse_signing_keys(login.dev.config()["PARJAR_SIGNING_KEY"])
    unknown = login.another_process(replace(login.provider.client, signing_keys=key))
    error = error_of(unknown.revoke, "x", "access_token", binding=BEARER, now=login.clock())
    assert error.error_code == "client_refused"


# A logout token.


def test_a_logout_token_needs_no_call(login: LoggedIn) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada", sid="s")
    logout_token = login.provider.verify_logout_token(token, now=login.clock())
    assert (logout_token.subject, logout_token.sid) == ("ada", "s")
    assert endpoints(login.dev) == []


def test_a_logout_token_in_a_fresh_process(login: LoggedIn, fresh_process: Provider) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    fresh_process.verify_logout_token(token, now=login.clock())
    assert endpoints(login.dev) == ["discovery", "jwks"]


def test_a_logout_token_under_a_new_key_fetches_the_keys_once(login: LoggedIn) -> None:
    login.dev.rotate_keys()
    login.clock.now += 61
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    assert login.provider.verify_logout_token(token, now=login.clock()).subject == "ada"
    assert endpoints(login.dev).count("jwks") == 1


def test_logout_tokens_under_unknown_keys_do_not_each_cause_a_fetch(login: LoggedIn) -> None:
    """Anybody can post one."""
    login.clock.now += 61
    for number in range(5):
        token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada", header={"kid": str(number)})
        error = error_of(login.provider.verify_logout_token, token, now=login.clock())
        assert (type(error), error.error_code) == (TokenRejected, "token_key")
    assert endpoints(login.dev).count("jwks") == 1


def test_a_logout_token_while_the_provider_is_away(
    login: LoggedIn, fresh_process: Provider
) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    with login.dev.fault("jwks_500"):
        error = error_of(fresh_process.verify_logout_token, token, now=login.clock())
    assert isinstance(error, ProviderUnavailable)


def test_an_id_token_is_no_logout_token(login: LoggedIn) -> None:
    error = error_of(login.provider.verify_logout_token, login.tokens.id_token, now=login.clock())
    assert (type(error), error.error_code) == (TokenRejected, "token_kind")
    assert endpoints(login.dev) == []
