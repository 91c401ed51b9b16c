"""Leaving, from here and at the provider's word."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_parjar.errors import LoginError, ParJarError, StoreUnavailable, TokenRejected
from flask_parjar.flows.logout import accept_logout_token, begin_logout
from flask_parjar.flows.open_sessions import OpenSession, OpenSessions
from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.stores import MemoryStore, Store
from tests.flows.logged_in import CLIENT_ID, ISSUER, SECRETS, LoggedIn
from tests.redis_process import RedisProcess

ADA = Identity(issuer=ISSUER, subject="ada", provider="default")
BACK = "https://site.example/bye"

# Out.


def leave(login: LoggedIn, tokens: TokenSet | None) -> str | None:
    return begin_logout(
        login.provider, ADA, tokens, post_logout_redirect_uri=BACK, now=login.clock()
    )


def test_the_provider_is_told_who_leaves(login: LoggedIn) -> None:
    for tokens, hint in [
        (login.tokens, {"id_token_hint": [login.tokens.id_token]}),
        (login.tokens.without_id_token(), {"logout_hint": ["ada"]}),
        (None, {"logout_hint": ["ada"]}),
    ]:
        asked = parse_qs(urlsplit(str(leave(login, tokens))).query)
        assert len(asked.pop("state")[0]) == 22
        wanted = {"client_id": [CLIENT_ID], "post_logout_redirect_uri": [BACK]}
        assert asked == wanted | hint


def test_a_provider_that_is_away_keeps_nobody_logged_in(
    login: LoggedIn, caplog: pytest.LogCaptureFixture
) -> None:
    login.provider = login.another_process(login.provider.client)
    with login.dev.fault("metadata_500"), caplog.at_level(logging.WARNING):
        assert leave(login, login.tokens) is None
    assert f"logout at {ISSUER} left out: provider_failed" in caplog.messages


def test_a_provider_without_a_logout_of_its_own(login: LoggedIn) -> None:
    del login.dev.metadata["end_session_endpoint"]
    login.provider = login.another_process(login.provider.client)
    assert leave(login, login.tokens) is None


# In.


@pytest.fixture
def sessions(store: MemoryStore) -> OpenSessions:
    return OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS)


def opened(login: LoggedIn, sessions: OpenSessions, handle: str, sid: str | None) -> OpenSession:
    session = OpenSession(
        handle=handle,
        provider="default",
        issuer=ISSUER,
        subject="ada",
        sid=sid,
        logged_in_at=login.clock(),
    )
    sessions.open(session)
    return session


def take(login: LoggedIn, sessions: OpenSessions, token: str) -> None:
    accept_logout_token(login.provider, sessions, token, now=login.clock())


def refused(login: LoggedIn, sessions: OpenSessions, token: str) -> ParJarError:
    with pytest.raises(ParJarError) as caught:
        take(login, sessions, token)
    return caught.value


def test_a_notice_about_a_session(login: LoggedIn, sessions: OpenSessions) -> None:
    one, other = opened(login, sessions, "1", "sid-1"), opened(login, sessions, "2", "sid-2")
    token = login.dev.logout_token(client_id=CLIENT_ID, sid="sid-1")
    notice = accept_logout_token(login.provider, sessions, token, now=login.clock())
    assert (notice.subject, notice.sid) == (None, "sid-1")
    assert [sessions.is_open(each) for each in (one, other)] == [False, True]


def test_a_notice_about_a_person(login: LoggedIn, sessions: OpenSessions) -> None:
    open_ones = [opened(login, sessions, "1", "sid-1"), opened(login, sessions, "2", None)]
    take(login, sessions, login.dev.logout_token(client_id=CLIENT_ID, sub="ada"))
    assert not any(sessions.is_open(each) for each in open_ones)
    login.clock.now += 1
    assert sessions.is_open(opened(login, sessions, "3", "sid-1"))


def test_a_notice_that_comes_again_ends_no_later_login(
    login: LoggedIn, sessions: OpenSessions
) -> None:
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    take(login, sessions, token)
    login.clock.now += 1
    later = opened(login, sessions, "1", None)
    login.clock.now += 1
    error = refused(login, sessions, token)
    assert type(error) is LoginError
    assert error.code == "notice_repeated"
    assert sessions.is_open(later)


def test_a_notice_that_is_not_proved_ends_nothing(login: LoggedIn, sessions: OpenSessions) -> None:
    session = opened(login, sessions, "1", "sid-1")
    for token in (
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", header={"alg": "none"}),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", nonce="x"),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", aud="another"),
        login.dev.logout_token(client_id=CLIENT_ID, sub="ada", jti=None),
        login.tokens.id_token,
    ):
        assert isinstance(refused(login, sessions, token), TokenRejected)
    assert sessions.is_open(session)


def test_a_notice_that_could_not_be_kept_may_come_again(
    login: LoggedIn, own_redis: RedisProcess, redis_store: Store
) -> None:
    sessions = OpenSessions(redis_store, lifetime=3600, secrets=lambda: SECRETS)
    token = login.dev.logout_token(client_id=CLIENT_ID, sub="ada")
    take(login, sessions, login.dev.logout_token(client_id=CLIENT_ID, sub="bob"))
    own_redis.stop()
    error = refused(login, sessions, token)
    assert isinstance(error, StoreUnavailable)
    assert error.code == "store_unreachable"
    own_redis.start()
    take(login, sessions, token)
    assert refused(login, sessions, token).code == "notice_repeated"
