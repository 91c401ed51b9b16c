"""Logins under way, kept in ``flask.session``: started, popped once, bounded, timed.

A transaction has two halves. The secret half (seed, provider, issuer, redirect_uri, time) lies in
the browser's session. The other half travels as ``state``: a slip, signed and timed, that names the
session's half and says where the visitor wanted to go. The slip alone opens nothing; but when the
session's half is gone, it is enough to begin again, and its signature tells a lost login from a
forged one.
"""

from __future__ import annotations

import hmac
from typing import Any, NamedTuple, TypeGuard

from flask import session

from .errors import ResponseRejected
from .protocol.authorization import LoginOptions
from .protocol.client import ClientConfig
from .protocol.encoding import is_number
from .protocol.transaction import Transaction, derive, new_seed
from .protocol.urls import parse_return_path
from .slips import read_slip, sign_slip
from .state import current_state

SESSION_KEY = "_parjar_logins"
MAX_WAITING = 5


class StateSlip(NamedTuple):
    """What a ``state`` says once its signature is proved.

    :param may_start_again: whether a login that is lost may be begun anew by itself: not where it
        stands in for a lost one already, and not where it asked for more than ``/login`` would.
    """

    id: str
    provider: str
    next: str
    may_start_again: bool
    signed_at: int


def start_transaction(
    client: ClientConfig,
    options: LoginOptions,
    *,
    redirect_uri: str,
    next: str,
    may_start_again: bool,
    now: int,
) -> Transaction:
    """Make the secrets of one login. Nothing is kept yet: see `put_transaction`."""
    seed = new_seed()
    slip = [derive(seed, "state"), client.name, next, may_start_again]
    return Transaction(
        seed=seed,
        state=sign_slip(slip, purpose="state"),
        provider=client.name,
        issuer=client.issuer,
        redirect_uri=redirect_uri,
        started_at=now,
        next=next,
        scopes=client.scopes if options.scopes is None else tuple(options.scopes),
        max_age=options.max_age,
        acr_values=tuple(options.acr_values) if options.essential_acr else (),
    )


def put_transaction(transaction: Transaction, client: ClientConfig) -> None:
    """Keep a transaction in this browser's session; of more than `MAX_WAITING` the oldest goes."""
    entry: list[Any] = [
        transaction.seed,
        transaction.started_at,
        transaction.provider,
        transaction.issuer,
        transaction.redirect_uri,
    ]
    asked = {
        "scopes": transaction.scopes if transaction.scopes != client.scopes else None,
        "max_age": transaction.max_age,
        "acr_values": transaction.acr_values or None,
    }
    if any(value is not None for value in asked.values()):
        entry.append({name: value for name, value in asked.items() if value is not None})
    keep_waiting([*waiting(), entry][-MAX_WAITING:])


def read_state(state: str) -> StateSlip:
    """Prove that a ``state`` is ours, whatever browser it was made for.

    :raises ResponseRejected: ``state_forged``.
    """
    try:
        slip, signed_at = read_slip(state, purpose="state")
        identifier, provider, next_path, may_start_again = slip
        if not _are_words([identifier, provider]) or parse_return_path(next_path) is None:
            raise ValueError("not a slip of ours")
    except (ValueError, TypeError) as exc:
        raise ResponseRejected("state_forged", str(exc)) from exc
    return StateSlip(
        id=identifier,
        provider=provider,
        next=next_path,
        may_start_again=may_start_again is True,
        signed_at=signed_at,
    )


def is_expired(slip: StateSlip, *, now: int) -> bool:
    """Say whether a login took longer than PARJAR_TRANSACTION_LIFETIME allows."""
    return now - slip.signed_at > current_state().settings.transaction_lifetime


def pop_transaction(slip: StateSlip, client: ClientConfig, *, now: int) -> Transaction | None:
    """Take the transaction that a slip names out of this browser's session, for good.

    :returns: None where this browser has none: lost, used, too old, or another browser's.
    :raises ResponseRejected: ``state_mismatch``, at another provider's callback.
    """
    if slip.provider != client.name:
        raise ResponseRejected("state_mismatch", f"{slip.provider!r} at {client.name!r}")
    entries = waiting()
    for position, entry in enumerate(entries):
        if hmac.compare_digest(derive(entry[0], "state"), slip.id):
            keep_waiting(entries[:position] + entries[position + 1 :])
            break
    else:
        return None
    seed, started_at, provider, issuer, redirect_uri = entry[:5]
    too_old = now - started_at > current_state().settings.transaction_lifetime
    if too_old or (provider, issuer) != (slip.provider, client.issuer):
        return None
    asked = entry[5] if len(entry) > 5 else {}
    return Transaction(
        seed=seed,
        state="",
        provider=provider,
        issuer=issuer,
        redirect_uri=redirect_uri,
        started_at=started_at,
        next=slip.next,
        scopes=tuple(asked.get("scopes", client.scopes)),
        max_age=asked.get("max_age"),
        acr_values=tuple(asked.get("acr_values", ())),
    )


def waiting() -> list[list[Any]]:
    """The session's halves of the logins under way in this browser, oldest first.

    What is not of our shape counts for nothing: the session is signed, but an older version of this
    library, or the app itself, may have signed something else under our name.
    """
    entries = session.get(SESSION_KEY)
    return [entry for entry in entries if _is_entry(entry)] if _is_list(entries) else []


def _is_entry(entry: Any) -> bool:
    if not _is_list(entry) or len(entry) not in (5, 6):
        return False
    seed, started_at, *words = entry[:5]
    asked = entry[5] if len(entry) == 6 else {}
    return (
        _are_words([seed, *words])
        and seed.isascii()
        and is_number(started_at)
        and isinstance(asked, dict)
        and all(_are_words(asked.get(name, [])) for name in ("scopes", "acr_values"))
        and is_number(asked.get("max_age", 0))
    )


def _is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _are_words(value: Any) -> bool:
    return _is_list(value) and all(isinstance(word, str) for word in value)


def keep_waiting(entries: list[list[Any]]) -> None:
    """Put the logins under way into the session, which has no trace of them when there are none."""
    if entries:
        session[SESSION_KEY] = entries
    else:
        session.pop(SESSION_KEY, None)
