"""What logs, signals and pages may show of a value that can be secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .encoding import b64decode, parse_json_object

#: Members that are not secret in any message of the protocol; every other string is cut short.
_SHOWN = frozenset(
    "client_id client_assertion_type grant_type response_type response_mode redirect_uri scope "
    "token_type token_type_hint expires_in error error_description iss aud sub iat nbf exp "
    "auth_time azp acr amr "
    "code_challenge_method prompt max_age acr_values ui_locales resource issuer "
    "kid kty crv alg use htm htu".split()
)
_BOUND_TO_A_LOGIN = (
    "state",
    "nonce",
    "code_challenge",
    "jti",
    "at_hash",
    "ath",
    "c_hash",
    "s_hash",
    "sid",
    "id_token_hint",
    "login_hint_token",
)
_LONG = 32


def cut_short(value: str) -> str:
    """Leave enough of a secret to recognise it, and not enough to use it."""
    if len(value) < _LONG:
        return f"… ({len(value)} characters)"
    return f"{value[:8]}… ({len(value)} characters)"


def redact_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a form or a JSON answer, with every string cut short that is not known to be plain."""
    return {
        name: cut_short(value)
        if isinstance(value, str) and name not in _SHOWN
        else _redact_member(name, value)
        for name, value in message.items()
    }


def _redact_object(members: Mapping[str, Any]) -> dict[str, Any]:
    """Cut long strings inside an object; short ones are words and not secrets."""
    return {name: _redact_member(name, value) for name, value in members.items()}


def _redact_member(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _redact_object(value)
    if isinstance(value, list | tuple):
        return [_redact_member(name, each) for each in value]
    if isinstance(value, str) and len(value) >= _LONG and name not in _SHOWN:
        return cut_short(value)
    return value


def redact_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the claims of a request object or an ID token without what binds them to one login."""
    return {
        name: cut_short(str(value)) if name in _BOUND_TO_A_LOGIN else value
        for name, value in claims.items()
    }


def redact_proof(jws: str) -> dict[str, Any]:
    """The ``header`` and the ``claims`` of a proof that we signed, without its signature."""
    header, claims, _ = jws.split(".")
    return {
        "header": _redact_object(parse_json_object(b64decode(header))),
        "claims": redact_claims(parse_json_object(b64decode(claims))),
    }
