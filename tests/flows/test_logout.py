"""Leaving, from here and at the provider's word."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_parjar.errors import StoreUnavailable, TokenRejected
from flask_parjar.flows.logout import accept_logout_token, begin_logout
from flask_parjar.flows.replay_cache import ReplayCache
from flask_parjar.flows.session_registry import SessionEntry, SessionRegistry
from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.logout import MAX_HINT, LogoutToken
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.stores import MemoryStore, Store
from tests.support.errors import error_of
from tests.support.logged_in import CLIENT_ID, ISSUER, SECRETS, LoggedIn
from tests.support.redis_process import RedisProcess
from tests.support.registry import is_active, register

ADA = Identity(issuer=ISSUER, subject="ada", provider="default")
BACK = "https://site.example/bye"

# Out.


def leave(login: LoggedIn, tokens: TokenSet | None) -> str | None:
    return begin_logout(
        login.provider, ADA, tokens, post_logout_redirect_uri=BACK, now=login.clock()
    )


def test_the_logout_url_names_the_person(login: LoggedIn) -> None:
    for tokens, hint in [
        (login.tokens, {"id_token_hint": [login.tokens.id_token]}),
        (login.tokens.without_id_token(), {"logout_hint": ["ada"]}),
        (None, {"logout_hint": ["ada"]}),
    ]:
        asked = parse_qs(urlsplit(str(leave(login, tokens))).query)
        assert len(asked.pop("state")[0]) == 22
        wanted = {"client_id": [CLIENT_ID], "post_logout_redirect_uri": [BACK]}
        assert asked == wanted | hint


def test_an_id_token_is_a_hint_up_to_a_length(
    login: LoggedIn, caplog: pytest.LogCaptureFixture
) -> None:
    assert MAX_HINT == 2048
    with caplog.at_level(logging.INFO, "flask_parjar"):
        for length, hint in ((MAX_HINT, "id_token_hint"), (MAX_HINT + 1, "logout_hint")):
            tokens = replace(login.tokens, id_token="x" * length)
            asked = parse_qs(urlsplit(str(leave(login, tokens))).query)
            assert {"id_token_hint", "logout_hint"} & asked.keys() == {hint}
    (message,) = caplog.messages
    assert "id_token_hint" in message and ISSUER in message


def test_a_provider_that_is_away_does_not_stop_a_logout(
    login: LoggedIn, caplog: pytest.LogCaptureFixture
) -> None:
    login.provider = login.another_process(login.provider.client)
    with login.dev.fault("metadata_500"), caplog.at_level(logging.WARNING):
        assert leave(login, login.tokens) is None
    (message,) = caplog.messages
    assert ISSUER in message and "provider_failed" in message


def test_a_provider_without_a_logout_of_its_own(login: LoggedIn) -> None:
    del login.dev.metadata["end_session_endpoint"]
    login.provider = login.another_process(login.provider.client)
    assert leave(login, login.tokens) is None


# In.


@pytest.fixture
def sessions(store: MemoryStore) -> SessionRegistry:
    return SessionRegistry(store, lifetime=3600, secrets=lambda: SECRETS)


def opened(
    login: LoggedIn, sessions: SessionRegistry, handle: str, sid: str | None
) -> SessionEntry:
    session = SessionEntry(
        handle=handle,
        provider="default",
        issuer=ISSUER,
        client_id=CLIENT_ID,
        subject="ada",
        sid=sid,
        logged_in_at=login.clock(),
    )
    sessions.register(session, issued_at=login.clock(), alg="ES256")
    return session


def accept(login: LoggedIn, sessions: SessionRegistry, token: str) -> LogoutToken | None:
    return accept_logout_token(
        login.provider,
        token,
        sessions=sessions,
        replays=ReplayCache(sessions._store),
        now=login.clock(),
    )


def test_a_logout_token_about_a_session(login: LoggedIn, sessions: SessionRegistry) -> None:
    one, other = opened(login, sessions, "1", "sid-1"), opened(login, sessions, "2", "sid-2")
    token = login.dev.logout_token(client_id=CLIENT_ID, sid="sid-1")
    logout_token = accept(login, sessions, token)
    assert logout_token is not None
    assert (logout_token.subject, logout_token.sid) == (None, "sid-1")
    assert [is_active(sessions, each) for each in (one, other)] == [False, True]


def test_a_logout_token_about_a_person(login: LoggedIn, sessions: SessionRegistry) -> None:
    open_ones = [opened(login, sessions, "1", "sid-1"), opened(login, sessions, "2", None)]
    accept(login, sessions, login.dev.logout_token(client_id=CLIENT_ID, sub="ada"))
    assert not any(is_active(sessions, each) for each in open_ones)
    login.clock.now += 1
    assert is_active(sessions, opened(login, sessions, "3", "sid-1"))


def test_a_repeated_logout_token_ends_no_later_login(
    login: LoggedIn, sessions: SessionRegistry
) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    accept(login, sessions, token)
    login.clock.now += 1
    later = opened(login, sessions, "1", None)
    login.clock.now += 1
    assert accept(login, sessions, token) is None
    assert is_active(sessions, later)


def test_a_logout_token_that_is_not_proved_ends_nothing(
    login: LoggedIn, sessions: SessionRegistry
) -> None:
    session = opened(login, sessions, "1", "sid-1")
    for token in (
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", header={"alg": "none"}),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", claims={"nonce": "x"}),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", claims={"aud": "another"}),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", claims={"jti": None}),
        login.tokens.id_token,
    ):
        assert isinstance(error_of(accept, login, sessions, token), TokenRejected)
    assert is_active(sessions, session)


def test_a_logout_token_has_an_algorithm_of_the_logins(
    login: LoggedIn, sessions: SessionRegistry
) -> None:
    """Before the first login nothing is known, and nothing can be ended."""

    def accepted(alg: str) -> str:
        token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada", header={"alg": alg})
        try:
            accept(login, sessions, token)
        except TokenRejected as error:
            return error.error_code
        return "accepted"

    assert accepted("RS256") == "accepted"
    session = opened(login, sessions, "1", "sid-1")
    assert [accepted("RS256"), accepted("EdDSA")] == ["token_algorithm", "token_algorithm"]
    assert is_active(sessions, session)
    register(sessions, replace(session, handle="2", subject="bob"), alg="Ed25519")
    assert [accepted("RS256"), accepted("EdDSA")] == ["token_algorithm", "accepted"]
    assert not is_active(sessions, session)


def test_a_logout_token_that_could_not_be_kept_may_come_again(
    login: LoggedIn, own_redis: RedisProcess, redis_store: Store
) -> None:
    sessions = SessionRegistry(redis_store, lifetime=3600, secrets=lambda: SECRETS)
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    accept(login, sessions, login.dev.logout_token(client_id=CLIENT_ID, sub="bob"))
    own_redis.stop()
    error = error_of(accept, login, sessions, token)
    assert isinstance(error, StoreUnavailable)
    assert error.error_code == "store_unreachable"
    own_redis.start()
    assert accept(login, sessions, token) is not None
    assert accept(login, sessions, token) is None
