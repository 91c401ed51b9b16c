"""After the login: what is asked of a provider, in which order, and what its answers mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flask_parjar.errors import (
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    TokenRejected,
)
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.provider import Provider
from tests.flows.logged_in import CLIENT_ID, LoggedIn


@pytest.fixture
def login() -> LoggedIn:
    return LoggedIn()


def fails(call: Any, *args: Any, **more: Any) -> ParJarError:
    with pytest.raises(ParJarError) as caught:
        call(*args, **more)
    return caught.value


def refresh(login: LoggedIn, tokens: TokenSet | None = None) -> TokenSet:
    return login.provider.refresh(tokens or login.tokens, subject="ada", now=login.clock())


def endpoints(login: LoggedIn) -> list[str]:
    return [call.endpoint for call in login.dev.calls]


@pytest.fixture
def stranger(login: LoggedIn) -> Provider:
    """A process that has read nothing of the provider yet, with the same client."""
    return login.another_process(login.provider.client)


# A refresh.


def test_a_refresh_is_one_call(login: LoggedIn) -> None:
    renewed = refresh(login)
    assert endpoints(login) == ["token"]
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


def test_a_refresh_in_a_fresh_process(login: LoggedIn, stranger: Provider) -> None:
    stranger.refresh(login.tokens, subject="ada", now=login.clock())
    assert endpoints(login) == ["discovery", "token", "jwks"]


def test_a_refresh_without_an_id_token_needs_no_keys(login: LoggedIn, stranger: Provider) -> None:
    with login.dev.fault("refresh_without_id_token"):
        renewed = stranger.refresh(login.tokens, subject="ada", now=login.clock())
    assert renewed.id_token == login.tokens.id_token
    assert endpoints(login) == ["discovery", "token"]


def test_a_refresh_after_the_provider_changed_its_keys(login: LoggedIn) -> None:
    login.dev.rotate_keys()
    login.clock.now += 61
    renewed = refresh(login)
    assert renewed.id_token != login.tokens.id_token
    assert [each for each in endpoints(login) if each != "discovery"] == ["token", "jwks"]


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
        error = fails(refresh, login)
    assert (type(error), error.code) == (kind, code)
    assert endpoints(login) == ["token"]
    assert str(login.tokens.refresh_token) not in error.detail


def test_a_refresh_token_is_good_once(login: LoggedIn) -> None:
    renewed = refresh(login)
    assert fails(refresh, login).code == "refresh_refused"
    assert fails(refresh, login, renewed).code == "refresh_refused"  # and a theft ends them all


def test_a_refresh_without_a_refresh_token(login: LoggedIn) -> None:
    error = fails(refresh, login, replace(login.tokens, refresh_token=None))
    assert error.code == "refresh_refused"
    assert login.dev.calls[0].form["refresh_token"] == ""


# A revocation.


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a_revocation_is_one_call(login: LoggedIn, kind: str) -> None:
    token = str(getattr(login.tokens, kind))
    login.provider.revoke(token, kind, now=login.clock())
    assert endpoints(login) == ["revocation"]
    form = login.dev.calls[0].form
    assert (form["token"], form["token_type_hint"]) == (token, kind)
    assert "client_assertion" in form
    if kind == "refresh_token":
        assert fails(refresh, login).code == "refresh_refused"


def test_a_token_that_is_not_known_is_as_good_as_revoked(login: LoggedIn) -> None:
    """RFC 7009 section 2.2."""
    login.provider.revoke("nonsense", "access_token", now=login.clock())
    assert endpoints(login) == ["revocation"]


def test_a_provider_that_wants_no_revocations(login: LoggedIn) -> None:
    del login.dev.metadata["revocation_endpoint"]
    stranger = login.another_process(login.provider.client)
    stranger.revoke(login.tokens.access_token, "access_token", now=login.clock())
    assert endpoints(login) == ["discovery"]


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
        error = fails(login.provider.revoke, "x", "access_token", now=login.clock())
    assert (type(error), error.code) == (kind, code)
    assert endpoints(login) == ["revocation"]


def test_a_revocation_by_a_client_that_is_refused(login: LoggedIn) -> None:
    key = parse_signing_keys(login.dev.config()["PARJAR_SIGNING_KEY"])
    unknown = login.another_process(replace(login.provider.client, signing_keys=key))
    error = fails(unknown.revoke, "x", "access_token", now=login.clock())
    assert error.code == "client_refused"


# A notice.


def test_a_notice_needs_no_call(login: LoggedIn) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada", sid="s")
    notice = login.provider.verify_logout_token(token, now=login.clock())
    assert (notice.subject, notice.sid) == ("ada", "s")
    assert endpoints(login) == []


def test_a_notice_in_a_fresh_process(login: LoggedIn, stranger: Provider) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    stranger.verify_logout_token(token, now=login.clock())
    assert endpoints(login) == ["discovery", "jwks"]


def test_a_notice_under_a_new_key_looks_for_it_once(login: LoggedIn) -> None:
    login.dev.rotate_keys()
    login.clock.now += 61
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    assert login.provider.verify_logout_token(token, now=login.clock()).subject == "ada"
    assert endpoints(login).count("jwks") == 1


def test_notices_under_unknown_keys_do_not_make_us_ask_each_time(login: LoggedIn) -> None:
    """Anybody can post one."""
    login.clock.now += 61
    for number in range(5):
        token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada", header={"kid": str(number)})
        error = fails(login.provider.verify_logout_token, token, now=login.clock())
        assert (type(error), error.code) == (TokenRejected, "token_key")
    assert endpoints(login).count("jwks") == 1


def test_a_notice_while_the_provider_is_away(login: LoggedIn, stranger: Provider) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    with login.dev.fault("jwks_500"):
        error = fails(stranger.verify_logout_token, token, now=login.clock())
    assert isinstance(error, ProviderUnavailable)


def test_an_id_token_is_no_notice(login: LoggedIn) -> None:
    error = fails(login.provider.verify_logout_token, login.tokens.id_token, now=login.clock())
    assert (type(error), error.code) == (TokenRejected, "token_kind")
    assert endpoints(login) == []
