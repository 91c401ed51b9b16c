"""Who is logged in after a renewal of the tokens: what may change, and what never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .identity import Identity, personal_claims

#: How and when a person signed in, and in which session of the provider.
_PROOFS = ("acr", "amr", "auth_time", "sid")
#: Says how long a session may last; each ID token may say it anew.
_EXPIRY = "session_expiry"
#: Claims that describe a person and are no rights (OpenID Connect Core 5.1).
_DESCRIPTION = frozenset(
    "name given_name family_name middle_name nickname preferred_username profile picture website "
    "email email_verified gender birthdate zoneinfo locale phone_number phone_number_verified "
    "address updated_at".split()
)
#: Claims of which the second speaks of the first.
_PAIRS = (("email", "email_verified"), ("phone_number", "phone_number_verified"))


def renew_identity(
    identity: Identity,
    *,
    scopes: tuple[str, ...],
    id_token: Mapping[str, Any],
    said: Mapping[str, Any] | None,
) -> Identity:
    """Let newer claims and scopes count. The account, and when the person signed in, stay.

    A claim that is not said any more is gone: it may be a right that was taken away. Only a
    standard claim that describes the person stays, because some providers leave these out later.

    ``acr`` and ``amr`` say how strong the sign-in of this session was. A renewal is no sign-in, so
    they never become stronger by one. If the newer ID token has another ``acr``, it is not known
    which of the two is the weaker one, so this session has neither of them any more.

    :param scopes: those of the renewed tokens.
    :param id_token: the claims of the renewed ID token; empty if there is none.
    :param said: what the provider says of the person now; None if nothing newer is known.

    OpenID Connect Core 12.2.
    """
    before = identity.claims
    claims = {**before} if said is None else _with_description(personal_claims(said), before)
    claims |= {name: before[name] for name in _PROOFS if name in before}
    if id_token.get("acr") not in (None, before.get("acr")):
        claims.pop("acr", None)
        claims.pop("amr", None)
    expiry = id_token.get(_EXPIRY)
    expiry = before.get(_EXPIRY) if expiry is None else expiry
    if expiry is not None:
        claims[_EXPIRY] = expiry
    return replace(identity, claims=claims, scopes=frozenset(scopes))


def _with_description(claims: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Add the standard claims of before that are not said any more."""
    said_anew = {name for pair in _PAIRS if claims.keys() & {*pair} for name in pair}
    kept = (before.keys() & _DESCRIPTION) - said_anew
    return {name: before[name] for name in kept} | claims
