"""Logins under way: what the session and the ``state`` hold to the letter, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Generator
from typing import Any

import pytest
from flask import Flask, session
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadSignature, TimestampSigner

from flask_parjar.errors import LoginError, ResponseRejected
from flask_parjar.protocol.authorization import LoginOptions
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.transaction import Transaction, derive, mix
from flask_parjar.runtime import EXTENSION, current_runtime
from flask_parjar.stores.memory import MemoryStore
from flask_parjar.testing import DevProvider
from flask_parjar.web import transactions
from flask_parjar.web.signing import (
    MAX_SIGNED,
    MAX_SIGNED_TEXT,
    dumps_signed,
    loads_signed,
    read_text,
    sign_text,
)
from flask_parjar.web.transactions import (
    MAX_WAITING,
    SESSION_KEY,
    PendingLogin,
    SignedState,
    claim,
    find_transaction,
    get_pending_logins,
    is_expired,
    is_login_under_way,
    put_pending_logins,
    put_transaction,
    read_state,
    remove_outdated,
    remove_transaction,
    start_transaction,
)
from tests.protocol.examples import signing_key
from tests.support.clock import Clock
from tests.support.errors import invalid, refused
from tests.support.signed_state import encoded, signed_state
from tests.support.site import ISSUER, make_site
from tests.support.untrusted import bounded, documents, json_values

NOW = 1_800_000_000
LIFETIME = 600
CALLBACK = "https://app.example/callback"
# (Python 3.14 says how many there were.)


@pytest.fixture
def app(provider: DevProvider) -> Generator[Flask, None, None]:
    """A site within one of its requests."""
    site = make_site(provider, PARJAR_TRANSACTION_LIFETIME=LIFETIME, PARJAR_SCOPES="openid email")
    with site.test_request_context():
        yield site


@pytest.fixture
def client(app: Flask) -> ClientConfig:
    return current_runtime().provider(None).client


def start(
    client: ClientConfig, *, again: bool = True, person: str = "", **options: Any
) -> Transaction:
    return start_transaction(
        client,
        LoginOptions(**options),
        redirect_uri=CALLBACK,
        next="/me",
        may_start_again=again,
        now=NOW,
        person=Identity(issuer="https://op.example", subject=person),
    )


def state_of(transaction: Transaction, **other: Any) -> SignedState:
    return SignedState(
        **{
            "id": derive(transaction.secret, "state")[:22],
            "provider": transaction.provider,
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
        secret=mix(transaction.seed, b"of the tests"),
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


def test_a_transaction_has_what_the_tokens_are_for(client: ClientConfig) -> None:
    asked = start(
        client,
        resource="https://b.example",
        authorization_details=[{"type": "payment"}, {"type": "account"}],
        assertion_claims={"org": ["1"]},
    )
    assert asked.resources == ("https://b.example",)
    assert sorted(asked.details_types) == ["account", "payment"]
    assert asked.assertion_claims == {"org": ["1"]}


def test_a_transaction_names_its_key_if_there_are_several(client: ClientConfig) -> None:
    first, second = signing_key("ES256"), signing_key("ES384")
    one = dataclasses.replace(client, client_auth="private_key_jwt", signing_keys=(first,))
    several = dataclasses.replace(one, signing_keys=(first, second))
    assert (start(one).assertion_key, start(several).assertion_key) == (None, first.mark)
    assert first.mark is not None


def test_a_transaction_has_the_issuer_of_a_tenant(client: ClientConfig) -> None:
    """Without tenants there is only one issuer."""
    of_tenants = dataclasses.replace(client, tenants=frozenset({"one", "two"}))
    assert start(of_tenants, person="ada").tenant_issuer == "https://op.example"
    assert start(client, person="ada").tenant_issuer == ""


def test_a_transaction_has_what_was_asked_by_claims(app: Flask, client: ClientConfig) -> None:
    """In the order in which they lie over each other, and however an essential acr travels."""
    claims = {
        "id_token": {
            "acr": {"essential": True, "value": "gold"},
            "auth_time": {"essential": True},
            "sub": {"value": "ada"},
        }
    }
    everything = (("gold",), ("auth_time",), ("ada",))
    configured = dataclasses.replace(client, authorization_params={"claims": claims})
    for asked in (
        start(client, claims=claims),
        start(client, params={"claims": claims}),
        start(configured),
    ):
        assert (asked.acr_values, asked.present, asked.subjects) == everything
    weaker = start(configured, claims={"id_token": {"acr": None, "auth_time": None}})
    assert (weaker.acr_values, weaker.present, weaker.subjects) == ((), (), ("ada",))
    stronger = start(configured, acr_values=["platinum"], essential_acr=True)
    assert stronger.acr_values == ("platinum",)
    assert start(configured, acr_values=["platinum"]).acr_values == ("platinum", "gold")
    assert start(client, params={"acr_values": "gold"}).acr_values == ()


def test_a_login_for_one_person_asks_for_that_sub_alone(client: ClientConfig) -> None:
    assert start(client, person="ada").subjects == ("ada",)
    several = {"id_token": {"sub": {"values": ["grace", "ada"]}, "auth_time": {"essential": True}}}
    asked = start(client, person="ada", claims=several)
    assert (asked.subjects, asked.present) == (("ada",), ("auth_time",))


def test_claims_for_another_person_are_refused(client: ClientConfig) -> None:
    with refused(LoginError, "other_person", "sub='ada'", status=403):
        start(client, person="ada", claims={"id_token": {"sub": {"value": "grace"}}})


@pytest.mark.parametrize("again", [True, False])
def test_the_state_is_signed(client: ClientConfig, again: bool) -> None:
    transaction = start(client, again=again)
    identifier = derive(transaction.secret, "state")[:22]
    state = read_state(transaction.state)
    assert state == (identifier, "default", again, state.signed_at)
    assert isinstance(state.signed_at, int) and abs(state.signed_at - time.time()) < 60
    text = f"{identifier}{int(again)}default"
    assert transaction.state == signed_state(text, at=state.signed_at)
    assert transaction.seed not in transaction.state


@pytest.mark.parametrize("name", ["a", "n" * 40])
def test_a_state_has_96_characters_and_no_page_at_most(client: ClientConfig, name: str) -> None:
    """Some providers have a limit of 128, and each of them can read it."""
    state = start(dataclasses.replace(client, name=name)).state
    assert len(state) == 53 + len(name) <= 96
    assert "/me" not in state and encoded(b"/me") not in state
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", state)


def test_the_session_alone_gives_no_secret_of_the_login(client: ClientConfig) -> None:
    """Flask's session cookie is signed, so that anybody who has it can read the seed."""
    transaction = start(client)
    put_transaction(transaction, client)
    written = json.dumps(session[SESSION_KEY])
    assert transaction.seed in written and transaction.secret not in written
    for label in ("nonce", "code_verifier"):
        value = getattr(transaction, label)
        assert value != derive(transaction.seed, label) and value not in written


def test_a_login_outlives_a_change_of_the_secret_key(app: Flask, client: ClientConfig) -> None:
    """It is completed with what it began with, so that its verifier and its key are the same."""
    transaction = start(client)
    put_transaction(transaction, client)
    app.config.update(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=["older", "of the tests"])
    put_transaction(start(client), client)
    found = pop_transaction(state_of(transaction), client, now=NOW)
    assert found is not None
    assert (found.secret, found.code_verifier) == (transaction.secret, transaction.code_verifier)
    app.config.update(SECRET_KEY_FALLBACKS=["older"])
    put_transaction(transaction, client)
    assert find_transaction(state_of(transaction), client, now=NOW) is None


IDENTIFIER = "i" * 22


def test_the_newest_key_signs_and_older_ones_are_read(app: Flask, client: ClientConfig) -> None:
    app.config["SECRET_KEY_FALLBACKS"] = ["older", "oldest"]
    transaction = start(client)
    text, at = transaction.state.split(".")[0], read_state(transaction.state).signed_at
    assert transaction.state == signed_state(text, at=at)
    for key in ("older", "oldest"):
        assert read_state(signed_state(f"{IDENTIFIER}1default", key=key)).id == IDENTIFIER


# What comes back as a state.


@pytest.mark.parametrize(
    "text",
    [
        "",
        IDENTIFIER,
        f"{IDENTIFIER}1",
        f"{IDENTIFIER}2default",
        f"{IDENTIFIER}default",
        f"{IDENTIFIER[1:]}1default",
        f"{IDENTIFIER}1de fault",
        f"{IDENTIFIER}1{'n' * 41}",
    ],
)
@pytest.mark.usefixtures("app")
def test_a_signed_value_of_another_shape_counts_as_forged(text: str) -> None:
    with refused(ResponseRejected, "state_forged", status=400):
        read_state(signed_state(text))


TEXT = f"{IDENTIFIER}1default"


@pytest.mark.parametrize(
    "other",
    [
        signed_state(TEXT, key="another key"),
        signed_state(TEXT, salt="other"),
        signed_state(TEXT)[:-1],  # fewer bits
        signed_state(TEXT)[:-22],
        signed_state(TEXT).replace("1default", "0default"),
        str(TimestampSigner("of the tests", salt="flask_parjar.state").sign(TEXT), "ascii"),
    ],
    ids=["key", "salt", "fewer bits", "none", "text", "digest"],  # the values differ with the time
)
@pytest.mark.usefixtures("app")
def test_another_signature_is_forged(other: str) -> None:
    with refused(ResponseRejected, "state_forged", "BadTimeSignature"):
        read_state(other)


@pytest.mark.usefixtures("app")
def test_a_state_has_a_bound() -> None:
    longest = signed_state(f"{IDENTIFIER}1{'n' * 40}")
    assert read_state(longest).provider == "n" * 40
    with refused(ResponseRejected, "state_forged", "too long"):
        read_state(longest.rjust(MAX_SIGNED_TEXT + 1, "x"))
    assert MAX_SIGNED_TEXT == 96


@pytest.mark.usefixtures("app")
def test_the_cause_of_a_forged_state_is_kept_for_a_debugger() -> None:
    with pytest.raises(ResponseRejected) as caught:
        read_state(signed_state(TEXT, key="another key"))
    cause = caught.value.__cause__
    assert type(cause) is ValueError
    assert isinstance(cause.__cause__, BadSignature)


@pytest.mark.parametrize("age, expired", [(LIFETIME, False), (LIFETIME + 1, True), (-5, False)])
def test_a_state_expires(client: ClientConfig, age: int, expired: bool) -> None:
    assert is_expired(state_of(start(client)), now=NOW + age) is expired


# What the session holds.


def test_an_entry_is_as_small_as_it_can_be(client: ClientConfig) -> None:
    asked = start(client, scopes=["openid"], max_age=0, acr_values=["gold"], essential_acr=True)
    put_transaction(asked, client)
    partly = start(client, max_age=5)
    put_transaction(partly, client)
    claims = {"auth_time": {"essential": True}, "sub": {"value": "ada"}}
    by_claims = start(client, claims={"id_token": claims})
    put_transaction(by_claims, client)
    for_apis = start(client, resource="https://a.example")
    put_transaction(for_apis, client)
    plain = dataclasses.replace(start(client), next="/")
    put_transaction(plain, client)
    common, me = [NOW, "default", ISSUER, CALLBACK], {"next": "/me"}
    assert session[SESSION_KEY] == [
        [asked.seed, *common, {"scopes": ("openid",), "max_age": 0, "acr_values": ("gold",)} | me],
        [partly.seed, *common, {"max_age": 5} | me],
        [by_claims.seed, *common, {"present": ("auth_time",), "subjects": ("ada",)} | me],
        [for_apis.seed, *common, {"resources": ("https://a.example",)} | me],
        [plain.seed, *common],
    ]


def test_the_oldest_login_under_way_is_dropped(client: ClientConfig) -> None:
    seeds = []
    for _ in range(MAX_WAITING + 2):
        transaction = start(client)
        put_transaction(transaction, client)
        seeds.append(transaction.seed)
    assert [each.seed for each in get_pending_logins()] == seeds[-MAX_WAITING:]
    assert MAX_WAITING == 5


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([1024], [1024]),
        ([200, 1024], [0, 1024]),
        ([1024, 200], [0, 200]),
        ([400, 400, 400], [0, 400, 400]),
        ([200] * 5, [200] * 5),
    ],
)
def test_the_pages_of_waiting_logins_have_a_bound(
    client: ClientConfig, lengths: list[int], kept: list[int]
) -> None:
    """A session cookie has room for 4096 bytes; a login without its page ends at another one."""
    for length in lengths:
        transaction = dataclasses.replace(start(client), next="/".ljust(length, "x"))
        put_transaction(transaction, client)
    assert [len(each.next or "") for each in get_pending_logins()] == kept
    found = find_transaction(state_of(transaction), client, now=NOW)
    assert found is not None and found.next == transaction.next


def pop_transaction(state: SignedState, client: ClientConfig, *, now: int) -> Transaction | None:
    """Find a transaction and remove it, as the callback does."""
    found = find_transaction(state, client, now=now)
    if found is None:
        remove_outdated(state)
    else:
        remove_transaction(found.seed)
    return found


def test_a_transaction_is_found_until_it_is_removed(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    state = state_of(transaction)
    for _ in range(2):
        found = find_transaction(state, client, now=NOW)
        assert found is not None and found.seed == transaction.seed
    remove_transaction(transaction.seed)
    assert find_transaction(state, client, now=NOW) is None


def test_whether_a_login_is_under_way(client: ClientConfig) -> None:
    assert not is_login_under_way(client, now=NOW)
    put_transaction(start(client), client)
    for age, under_way in ((0, True), (LIFETIME, True), (LIFETIME + 1, False)):
        assert is_login_under_way(client, now=NOW + age) is under_way
    others = [{"name": "other"}, {"issuer": "https://other.example"}]
    for other in others:
        assert not is_login_under_way(dataclasses.replace(client, **other), now=NOW)


@pytest.mark.parametrize("shared", [True, False])
def test_one_request_claims_a_login(app: Flask, client: ClientConfig, shared: bool) -> None:
    """In the store that all processes share, or without one in the process."""
    clock = Clock()
    store, process = MemoryStore(clock), MemoryStore(clock)
    app.extensions[EXTENSION] = dataclasses.replace(
        current_runtime(), store=store if shared else None, process_cache=process
    )
    state, other = state_of(start(client)), state_of(start(client))
    assert [claim(state), claim(state), claim(other)] == [True, False, True]
    used, unused = (store, process) if shared else (process, store)
    first, second = used.get(f"claimed:{state.id}", f"claimed:{other.id}")
    assert first and second and first != second  # a store knows by it which claim is its own
    assert list(unused.keys("")) == []
    clock.now += LIFETIME - 1
    assert not claim(state)
    clock.now += 1  # then the login is too old
    assert claim(state)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scopes": ["openid"]},
        {"max_age": 0},
        {"acr_values": ["gold", "silver"], "essential_acr": True},
        {"claims": {"id_token": {"acr": {"essential": True}, "sub": {"value": "ada"}}}},
    ],
)
def test_a_transaction_is_popped_once(client: ClientConfig, options: dict[str, Any]) -> None:
    first, wanted, last = start(client), start(client, **options), start(client)
    for each in (first, wanted, last):
        put_transaction(each, client)
    state = state_of(wanted)
    popped = pop_transaction(state, client, now=NOW + LIFETIME)
    assert popped == Transaction(
        seed=wanted.seed,
        secret=wanted.secret,
        state="",
        provider="default",
        issuer=ISSUER,
        redirect_uri=CALLBACK,
        started_at=NOW,
        next="/me",
        scopes=wanted.scopes,
        max_age=wanted.max_age,
        acr_values=wanted.acr_values,
        present=wanted.present,
        subjects=wanted.subjects,
    )
    assert [each.seed for each in get_pending_logins()] == [first.seed, last.seed]
    assert pop_transaction(state, client, now=NOW) is None
    assert [each.seed for each in get_pending_logins()] == [first.seed, last.seed]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resource": "https://b.example"},
        {"authorization_details": [{"type": "payment"}]},
        {"resource": [], "authorization_details": []},
        {"assertion_claims": {"org": ["1"]}},
    ],
)
@pytest.mark.parametrize("next", ["/", "/me"])
def test_a_transaction_is_found_as_it_was(
    client: ClientConfig, options: dict[str, Any], next: str
) -> None:
    """Also what the client is configured for: APIs, details, keys and tenants."""
    configured = dataclasses.replace(
        client,
        authorization_params={
            "resource": "https://a.example",
            "authorization_details": [{"type": "account"}],
        },
        client_auth="private_key_jwt",
        signing_keys=(signing_key("ES256"), signing_key("ES384")),
        tenants=frozenset({"one", "two"}),
    )
    started = start(configured, person="ada", **options)
    transaction = dataclasses.replace(started, next=next)
    put_transaction(transaction, configured)
    found = find_transaction(state_of(transaction), configured, now=NOW)
    assert found == dataclasses.replace(transaction, state="")


def test_what_is_removed_unfinished_is_returned(client: ClientConfig) -> None:
    first, second = start(client), start(client)
    put_transaction(first, client)
    put_transaction(second, client)
    logins = get_pending_logins()
    assert remove_outdated(state_of(second)) == logins[1]
    assert get_pending_logins() == logins[:1]
    assert remove_outdated(state_of(second)) is None


def test_the_last_one_leaves_no_trace(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    assert pop_transaction(state_of(transaction), client, now=NOW) is not None
    assert SESSION_KEY not in session


@pytest.mark.usefixtures("app")
def test_nothing_is_kept_where_nothing_waits() -> None:
    put_pending_logins([])  # and a session without a trace has nothing to lose
    assert SESSION_KEY not in session


def test_one_that_is_too_old_is_gone_for_good(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    assert pop_transaction(state_of(transaction), client, now=NOW + LIFETIME + 1) is None
    assert get_pending_logins() == []


@pytest.mark.parametrize("position, other", [(2, "another"), (3, "https://other.example")])
def test_one_of_another_provider_or_issuer_is_none_of_ours(
    client: ClientConfig, position: int, other: str
) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    session[SESSION_KEY][0][position] = other
    assert pop_transaction(state_of(transaction), client, now=NOW) is None
    assert get_pending_logins() == []


def test_another_provider_s_callback_pops_nothing(client: ClientConfig) -> None:
    transaction = start(client)
    put_transaction(transaction, client)
    with refused(ResponseRejected, "state_mismatch", "'work'", "'default'", status=400):
        pop_transaction(state_of(transaction, provider="work"), client, now=NOW)
    assert len(get_pending_logins()) == 1


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
        [*ENTRY, {"present": ["acr"], "subjects": ["ada"]}],
        [*ENTRY, {"of a later version": 1}],
    ],
)
@pytest.mark.usefixtures("app")
def test_an_entry_of_our_shape_counts(entry: object) -> None:
    session[SESSION_KEY] = [entry]
    (login,) = get_pending_logins()
    assert login[:5] == tuple(ENTRY)


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
        [*ENTRY, {"present": "acr"}],
        [*ENTRY, {"present": [None]}],
        [*ENTRY, {"subjects": "ada"}],
        [*ENTRY, {"subjects": None}],
        [*ENTRY, {"subjects": [7]}],
        [*ENTRY, {"max_age": "5"}],
        [*ENTRY, {"max_age": None}],
        [*ENTRY, {"next": None}],
        [*ENTRY, {"assertion_claims": None}],
        [*ENTRY, {"key": None}],
        [*ENTRY, {"key": 7}],
        [*ENTRY, {"tenant_issuer": None}],
        [*ENTRY, {"tenant_issuer": 7}],
        [*ENTRY, {"next": "https://evil.example/"}],
    ],
)
def test_an_entry_of_another_shape_counts_for_nothing(client: ClientConfig, entry: object) -> None:
    assert PendingLogin.from_cookie(entry) is None
    session[SESSION_KEY] = [entry, ENTRY]
    assert get_pending_logins() == [PendingLogin(*ENTRY)]
    unknown = SignedState("of none", "default", True, NOW)
    assert pop_transaction(unknown, client, now=NOW) is None


@pytest.mark.parametrize("entries", [None, "text", 5, {"a": 1}, True])
@pytest.mark.usefixtures("app")
def test_a_list_of_another_shape_is_empty(entries: object) -> None:
    session[SESSION_KEY] = entries
    assert get_pending_logins() == []
    session[SESSION_KEY] = (ENTRY,)
    assert get_pending_logins() == [PendingLogin(*ENTRY)]


LOGIN = PendingLogin("seed", NOW, "default", ISSUER, CALLBACK)


@pytest.mark.parametrize(
    "login, entry",
    [
        (LOGIN, ENTRY),
        (LOGIN._replace(scopes=()), [*ENTRY, {"scopes": ()}]),
        (LOGIN._replace(max_age=0), [*ENTRY, {"max_age": 0}]),
        (LOGIN._replace(resources=()), [*ENTRY, {"resources": ()}]),
        (LOGIN._replace(next="/me"), [*ENTRY, {"next": "/me"}]),
        (
            LOGIN._replace(assertion_claims={"org": ["1"]}),
            [*ENTRY, {"assertion_claims": {"org": ["1"]}}],
        ),
        (
            LOGIN._replace(
                scopes=("openid",),
                max_age=5,
                acr_values=("gold",),
                present=("acr",),
                subjects=("ada",),
                others={"of a later version": None},
            ),
            [
                *ENTRY,
                {
                    "scopes": ("openid",),
                    "max_age": 5,
                    "acr_values": ("gold",),
                    "present": ("acr",),
                    "subjects": ("ada",),
                    "of a later version": None,
                },
            ],
        ),
    ],
)
def test_a_login_under_way_is_a_list_in_the_cookie(login: PendingLogin, entry: list[Any]) -> None:
    assert login.to_cookie() == entry
    assert list((entry[5:] or [{}])[0]) == list((login.to_cookie()[5:] or [{}])[0])
    assert PendingLogin.from_cookie(entry) == login
    assert PendingLogin.from_cookie(json.loads(json.dumps(entry))) == login


words = st.lists(st.text(), max_size=3).map(tuple)
logins = st.builds(
    PendingLogin,
    seed=st.text(st.characters(max_codepoint=127)),
    started_at=st.integers(-(10**14), 10**14),
    provider=st.text(),
    issuer=st.text(),
    redirect_uri=st.text(),
    scopes=st.none() | words,
    resources=st.none() | words,
    details_types=st.none() | words,
    max_age=st.none() | st.integers(0, 10**9),
    acr_values=words,
    present=words,
    subjects=words,
    next=st.none() | st.sampled_from(["/", "/me?a=b"]),
    assertion_claims=st.dictionaries(st.text(), json_values, max_size=2),
    key=st.none() | st.text(),
    tenant_issuer=st.text(),
    others=st.dictionaries(st.sampled_from(["later", "", "Scopes"]), json_values),
)


@bounded
@given(logins)
def test_a_login_under_way_is_read_as_it_was_written(login: PendingLogin) -> None:
    assert PendingLogin.from_cookie(login.to_cookie()) == login


@bounded
@given(
    json_values
    | st.tuples(*[json_values | st.just(each) for each in ENTRY])
    | st.tuples(
        *[st.just(each) for each in ENTRY], documents({"scopes": [], "max_age": 0, "next": "/"})
    )
)
def test_any_value_in_the_session_is_a_login_under_way_or_none(value: Any) -> None:
    login = PendingLogin.from_cookie(value)
    if login is not None:
        assert PendingLogin.from_cookie(login.to_cookie()) == login
        assert derive(login.seed, "state")


def test_a_login_under_way_does_not_show_its_seed() -> None:
    assert "seed" not in repr(LOGIN) and "default" in repr(LOGIN)


def test_demands_of_a_later_version_stay_in_the_session(client: ClientConfig) -> None:
    entry = [*ENTRY, {"of a later version": 1}]
    session[SESSION_KEY] = [entry]
    transaction = start(client)
    put_transaction(transaction, client)
    assert pop_transaction(state_of(transaction), client, now=NOW) is not None
    assert session[SESSION_KEY] == [entry]


def test_the_name_in_the_session_is_kept_from_release_to_release() -> None:
    assert transactions.SESSION_KEY == "_parjar_logins"


# Signed values, whatever they are for.


@pytest.mark.usefixtures("app")
def test_a_signed_value_is_for_one_purpose() -> None:
    signed = dumps_signed(["a", 1], purpose="step_up")
    content, signed_at = loads_signed(signed, purpose="step_up")
    assert content == ["a", 1] and abs(signed_at - time.time()) < 60
    for purpose in ("state", "step_u", "step_up2", ""):
        with invalid("BadTimeSignature"):
            loads_signed(signed, purpose=purpose)
    text = sign_text("short", purpose="state")
    assert read_text(text, purpose="state")[0] == "short"
    for purpose in ("step_up", "stat", ""):
        with invalid("BadTimeSignature"):
            read_text(text, purpose=purpose)


@pytest.mark.usefixtures("app")
def test_a_signed_value_has_a_bound() -> None:
    with invalid():
        loads_signed("x" * (MAX_SIGNED + 1), purpose="state")
    with invalid("BadSignature"):
        loads_signed("x" * MAX_SIGNED, purpose="state")
    assert MAX_SIGNED == 4096
