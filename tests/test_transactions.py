"""Logins under way: what the session and the ``state`` hold to the letter, and what they refuse."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Generator
from typing import Any

import pytest
from flask import Flask, session
from itsdangerous import BadSignature, URLSafeTimedSerializer

from flask_parjar import transactions
from flask_parjar.errors import ResponseRejected
from flask_parjar.protocol.authorization import LoginOptions
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.transaction import Transaction, derive
from flask_parjar.slips import MAX_SLIP, read_slip, sign_slip
from flask_parjar.state import current_state
from flask_parjar.testing import DevProvider
from flask_parjar.transactions import (
    MAX_WAITING,
    SESSION_KEY,
    StateSlip,
    is_expired,
    keep_waiting,
    pop_transaction,
    put_transaction,
    read_state,
    start_transaction,
    waiting,
)
from tests.protocol.examples import invalid, refused
from tests.site import ISSUER, make_site

NOW = 1_800_000_000
LIFETIME = 600
CALLBACK = "https://app.example/callback"
# (Python 3.14 says how many there were.)
TOO_MANY = "too many values to unpack (expected 4" + (
    ", got 5)" if sys.version_info >= (3, 14) else ")"
)


@pytest.fixture
def app(provider: DevProvider) -> Generator[Flask, None, None]:
    """A site within one of its requests."""
    site = make_site(provider, PARJAR_TRANSACTION_LIFETIME=LIFETIME, PARJAR_SCOPES="openid email")
    with site.test_request_context():
        yield site


@pytest.fixture
def client(app: Flask) -> ClientConfig:
    return current_state().provider(None).client


def start(client: ClientConfig, *, again: bool = True, **options: Any) -> Transaction:
    return start_transaction(
        client,
        LoginOptions(**options),
        redirect_uri=CALLBACK,
        next="/me",
        may_start_again=again,
        now=NOW,
    )


def serializer(*keys: str, salt: str = "flask_parjar.state") -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(keys or ["of the tests"]), salt=salt, signer_kwargs={"digest_method": hashlib.sha256}
    )


def slip_of(transaction: Transaction, **other: Any) -> StateSlip:
    return StateSlip(
        **{
            "id": derive(transaction.seed, "state"),
            "provider": transaction.provider,
            "next": transaction.next,
            "may_start_again": True,
            "signed_at": NOW,
            **other,
        }
    )


# What a login begins with.


def test_a_transaction_has_what_was_configured(client: ClientConfig) -> None:
    transaction = start(client)
    assert transaction == Transaction(
        seed=transaction.seed,
        state=transaction.state,
        provider="default",
        issuer=ISSUER,
        redirect_uri=CALLBACK,
        started_at=NOW,
        next="/me",
        scopes=("openid", "email"),
    )
    assert start(client).seed != transaction.seed


def test_a_transaction_has_what_was_asked(client: ClientConfig) -> None:
    asked = start(client, scopes=["openid"], max_age=0, acr_values=["gold"], essential_acr=True)
    assert (asked.scopes, asked.max_age, asked.acr_values) == (("openid",), 0, ("gold",))
    assert start(client, acr_values=["gold"]).acr_values == ()


@pytest.mark.parametrize("again", [True, False])
def test_the_state_is_a_signed_slip(client: ClientConfig, again: bool) -> None:
    transaction = start(client, again=again)
    identifier = derive(transaction.seed, "state")
    assert isinstance(transaction.state, str)
    assert serializer().loads(transaction.state) == [identifier, "default", "/me", again]
    slip = read_state(transaction.state)
    assert slip == (identifier, "default", "/me", again, slip.signed_at)
    assert isinstance(slip.signed_at, int) and abs(slip.signed_at - time.time()) < 60
    assert transaction.seed not in transaction.state


def test_the_newest_key_signs_and_older_ones_are_read(app: Flask, client: ClientConfig) -> None:
    app.config["SECRET_KEY_FALLBACKS"] = ["older", "oldest"]
    state = start(client).state
    assert serializer("of the tests").loads(state)
    for key in ("older", "oldest"):
        with pytest.raises(BadSignature):
            serializer(key).loads(state)
        assert read_state(str(serializer(key).dumps(["id", "default", "/", True]))).id == "id"


# What comes back as a state.


@pytest.mark.parametrize(
    "slip, cause",
    [
        (["id", "default", "/me"], "not enough values to unpack (expected 4, got 3)"),
        (["id", "default", "/me", True, 1], TOO_MANY),
        ([1, "default", "/me", True], "not a slip of ours"),
        (["id", None, "/me", True], "not a slip of ours"),
        (["id", "default", "https://evil.example/", True], "not a slip of ours"),
        (["id", "default", None, True], "not a slip of ours"),
        (7, "cannot unpack non-iterable int object"),
        (None, "cannot unpack non-iterable NoneType object"),
    ],
)
@pytest.mark.usefixtures("app")
def test_what_is_signed_and_no_slip_is_forged(slip: object, cause: str) -> None:
    with refused(ResponseRejected, "state_forged", cause, status=400):
        read_state(str(serializer().dumps(slip)))


@pytest.mark.parametrize(
    "other",
    [
        serializer("another key"),
        serializer(salt="flask_parjar.other"),
        URLSafeTimedSerializer("of the tests", salt="flask_parjar.state"),  # by SHA-1
    ],
)
@pytest.mark.usefixtures("app")
def test_another_signature_is_forged(other: URLSafeTimedSerializer) -> None:
    with refused(ResponseRejected, "state_forged", "BadTimeSignature"):
        read_state(str(other.dumps(["id", "default", "/me", True])))


@pytest.mark.parametrize("flag", [1, "true", None, False])
@pytest.mark.usefixtures("app")
def test_only_true_may_start_again(flag: object) -> None:
    assert (
        read_state(str(serializer().dumps(["id", "default", "/", flag]))).may_start_again is False
    )


def long_state(length: int) -> str:
    """A right state of a length, of words that no compression shortens much."""
    text = "".join(random.Random(7).choices("0123456789abcdef", k=3 * length))
    for size in range(length // 2, 3 * length):
        state = str(serializer().dumps([text[:size], "default", "/", True]))
        if len(state) == length:
            return state
    raise AssertionError(f"no state has {length} characters")


@pytest.mark.usefixtures("app")
def test_a_state_has_a_bound() -> None:
    assert len(read_state(long_state(4096)).id) > 2000
    with refused(ResponseRejected, "state_forged", "too long"):
        read_state(long_state(4100))


@pytest.mark.usefixtures("app")
def test_the_reason_is_kept_for_whoever_debugs() -> None:
    for state, reason in (
        (long_state(4100), "too long"),
        (str(serializer().dumps([1, "default", "/", True])), "not a slip of ours"),
        (str(serializer("another key").dumps(["id", "default", "/", True])), "BadTimeSignature"),
    ):
        with pytest.raises(ResponseRejected) as caught:
            read_state(state)
        cause = caught.value.__cause__
        assert (type(cause), str(cause)) == (ValueError, reason)
    assert isinstance(cause.__cause__, BadSignature)


@pytest.mark.parametrize("age, expired", [(LIFETIME, False), (LIFETIME + 1, True), (-5, False)])
def test_a_slip_expires(client: ClientConfig, age: int, expired: bool) -> None:
    assert is_expired(slip_of(start(client)), now=NOW + age) is expired


# What the session holds.


def test_an_entry_is_as_small_as_it_can_be(client: ClientConfig) -> None:
    plain = start(client)
    put_transaction(plain, client)
    asked = start(client, scopes=["openid"], max_age=0, acr_values=["gold"], essential_acr=True)
    put_transaction(asked, client)
    partly = start(client, max_age=5)
    put_transaction(partly, client)
    common = [NOW, "default", ISSUER, CALLBACK]
    assert session[SESSION_KEY] == [
        [plain.seed, *common],
        [asked.seed, *common, {"scopes": ("openid",), "max_age": 0, "acr_values": ("gold",)}],
        [partly.seed, *common, {"max_age": 5}],
    ]


def test_the_oldest_goes(client: ClientConfig) -> None:
    seeds = []
    for _ in range(MAX_WAITING + 2):
        transaction = start(client)
        put_transaction(transaction, client)
        seeds.append(transaction.seed)
    assert [entry[0] for entry in waiting()] == seeds[-MAX_WAITING:]
    assert MAX_WAITING == 5


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scopes": ["openid"]},
        {"max_age": 0},
        {"acr_values": ["gold", "silver"], "essential_acr": True},
    ],
)
def test_what_was_put_is_popped_once(client: ClientConfig, options: dict[str, Any]) -> None:
    first, wanted, last = start(client), start(client, **options), start(client)
    for each in (first, wanted, last):
        put_transaction(each, client)
    slip = slip_of(wanted, next="/elsewhere")
    popped = pop_transaction(slip, client, now=NOW + LIFETIME)
    assert popped == Transaction(
        seed=wanted.seed,
        state="",
        provider="default",
        issuer=ISSUER,
        redirect_uri=CALLBACK,
        started_at=NOW,
        next="/elsewhere",
        scopes=wanted.scopes,
        max_age=wanted.max_age,
        acr_values=wanted.acr_values,
    )
    assert [entry[0] for entry in waiting()] == [first.seed, last.seed]
    assert pop_transaction(slip, client, now=NOW) is None
    assert [entry[0] for entry in waiting()] == [first.seed, last.seed]


def test_the_last_one_leaves_no_trace(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    assert pop_transaction(slip_of(transaction), client, now=NOW) is not None
    assert SESSION_KEY not in session


@pytest.mark.usefixtures("app")
def test_nothing_is_kept_where_nothing_waits() -> None:
    keep_waiting([])  # and a session without a trace has nothing to lose
    assert SESSION_KEY not in session


def test_one_that_is_too_old_is_gone_for_good(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    assert pop_transaction(slip_of(transaction), client, now=NOW + LIFETIME + 1) is None
    assert waiting() == []


@pytest.mark.parametrize("position, other", [(2, "another"), (3, "https://other.example")])
def test_one_of_another_provider_or_issuer_is_none_of_ours(
    client: ClientConfig, position: int, other: str
) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    session[SESSION_KEY][0][position] = other
    assert pop_transaction(slip_of(transaction), client, now=NOW) is None
    assert waiting() == []


def test_another_provider_s_callback_takes_nothing(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    with refused(ResponseRejected, "state_mismatch", "'work' at 'default'", status=400):
        pop_transaction(slip_of(transaction, provider="work"), client, now=NOW)
    assert len(waiting()) == 1


# What else might stand in the session.

ENTRY = ["seed", NOW, "default", ISSUER, CALLBACK]


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        tuple(ENTRY),
        [*ENTRY, {}],
        [*ENTRY, {"max_age": 0}],
        [*ENTRY, {"scopes": ["openid"], "acr_values": ["gold"], "max_age": 2.5}],
        [*ENTRY, {"of a later version": 1}],
    ],
)
@pytest.mark.usefixtures("app")
def test_an_entry_of_our_shape_counts(entry: object) -> None:
    session[SESSION_KEY] = [entry]
    assert waiting() == [entry]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "seed",
        {},
        dict.fromkeys(range(5)),
        [],
        ENTRY[:4],
        [*ENTRY, {}, {}],
        [None, *ENTRY[1:]],
        ["s\u00e9ed", *ENTRY[1:]],
        ["seed", None, *ENTRY[2:]],
        ["seed", "1", *ENTRY[2:]],
        ["seed", True, *ENTRY[2:]],
        [*ENTRY[:2], None, *ENTRY[3:]],
        [*ENTRY[:3], 1, CALLBACK],
        [*ENTRY[:4], None],
        [*ENTRY, None],
        [*ENTRY, []],
        [*ENTRY, {"scopes": "openid"}],
        [*ENTRY, {"scopes": [1]}],
        [*ENTRY, {"scopes": None}],
        [*ENTRY, {"acr_values": "gold"}],
        [*ENTRY, {"acr_values": ["gold", None]}],
        [*ENTRY, {"max_age": "5"}],
        [*ENTRY, {"max_age": None}],
    ],
)
def test_an_entry_of_another_shape_counts_for_nothing(client: ClientConfig, entry: object) -> None:
    session[SESSION_KEY] = [entry, ENTRY]
    assert waiting() == [ENTRY]
    slip = StateSlip("nobody's", "default", "/", True, NOW)
    assert pop_transaction(slip, client, now=NOW) is None


@pytest.mark.parametrize("entries", [None, "text", 5, {"a": 1}, True])
@pytest.mark.usefixtures("app")
def test_a_list_of_another_shape_is_empty(entries: object) -> None:
    session[SESSION_KEY] = entries
    assert waiting() == []
    session[SESSION_KEY] = (ENTRY,)
    assert waiting() == [ENTRY]


def test_the_name_in_the_session_is_kept_from_release_to_release() -> None:
    assert transactions.SESSION_KEY == "_parjar_logins"


# Signed slips, whatever they are for.


@pytest.mark.usefixtures("app")
def test_a_slip_is_for_one_purpose() -> None:
    slip = sign_slip(["a", 1], purpose="step_up")
    content, signed_at = read_slip(slip, purpose="step_up")
    assert content == ["a", 1] and abs(signed_at - time.time()) < 60
    for purpose in ("state", "step_u", "step_up2", ""):
        with invalid("BadTimeSignature"):
            read_slip(slip, purpose=purpose)
    with refused(ResponseRejected, "state_forged", "BadTimeSignature"):
        read_state(slip)


@pytest.mark.usefixtures("app")
def test_a_slip_has_a_bound() -> None:
    with invalid("too long"):
        read_slip("x" * (MAX_SLIP + 1), purpose="state")
    with invalid("BadSignature"):
        read_slip("x" * MAX_SLIP, purpose="state")
    assert MAX_SLIP == 4096
