"""Tokens that stay alive: at a real provider, whatever happens in between."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flask_parjar.errors import (
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
    TokenRejected,
    TokensEnded,
)
from flask_parjar.flows.refresh import live_tokens, revoke_tokens
from flask_parjar.flows.token_store import TokenStore
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.provider.cached_document import MAX_TTL
from flask_parjar.stores import MemoryStore, Store
from tests.support.logged_in import ISSUER, LoggedIn, make_token_store
from tests.support.redis_process import RedisProcess
from tests.support.threads import at_once


@pytest.fixture
def token_store(login: LoggedIn, store: MemoryStore) -> TokenStore:
    """A token store with the tokens of the login."""
    token_store = make_token_store(store)
    token_store.save(login.tokens)
    return token_store


def live(login: LoggedIn, token_store: TokenStore) -> tuple[TokenSet, bool]:
    found = live_tokens(
        login.provider, token_store, issuer=ISSUER, subject="ada", clock=login.clock
    )
    return found.tokens, found.renewed_at is not None


def fails(login: LoggedIn, token_store: TokenStore) -> ParJarError:
    with pytest.raises(ParJarError) as caught:
        live(login, token_store)
    return caught.value


# As it should be.


def test_a_token_that_is_not_due_is_given_as_it_is(
    login: LoggedIn, token_store: TokenStore
) -> None:
    assert live(login, token_store) == (login.tokens, False)
    login.clock.now += 569
    assert live(login, token_store) == (login.tokens, False)
    assert login.called == []


@pytest.mark.parametrize("seconds", [570, 599, 600, 3000])
def test_a_token_that_is_due_is_renewed_once(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore, seconds: int
) -> None:
    login.clock.now += seconds
    tokens, renewed = live(login, token_store)
    assert renewed
    assert login.called == ["token"]
    assert tokens.access_token != login.tokens.access_token
    assert tokens.refresh_token != login.tokens.refresh_token
    assert tokens.expires_at == login.clock() + 600
    assert live(login, make_token_store(store)) == (tokens, False)
    assert login.called == ["token"]


def test_renewed_tokens_are_renewed_in_their_turn(login: LoggedIn, token_store: TokenStore) -> None:
    seen = {login.tokens.access_token}
    for _ in range(3):
        login.due()
        tokens, renewed = live(login, token_store)
        assert renewed
        seen.add(tokens.access_token)
    assert len(seen) == 4
    assert login.called == ["token"] * 3


def test_what_a_renewal_leaves_out_stays(login: LoggedIn, token_store: TokenStore) -> None:
    login.due()
    with login.dev.fault("refresh_without_new_token"), login.dev.fault("refresh_without_id_token"):
        tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.refresh_token == login.tokens.refresh_token
    assert tokens.id_token == login.tokens.id_token


def test_tokens_whose_id_token_found_no_room_are_renewed(
    login: LoggedIn, token_store: TokenStore
) -> None:
    token_store.save(login.tokens.without_id_token())
    login.due()
    tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.access_token != login.tokens.access_token


def test_a_token_without_an_expiry_is_never_renewed(
    login: LoggedIn, token_store: TokenStore
) -> None:
    endless = replace(login.tokens, expires_at=None, renew_at=None)
    token_store.save(endless)
    login.clock.now += 10**6
    assert live(login, token_store) == (endless, False)


def test_of_many_threads_one_renews(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    """A refresh token that is sent twice would end the login."""
    login.due()
    with login.dev.fault("refresh_slow"):
        answers = at_once([lambda: live(login, make_token_store(store))] * 8)
    assert login.called == ["token"]
    assert len({tokens.access_token for tokens, _ in answers}) == 1
    assert [renewed for _, renewed in answers].count(True) == 1
    assert answers[0][0].access_token != login.tokens.access_token


def test_of_many_processes_one_renews(login: LoggedIn, redis_store: Store) -> None:
    make_token_store(redis_store).save(login.tokens)
    login.due()
    with login.dev.fault("refresh_slow"):
        answers = at_once([lambda: live(login, make_token_store(redis_store))] * 8)
    assert login.called == ["token"]
    assert len({tokens.access_token for tokens, _ in answers}) == 1
    assert [renewed for _, renewed in answers].count(True) == 1


# Without tokens, or without a refresh token.


@pytest.mark.parametrize("seconds, code", [(580, None), (600, "tokens_missing")])
def test_nothing_is_sent_for_a_refresh_token_that_was_removed_while_a_request_waited(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore, seconds: int, code: str | None
) -> None:
    """A new login in the same browser takes it away; no empty one is sent in its place."""
    login.clock.now += seconds
    other = make_token_store(store)
    with ThreadPoolExecutor(1) as threads:
        with token_store.lock():
            waiting = threads.submit(live, login, other)
            while not other._read:
                time.sleep(0.01)
            assert token_store.load() == login.tokens
            assert token_store.renew(login.tokens.without_refresh_token())
        error = waiting.exception()
    assert (None if error is None else error.error_code) == code  # type: ignore[attr-defined]
    assert error is not None or waiting.result()[0].access_token == login.tokens.access_token
    assert login.called == []
    assert token_store.load() == login.tokens.without_refresh_token()


def test_no_tokens_are_kept(login: LoggedIn, store: MemoryStore) -> None:
    error = fails(login, make_token_store(store))
    assert isinstance(error, TokensEnded)
    assert error.error_code == "tokens_missing"


def test_tokens_of_another_secret(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    assert (
        fails(login, make_token_store(store, secrets=(b"another",))).error_code == "tokens_missing"
    )


def test_without_a_refresh_token_there_is_one_life(
    login: LoggedIn, token_store: TokenStore
) -> None:
    single = replace(login.tokens, refresh_token=None)
    token_store.save(single)
    login.due()
    assert live(login, token_store) == (single, False)
    login.over()
    error = fails(login, token_store)
    assert isinstance(error, TokensEnded)
    assert error.error_code == "tokens_missing"
    assert login.called == []


# The provider refuses.


def test_a_refused_refresh_token_ends_the_tokens(
    login: LoggedIn, token_store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    login.due()
    with login.dev.fault("refresh_invalid_grant"), caplog.at_level(logging.WARNING):
        error = fails(login, token_store)
    assert isinstance(error, TokensEnded)
    assert error.error_code == "refresh_refused"
    assert isinstance(error.__cause__, ProviderRefused)
    assert "refresh_refused" in caplog.text and "invalid_grant" in caplog.text
    assert str(login.tokens.refresh_token) not in caplog.text
    assert token_store.load() is None
    assert fails(login, token_store).error_code == "tokens_missing"
    assert login.called == ["token"]


def test_a_refused_token_is_just_old_where_a_newer_one_is_kept(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    newer = login.log_in()
    login.due()
    login.wire.meanwhile = lambda: make_token_store(store).save(newer)
    with login.dev.fault("refresh_invalid_grant"):
        assert live(login, token_store) == (newer, False)
    assert make_token_store(store).load() == newer


def test_a_refused_token_that_was_emptied_meanwhile(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    login.due()
    login.wire.meanwhile = make_token_store(store).empty
    with login.dev.fault("refresh_invalid_grant"):
        assert fails(login, token_store).error_code == "tokens_missing"


def test_an_error_that_may_pass_does_not_end_the_tokens(
    login: LoggedIn, token_store: TokenStore
) -> None:
    """Only ``invalid_grant`` says that the refresh token is dead."""
    login.due()
    with login.dev.fault("refresh_overloaded"):
        assert live(login, token_store) == (login.tokens, False)
    assert token_store.load() == login.tokens


def test_a_refusal_in_other_words_ends_the_tokens_with_the_access_token(
    login: LoggedIn, token_store: TokenStore
) -> None:
    login.due()
    with login.dev.fault("refresh_invalid_request"):
        assert live(login, token_store) == (login.tokens, False)
        assert token_store.load() == login.tokens
        login.over()
        assert fails(login, token_store).error_code == "refresh_refused"
    assert token_store.load() is None


def test_a_refusal_with_a_401_ends_the_tokens(login: LoggedIn, token_store: TokenStore) -> None:
    login.due()
    with login.dev.fault("refresh_invalid_grant_401"):
        assert fails(login, token_store).error_code == "refresh_refused"
    assert token_store.load() is None


def test_a_client_that_is_refused_keeps_its_tokens(
    login: LoggedIn, token_store: TokenStore
) -> None:
    """Our own key is wrong: that is ours to mend, and says nothing of the refresh token."""
    other_keys = parse_signing_keys(login.dev.config()["PARJAR_SIGNING_KEY"])
    login.register(replace(login.provider.client, signing_keys=other_keys))
    login.due()
    assert live(login, token_store) == (login.tokens, False)
    assert live(login, token_store) == (login.tokens, False)
    assert login.called == ["token"]
    assert token_store.load() == login.tokens
    login.elapsed.now += 5
    login.over()
    error = fails(login, token_store)
    assert isinstance(error, ProviderRefused)
    assert error.error_code == "client_refused"
    login.register(login.provider.client)
    login.elapsed.now += 5
    assert live(login, token_store)[1]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("refresh_other_subject", "token_subject"), ("refresh_other_issuer", "token_issuer")],
)
def test_a_renewal_of_another_person_ends_the_tokens(
    login: LoggedIn, token_store: TokenStore, fault: str, code: str
) -> None:
    """The new tokens are another person's: they are given back, and the former ones end."""
    login.due()
    with login.dev.fault(fault):
        error = fails(login, token_store)
    assert isinstance(error, TokenRejected)
    assert error.error_code == code
    assert token_store.load() is None
    assert login.called == ["token", "revocation", "revocation"]
    revoked = login.dev.calls[-2].form
    assert revoked["token_type_hint"] == "refresh_token"
    assert revoked["token"] != login.tokens.refresh_token


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("id_token_bad_signature", "token_signature"),
        ("id_token_kid_unknown", "token_key"),
        ("id_token_nonce_wrong", "token_claim"),
        ("id_token_is_number", "token_response"),
    ],
)
def test_an_id_token_that_is_not_valid_is_left_out_and_logged(
    login: LoggedIn,
    token_store: TokenStore,
    fault: str,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    login.due()
    with login.dev.fault(fault), caplog.at_level(logging.WARNING):
        tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.access_token != login.tokens.access_token
    assert tokens.refresh_token != login.tokens.refresh_token
    assert tokens.id_token == login.tokens.id_token
    assert token_store.load() == tokens
    assert code in caplog.text


def test_another_auth_time_is_no_fault(login: LoggedIn, token_store: TokenStore) -> None:
    login.due()
    with login.dev.fault("refresh_auth_time_moved"):
        tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.id_token != login.tokens.id_token


@pytest.mark.parametrize("fault", ["token_html", "token_type_mac", "refresh_hangs_up"])
def test_after_an_answer_without_tokens_the_access_token_alone_is_left(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore, fault: str
) -> None:
    """The refresh token was used up, so that no process may send it again."""
    login.due()
    alone = login.tokens.without_refresh_token()
    with login.dev.fault(fault):
        assert live(login, token_store) == (login.tokens, False)
    assert make_token_store(store).load() == alone
    assert live(login, make_token_store(store)) == (alone, False)
    login.over()
    assert fails(login, make_token_store(store)).error_code == "tokens_missing"
    assert login.called == ["token"]


# The provider is away.


def test_an_old_token_is_used_while_it_lives(
    login: LoggedIn, token_store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    login.due()
    with login.dev.fault("refresh_503"), caplog.at_level(logging.WARNING):
        assert live(login, token_store) == (login.tokens, False)
    (message,) = caplog.messages
    assert "provider_busy" in message and "503" in message
    assert token_store.load() == login.tokens


def test_after_a_failure_there_is_a_pause(login: LoggedIn, token_store: TokenStore) -> None:
    login.due()
    with login.dev.fault("refresh_503"):
        for _ in range(3):
            assert live(login, token_store) == (login.tokens, False)
        assert login.called == ["token"]
        login.over()
        error = fails(login, token_store)
        assert isinstance(error, ProviderUnavailable)
        assert error.error_code == "provider_unreachable"
        assert login.called == ["token"]
        login.elapsed.now += 5
        error = fails(login, token_store)
        assert isinstance(error, ProviderUnavailable)
        assert error.error_code == "provider_busy"
        assert login.called == ["token"] * 2
    login.elapsed.now += 5
    tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.lives(login.clock())


def test_a_provider_that_spent_the_token_and_hung_up(
    login: LoggedIn, token_store: TokenStore
) -> None:
    """A 200 began to come: the token was used up, and the next request asks for a login."""
    login.over()
    with login.dev.fault("refresh_hangs_up"):
        assert isinstance(fails(login, token_store), ProviderUnavailable)
    assert fails(login, token_store).error_code == "tokens_missing"
    assert login.called == ["token"]


# Others, in between.


def test_a_login_in_between_is_kept_and_given(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    newer = login.log_in()
    login.due()
    newer = replace(newer, expires_at=login.clock() + 600, renew_at=login.clock() + 570)
    login.wire.meanwhile = lambda: make_token_store(store).save(newer)
    assert live(login, token_store) == (newer, False)
    assert make_token_store(store).load() == newer


def test_a_logout_in_between_counts(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    login.due()
    login.wire.meanwhile = make_token_store(store).empty
    assert fails(login, token_store).error_code == "tokens_missing"
    assert list(store.keys("")) == []
    revoked = [
        call.form["token_type_hint"] for call in login.dev.calls if call.endpoint == "revocation"
    ]
    assert revoked == ["refresh_token", "access_token"]  # no one has the renewed ones


@pytest.mark.parametrize("what", ["no agreement", "no keys"])
def test_documents_that_change_in_between_cost_no_tokens(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore, what: str
) -> None:
    """The refresh token was used, so the new tokens must be kept."""
    login.due()

    def change() -> None:
        if what == "no agreement":
            login.clock.now += MAX_TTL
            del login.dev.metadata["pushed_authorization_request_endpoint"]
        else:
            login.clock.now += 2 * MAX_TTL
            login.dev.metadata["jwks_uri"] = f"{ISSUER}/nowhere"

    login.wire.meanwhile = change
    tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.refresh_token != login.tokens.refresh_token
    assert tokens.id_token == login.tokens.id_token
    assert make_token_store(store).load() == tokens


@pytest.mark.parametrize("fault", ["refresh_hangs_up", "token_html", "token_type_mac"])
def test_tokens_that_came_in_between_are_used_if_the_answer_is_lost(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore, fault: str
) -> None:
    newer = login.log_in()
    login.over()
    newer = replace(newer, expires_at=login.clock() + 600, renew_at=login.clock() + 570)
    login.wire.meanwhile = lambda: make_token_store(store).save(newer)
    with login.dev.fault(fault):
        assert live(login, token_store) == (newer, False)
    assert make_token_store(store).load() == newer


def test_a_lock_that_is_held_for_too_long(
    login: LoggedIn, token_store: TokenStore, store: MemoryStore
) -> None:
    hurried = make_token_store(store, lock_timeout=0.05)
    login.due()
    with token_store.lock():
        assert live(login, hurried) == (login.tokens, False)
        login.over()
        error = fails(login, hurried)
    assert isinstance(error, StoreUnavailable)
    assert error.error_code == "store_busy"
    assert login.called == []


def test_a_lock_that_expired_under_its_holder_gives_no_dead_token(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess
) -> None:
    """The second use of one refresh token voids all of that login: both must know."""
    make_token_store(redis_store).save(login.tokens)
    login.due()
    others: list[ParJarError] = []

    def outlive_the_lock() -> None:
        with own_redis.client() as client:
            (lock,) = client.scan_iter("*lock:*")
            assert client.ttl(lock) > 0
            client.delete(lock)
        others.append(fails(login, make_token_store(redis_store, lock_timeout=1)))

    login.wire.meanwhile = outlive_the_lock
    error = fails(login, make_token_store(redis_store))
    assert (others[0].error_code, error.error_code) == ("refresh_refused", "tokens_missing")
    assert list(redis_store.keys("")) == []


# The store is away.


def test_the_store_is_away_from_the_start(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess
) -> None:
    token_store = make_token_store(redis_store)
    token_store.save(login.tokens)
    own_redis.stop()
    error = fails(login, token_store)
    assert isinstance(error, StoreUnavailable)
    assert error.error_code == "store_unreachable"


def test_the_store_goes_away_after_a_renewal(
    login: LoggedIn,
    redis_store: Store,
    own_redis: RedisProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new token is good, if for this request alone."""
    token_store = make_token_store(redis_store)
    token_store.save(login.tokens)
    login.over()
    login.wire.meanwhile = own_redis.stop
    with caplog.at_level(logging.WARNING):
        tokens, renewed = live(login, token_store)
    assert renewed
    assert tokens.lives(login.clock())
    assert len(caplog.messages) == 2 and "ConnectionError" in caplog.messages[0]
    own_redis.start()
    make_token_store(redis_store).save(login.tokens)  # as a Redis has it that kept its data
    assert fails(login, make_token_store(redis_store)).error_code == "refresh_refused"
    assert login.called == ["token"]


@pytest.mark.parametrize("fault", ["refresh_503", "refresh_invalid_grant", "refresh_other_subject"])
@pytest.mark.parametrize("lives", [True, False])
def test_the_store_goes_away_during_a_renewal_that_fails(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess, fault: str, lives: bool
) -> None:
    """What was read is used while it lives, and nothing is remembered of the failure."""
    token_store = make_token_store(redis_store)
    token_store.save(login.tokens)
    login.due() if lives else login.over()
    login.wire.meanwhile = own_redis.stop
    with login.dev.fault(fault):
        if lives:
            assert live(login, token_store) == (login.tokens, False)
        elif fault == "refresh_503":  # the store was not needed
            assert isinstance(fails(login, token_store), ProviderUnavailable)
        else:
            assert isinstance(fails(login, token_store), StoreUnavailable)


def test_tokens_of_another_person_are_revoked_also_if_the_store_is_away(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess
) -> None:
    token_store = make_token_store(redis_store)
    token_store.save(login.tokens)
    login.over()
    login.wire.meanwhile = own_redis.stop
    with login.dev.fault("refresh_other_subject"):
        assert isinstance(fails(login, token_store), StoreUnavailable)
    assert login.called == ["token", "revocation", "revocation"]


# Given back.


def test_tokens_are_revoked(login: LoggedIn) -> None:
    revoke_tokens(login.provider, login.tokens, now=login.clock())
    assert [(call.endpoint, call.form["token_type_hint"]) for call in login.dev.calls] == [
        ("revocation", "refresh_token"),
        ("revocation", "access_token"),
    ]
    assert [call.form["token"] for call in login.dev.calls] == [
        login.tokens.refresh_token,
        login.tokens.access_token,
    ]


def test_expired_and_missing_tokens_are_not_revoked(login: LoggedIn) -> None:
    single = replace(login.tokens, refresh_token=None)
    revoke_tokens(login.provider, single, now=login.clock())
    assert [call.form["token_type_hint"] for call in login.dev.calls] == ["access_token"]
    login.dev.calls.clear()
    login.over()
    revoke_tokens(login.provider, single, now=login.clock())
    assert login.called == []
    revoke_tokens(login.provider, login.tokens, now=login.clock())
    assert login.called == ["revocation"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("revocation_503", "provider_busy"), ("revocation_refused", "revocation_refused")],
)
def test_a_revocation_that_fails_is_in_the_log(
    login: LoggedIn, caplog: pytest.LogCaptureFixture, fault: str, code: str
) -> None:
    with login.dev.fault(fault), caplog.at_level(logging.WARNING):
        revoke_tokens(login.provider, login.tokens, now=login.clock())
    assert [message.endswith(code) for message in caplog.messages] == [True, True]
    assert login.called == ["revocation", "revocation"]  # each token on its own
