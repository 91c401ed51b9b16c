"""Our keys over time, in one JWK Set: the one that is used, the next one, and those that were.

A provider may take a day to fetch our keys again. So a key is published a while before it signs,
and a while after it has signed. Keys that decrypt have the same states: the next one is known to
all processes before it is published, and one that was published decrypts for a while longer.

The state and its beginning are members of each JWK with names of our own (RFC 7517 section 4). The
active key is the first one of the set, because the first private key is the one that signs, and the
first key that fits is the one that is published for encryption.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from .keys import PUBLISHED_MEMBERS, import_keys

ACTIVE, NEXT, RETIRED = "active", "next", "retired"
SIGNATURES, ENCRYPTION = "sig", "enc"

#: What can be made, by the use of the key.
KINDS: Mapping[str, Sequence[str]] = {
    SIGNATURES: ("P-256", "RSA", "Ed25519"),
    ENCRYPTION: ("P-256", "RSA", "X25519"),
}

_STATE, _SINCE = "parjar_state", "parjar_since"
_RSA_BITS = 3072  # 128 bits of security, as the curves have (NIST SP 800-57 part 1, table 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """One key of a set, without its secrets.

    :param kind: its curve, or ``RSA``.
    :param since: when it got its state, in seconds since 1970.
    """

    kid: str
    kind: str
    use: str
    state: str
    since: int


def new_key(kind: str, use: str) -> dict[str, Any]:
    """Make a private key as a JWK.

    :param kind: one of `KINDS` for this use.
    """
    key: Key
    if kind == "RSA":
        key = RSAKey.generate_key(_RSA_BITS)
    elif kind == "Ed25519":
        key = OKPKey.generate_key("Ed25519")
    elif kind == "X25519":
        key = OKPKey.generate_key("X25519")
    else:
        key = ECKey.generate_key(kind)
    return _private_jwk(key, use)


def new_set(active: Mapping[str, Any], *, kind: str, now: int) -> dict[str, Any]:
    """Make a set of an active key, and of a next one that is published from now on.

    :param active: a private JWK of `new_key` or `imported_key`.
    :param kind: of the next key.
    """
    following = new_key(kind, active["use"])
    return {"keys": [_in_state(active, ACTIVE, now), _in_state(following, NEXT, now)]}


def imported_key(text: str, use: str) -> dict[str, Any]:
    """Read the first private key of a PEM, a JWK or a JWK Set.

    :raises ValueError: there is none.
    """
    private = next((key for key in import_keys(text) if key.is_private), None)
    if private is None:
        raise ValueError("there is no private key in it")
    if private.get("use") not in (None, use):
        raise ValueError(f"its use is {private.get('use')!r}, not {use!r}")
    return _private_jwk(private, use)


def parse_set(text: str) -> dict[str, Any]:
    """Read a set that was made here.

    :raises ValueError: it is none.
    """
    if not text.lstrip().startswith("{"):
        raise ValueError("it is no JWK Set")
    import_keys(text)  # that all keys can be read
    jwks: dict[str, Any] = json.loads(text)
    keys = jwks.get("keys", [])
    if [jwk.get(_STATE) for jwk in keys].count(ACTIVE) != 1 or not all(_is_ours(k) for k in keys):
        raise ValueError("its keys have no states")
    return jwks


def _is_ours(jwk: Mapping[str, Any]) -> bool:
    return jwk.get(_STATE) in (ACTIVE, NEXT, RETIRED) and isinstance(jwk.get(_SINCE), int)


def states(jwks: Mapping[str, Any]) -> list[KeyState]:
    """The keys of a set, in order."""
    return [
        KeyState(
            kid=str(jwk.get("kid")),
            kind=_kind(jwk),
            use=str(jwk.get("use")),
            state=jwk[_STATE],
            since=jwk[_SINCE],
        )
        for jwk in jwks["keys"]
    ]


def rotate(jwks: Mapping[str, Any], *, kind: str | None, after: int, now: int) -> dict[str, Any]:
    """Use the next key from now on, retire the active one, and make a new next one.

    A retired key that signed keeps its public half alone: nothing needs the other any more.

    :param kind: of the new next key; None for the kind of the one that becomes active.
    :param after: seconds for which the next key must have been there.
    :raises ValueError: it has not, or there is none.
    """
    by_state: dict[str, list[dict[str, Any]]] = {ACTIVE: [], NEXT: [], RETIRED: []}
    for jwk in jwks["keys"]:
        by_state[jwk[_STATE]].append(jwk)
    if not by_state[NEXT]:
        raise ValueError("there is no next key in it")
    following = by_state[NEXT][0]
    wait = following[_SINCE] + after - now
    if wait > 0:
        raise ValueError(
            f"the next key is there since {now - following[_SINCE]} s, and providers may not have "
            f"it yet: wait {wait} s"
        )
    (used,) = by_state[ACTIVE]
    retired = used if used["use"] == ENCRYPTION else _public_jwk(used)
    newest = new_key(kind or _kind(following), following["use"])
    return {
        "keys": [
            _in_state(following, ACTIVE, now),
            _in_state(newest, NEXT, now),
            _in_state(retired, RETIRED, now),
            *by_state[RETIRED],
        ]
    }


def prune(jwks: Mapping[str, Any], *, older_than: int, now: int) -> dict[str, Any]:
    """Leave out the keys that were retired longer ago than so many seconds."""
    return {
        "keys": [
            jwk for jwk in jwks["keys"] if jwk[_STATE] != RETIRED or jwk[_SINCE] + older_than > now
        ]
    }


def public_set(text: str) -> dict[str, Any]:
    """The public halves of the keys of a PEM, a JWK or a JWK Set (RFC 7517 section 5).

    Of keys that decrypt, only the active one: a provider encrypts for any key that it is shown.

    :raises ValueError: it cannot be read.
    """
    private = [key.as_dict() for key in import_keys(text)]
    shown = [
        jwk for jwk in private if jwk.get("use") != ENCRYPTION or jwk.get(_STATE, ACTIVE) == ACTIVE
    ]
    return {"keys": [_public_jwk(jwk) for jwk in shown]}


def public_pem(text: str) -> str:
    """The public half of the first key, as PEM (RFC 7468 section 13).

    :raises ValueError: it cannot be read.
    """
    return _pem(import_keys(text)[0], private=False)


def private_pem(jwk: Mapping[str, Any]) -> str:
    """A private key as PEM (PKCS#8)."""
    return _pem(import_keys(json.dumps(jwk))[0], private=True)


def _pem(key: Any, *, private: bool) -> str:
    return str(key.as_pem(private=private).decode())


def _private_jwk(key: Key, use: str) -> dict[str, Any]:
    key.ensure_kid()
    return {**key.as_dict(private=True), "use": use}


def _public_jwk(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in jwk if name in PUBLISHED_MEMBERS or name == "use"}


def _in_state(jwk: Mapping[str, Any], state: str, now: int) -> dict[str, Any]:
    return {**jwk, _STATE: state, _SINCE: now}


def _kind(jwk: Mapping[str, Any]) -> str:
    return str(jwk.get("crv") or jwk.get("kty"))
