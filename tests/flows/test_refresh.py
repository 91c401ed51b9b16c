"""Tokens that stay alive: at a real provider, whatever happens in between."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flask_parjar.errors import (
    LoginRequired,
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
    TokenRejected,
)
from flask_parjar.flows.refresh import live_tokens, revoke_tokens
from flask_parjar.flows.vault import Vault
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.stores import MemoryStore, Store
from tests.flows.logged_in import LoggedIn, make_vault
from tests.redis_process import RedisProcess


@pytest.fixture
def vault(login: LoggedIn, store: MemoryStore) -> Vault:
    """A vault with the tokens of the login."""
    vault = make_vault(store)
    vault.save(login.tokens)
    return vault


def live(login: LoggedIn, vault: Vault) -> tuple[TokenSet, bool]:
    return live_tokens(login.provider, vault, subject="ada", clock=login.clock)


def fails(login: LoggedIn, vault: Vault) -> ParJarError:
    with pytest.raises(ParJarError) as caught:
        live(login, vault)
    return caught.value


# As it should be.


def test_a_token_that_is_not_due_is_given_as_it_is(login: LoggedIn, vault: Vault) -> None:
    assert live(login, vault) == (login.tokens, False)
    login.clock.now += 569
    assert live(login, vault) == (login.tokens, False)
    assert login.called == []


@pytest.mark.parametrize("seconds", [570, 599, 600, 3000])
def test_a_token_that_is_due_is_renewed_once(
    login: LoggedIn, vault: Vault, store: MemoryStore, seconds: int
) -> None:
    login.clock.now += seconds
    tokens, renewed = live(login, vault)
    assert renewed
    assert login.called == ["token"]
    assert tokens.access_token != login.tokens.access_token
    assert tokens.refresh_token != login.tokens.refresh_token
    assert tokens.expires_at == login.clock() + 600
    assert live(login, make_vault(store)) == (tokens, False)
    assert login.called == ["token"]


def test_renewed_tokens_are_renewed_in_their_turn(login: LoggedIn, vault: Vault) -> None:
    seen = {login.tokens.access_token}
    for _ in range(3):
        login.due()
        tokens, renewed = live(login, vault)
        assert renewed
        seen.add(tokens.access_token)
    assert len(seen) == 4
    assert login.called == ["token"] * 3


def test_what_a_renewal_leaves_out_stays(login: LoggedIn, vault: Vault) -> None:
    login.due()
    with login.dev.fault("refresh_without_new_token"), login.dev.fault("refresh_without_id_token"):
        tokens, renewed = live(login, vault)
    assert renewed
    assert tokens.refresh_token == login.tokens.refresh_token
    assert tokens.id_token == login.tokens.id_token


def test_tokens_whose_id_token_found_no_room_are_renewed(login: LoggedIn, vault: Vault) -> None:
    vault.save(login.tokens.without_id_token())
    login.due()
    tokens, renewed = live(login, vault)
    assert renewed
    assert tokens.access_token != login.tokens.access_token


def test_a_token_whose_end_nobody_tells_is_never_renewed(login: LoggedIn, vault: Vault) -> None:
    endless = replace(login.tokens, expires_at=None, renew_at=None)
    vault.save(endless)
    login.clock.now += 10**6
    assert live(login, vault) == (endless, False)


def test_of_many_that_ask_at_once_one_renews(
    login: LoggedIn, vault: Vault, store: MemoryStore
) -> None:
    """A refresh token that is sent twice would end the login."""
    login.due()
    with login.dev.fault("refresh_slow"), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: live(login, make_vault(store)), range(8)))
    assert login.called == ["token"]
    assert len({tokens.access_token for tokens, _ in answers}) == 1
    assert [renewed for _, renewed in answers].count(True) == 1
    assert answers[0][0].access_token != login.tokens.access_token


def test_of_many_processes_one_renews(login: LoggedIn, redis_store: Store) -> None:
    make_vault(redis_store).save(login.tokens)
    login.due()
    with login.dev.fault("refresh_slow"), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: live(login, make_vault(redis_store)), range(8)))
    assert login.called == ["token"]
    assert len({tokens.access_token for tokens, _ in answers}) == 1
    assert [renewed for _, renewed in answers].count(True) == 1


# Without tokens, or without a refresh token.


def test_no_tokens_are_kept(login: LoggedIn, store: MemoryStore) -> None:
    error = fails(login, make_vault(store))
    assert isinstance(error, LoginRequired)
    assert (error.code, error.detail) == (
        "tokens_missing",
        "no tokens are kept for this session",
    )


def test_tokens_of_another_secret(login: LoggedIn, vault: Vault, store: MemoryStore) -> None:
    assert fails(login, make_vault(store, secrets=(b"another",))).code == "tokens_missing"


def test_without_a_refresh_token_there_is_one_life(login: LoggedIn, vault: Vault) -> None:
    single = replace(login.tokens, refresh_token=None)
    vault.save(single)
    login.due()
    assert live(login, vault) == (single, False)
    login.over()
    error = fails(login, vault)
    assert isinstance(error, LoginRequired)
    assert error.code == "tokens_missing"
    assert login.called == []


# The provider refuses.


def test_a_refused_refresh_token_ends_the_tokens(
    login: LoggedIn, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    login.due()
    with login.dev.fault("refresh_invalid_grant"), caplog.at_level(logging.WARNING):
        error = fails(login, vault)
    assert isinstance(error, LoginRequired)
    assert error.code == "refresh_refused"
    assert isinstance(error.__cause__, ProviderRefused)
    assert "tokens ended: refresh_refused: error='invalid_grant'" in caplog.text
    assert str(login.tokens.refresh_token) not in caplog.text
    assert vault.load() is None
    assert fails(login, vault).code == "tokens_missing"
    assert login.called == ["token"]


def test_a_refused_token_is_just_old_where_somebody_has_kept_a_newer_one(
    login: LoggedIn, vault: Vault, store: MemoryStore
) -> None:
    newer = login.log_in()
    login.due()
    login.wire.meanwhile = lambda: make_vault(store).save(newer)
    with login.dev.fault("refresh_invalid_grant"):
        assert live(login, vault) == (newer, False)
    assert make_vault(store).load() == newer


def test_a_refused_token_that_was_emptied_meanwhile(
    login: LoggedIn, vault: Vault, store: MemoryStore
) -> None:
    login.due()
    login.wire.meanwhile = make_vault(store).empty
    with login.dev.fault("refresh_invalid_grant"):
        assert fails(login, vault).code == "tokens_missing"


def test_an_error_that_may_pass_does_not_end_the_tokens(login: LoggedIn, vault: Vault) -> None:
    """Only ``invalid_grant`` says that the refresh token is dead."""
    login.due()
    with login.dev.fault("refresh_overloaded"):
        assert live(login, vault) == (login.tokens, False)
    assert vault.is_paused()
    assert vault.load() == login.tokens


def test_a_client_that_is_refused_keeps_its_tokens(login: LoggedIn, vault: Vault) -> None:
    """Our own key is wrong: that is ours to mend, and says nothing of the refresh token."""
    stranger = parse_signing_keys(login.dev.config()["PARJAR_SIGNING_KEY"])
    login.register(replace(login.provider.client, signing_keys=stranger))
    login.due()
    assert live(login, vault) == (login.tokens, False)
    assert vault.is_paused()
    assert live(login, vault) == (login.tokens, False)
    assert login.called == ["token"]
    assert vault.load() == login.tokens
    vault.empty()
    vault.save(login.tokens)
    login.over()
    error = fails(login, vault)
    assert isinstance(error, ProviderRefused)
    assert error.code == "client_refused"
    login.register(login.provider.client)
    vault.empty()
    vault.save(login.tokens)
    assert live(login, vault)[1]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("refresh_other_subject", "token_subject"), ("refresh_other_issuer", "token_issuer")],
)
def test_what_is_not_to_be_trusted_ends_the_tokens(
    login: LoggedIn, vault: Vault, fault: str, code: str
) -> None:
    login.due()
    with login.dev.fault(fault):
        error = fails(login, vault)
    assert isinstance(error, TokenRejected)
    assert error.code == code
    assert vault.load() is None


# The provider is away.


def test_an_old_token_is_used_while_it_lives(
    login: LoggedIn, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    login.due()
    with login.dev.fault("refresh_503"), caplog.at_level(logging.WARNING):
        assert live(login, vault) == (login.tokens, False)
    assert caplog.messages == ["tokens not renewed: provider_busy: token: HTTP 503"]
    assert vault.load() == login.tokens


def test_nobody_tries_again_for_a_moment(login: LoggedIn) -> None:
    now = 0.0
    vault = make_vault(MemoryStore(lambda: now))
    vault.save(login.tokens)
    login.due()
    with login.dev.fault("refresh_503"):
        for _ in range(3):
            assert live(login, vault) == (login.tokens, False)
        assert login.called == ["token"]
        login.over()
        error = fails(login, vault)
        assert isinstance(error, ProviderUnavailable)
        assert (error.code, error.detail) == (
            "provider_unreachable",
            "a renewal failed a moment ago",
        )
        assert login.called == ["token"]
        now = 5.0
        error = fails(login, vault)
        assert isinstance(error, ProviderUnavailable)
        assert error.code == "provider_busy"
        assert login.called == ["token"] * 2
    now = 10.0
    tokens, renewed = live(login, vault)
    assert renewed
    assert tokens.lives(login.clock())


def test_a_provider_that_spent_the_token_and_hung_up(login: LoggedIn, vault: Vault) -> None:
    """Nobody can know; the next renewal finds out, and asks for a login."""
    login.over()
    with login.dev.fault("refresh_hangs_up"):
        assert isinstance(fails(login, vault), ProviderUnavailable)
    vault.empty()
    vault.save(login.tokens)
    assert fails(login, vault).code == "refresh_refused"


# Others, in between.


def test_a_login_in_between_is_kept_and_given(
    login: LoggedIn, vault: Vault, store: MemoryStore
) -> None:
    newer = login.log_in()
    login.due()
    newer = replace(newer, expires_at=login.clock() + 600, renew_at=login.clock() + 570)
    login.wire.meanwhile = lambda: make_vault(store).save(newer)
    assert live(login, vault) == (newer, False)
    assert make_vault(store).load() == newer


def test_a_logout_in_between_counts(login: LoggedIn, vault: Vault, store: MemoryStore) -> None:
    login.due()
    login.wire.meanwhile = make_vault(store).empty
    assert fails(login, vault).code == "tokens_missing"
    assert list(store.keys("")) == []
    revoked = [
        call.form["token_type_hint"] for call in login.dev.calls if call.endpoint == "revocation"
    ]
    assert revoked == ["refresh_token", "access_token"]  # nobody has the renewed ones


def test_a_lock_that_is_held_for_too_long(
    login: LoggedIn, vault: Vault, store: MemoryStore
) -> None:
    hurried = make_vault(store, patience=0.05)
    login.due()
    with vault.lock():
        assert live(login, hurried) == (login.tokens, False)
        login.over()
        error = fails(login, hurried)
    assert isinstance(error, StoreUnavailable)
    assert error.code == "store_busy"
    assert login.called == []


def test_a_lock_that_expired_under_its_holder_gives_nobody_a_dead_token(
    login: LoggedIn, redis_store: Store
) -> None:
    """The second use of one refresh token voids all of that login: both must know."""
    make_vault(redis_store).save(login.tokens)
    login.due()
    others: list[ParJarError] = []

    def sleep_through() -> None:
        time.sleep(1.2)
        others.append(fails(login, make_vault(redis_store, patience=1)))

    login.wire.meanwhile = sleep_through
    error = fails(login, make_vault(redis_store, patience=0.1))
    assert (others[0].code, error.code) == ("refresh_refused", "tokens_missing")
    assert list(redis_store.keys("")) == []


# The store is away.


def test_the_store_is_away_from_the_start(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess
) -> None:
    vault = make_vault(redis_store)
    vault.save(login.tokens)
    own_redis.stop()
    error = fails(login, vault)
    assert isinstance(error, StoreUnavailable)
    assert error.code == "store_unreachable"


def test_the_store_goes_away_after_a_renewal(
    login: LoggedIn,
    redis_store: Store,
    own_redis: RedisProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new token is good, if for this request alone."""
    vault = make_vault(redis_store)
    vault.save(login.tokens)
    login.over()
    login.wire.meanwhile = own_redis.stop
    with caplog.at_level(logging.WARNING):
        tokens, renewed = live(login, vault)
    assert renewed
    assert tokens.lives(login.clock())
    assert caplog.messages == [
        "renewed tokens could not be kept, a login will be needed: Redis: ConnectionError",
        "a lock was left to expire: Redis: ConnectionError",
    ]


@pytest.mark.parametrize("fault", ["refresh_503", "refresh_invalid_grant", "refresh_other_subject"])
@pytest.mark.parametrize("lives", [True, False])
def test_the_store_goes_away_during_a_renewal_that_fails(
    login: LoggedIn, redis_store: Store, own_redis: RedisProcess, fault: str, lives: bool
) -> None:
    """What was read is used while it lives, and nothing is remembered of the failure."""
    vault = make_vault(redis_store)
    vault.save(login.tokens)
    login.due() if lives else login.over()
    login.wire.meanwhile = own_redis.stop
    with login.dev.fault(fault):
        if lives:
            assert live(login, vault) == (login.tokens, False)
        else:
            assert isinstance(fails(login, vault), StoreUnavailable)


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


def test_what_is_dead_or_was_never_there_is_not_revoked(login: LoggedIn) -> None:
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
def test_a_revocation_that_fails_keeps_nobody_logged_in(
    login: LoggedIn, caplog: pytest.LogCaptureFixture, fault: str, code: str
) -> None:
    with login.dev.fault(fault), caplog.at_level(logging.WARNING):
        revoke_tokens(login.provider, login.tokens, now=login.clock())
    assert caplog.messages == [f"tokens not revoked at https://op.example: {code}"]
    assert login.called == ["revocation"]
