"""Signed tokens: the rules for their header, and the verification of the signature.

The compact form is parsed here, exactly as in RFC 7515, because we decide what the header of a
token may have. joserfc does the cryptography.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from ..errors import TokenRejected
from .encoding import b64decode, parse_json_object
from .key_set import KeySet

MAX_TOKEN_LENGTH = 32 * 1024

# Members of a header that change how a token is read (RFC 7515 section 4.1.11, RFC 7797, RFC 7516).
# Members that name a key (jku, jwk, x5u, x5c) are allowed and never read: the key is the published
# one with the token's kid (RFC 8725 section 3.10).
_FORBIDDEN_HEADERS = ("crit", "b64", "enc", "zip")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """A JWT whose signature is verified.

    :param jws: the token as it came, for an ``id_token_hint``.
    :param key_issuer: the ``issuer`` of the key that verified it, where the key set has one.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    jws: str = field(repr=False)
    key_issuer: str | None = None


def verify_token(
    token: str,
    *,
    keys: KeySet,
    expected_algs: Sequence[str],
    expected_typs: Sequence[str | None],
    may_repeat: bool = False,
) -> VerifiedToken:
    """Verify the signature of a compact JWS, then read its claims.

    :param expected_algs: the allow-list; the token's header only chooses among them.
    :param expected_typs: the values of ``typ`` that this kind of token may have, in lower case and
        without ``application/``; None where it may be absent.
    :param may_repeat: whether a claim may be repeated if it is the same string each time.
    :raises TokenRejected: ``token_malformed``, ``token_header``, ``token_kind``,
        ``token_algorithm``, ``token_key``, ``token_signature``.

    RFC 7515 section 5.2, RFC 8725 section 3.
    """
    parts = _split(token)
    header = _parse_part(parts[0], "header")
    alg = _check_header(header, expected_algs, expected_typs)
    kid = header.get("kid")
    key = keys.select(kid=kid, alg=alg)
    try:
        signature = b64decode(parts[2])
    except ValueError as exc:
        raise TokenRejected("token_malformed", f"signature: {exc}") from exc
    signing_input = f"{parts[0]}.{parts[1]}".encode("ascii", "replace")
    try:
        genuine = JWSRegistry.algorithms[alg].verify(signing_input, signature, key)
    except (JoseError, ValueError) as exc:
        raise TokenRejected("token_signature", type(exc).__name__) from exc
    if not genuine:
        raise TokenRejected("token_signature", f"kid={kid!r:.80} alg={alg}")
    return VerifiedToken(
        header=header,
        claims=_parse_part(parts[1], "payload", may_repeat=may_repeat),
        jws=token,
        key_issuer=keys.issuer_of(key),
    )


def read_claims(token: str) -> Mapping[str, Any]:
    """Read the claims of a token that was verified before, and kept by us since."""
    return _parse_part(token.split(".")[1], "payload")


def read_unverified(token: str) -> Mapping[str, Any]:
    """Read the claims of a token that is not verified. Nothing of them may be believed.

    A claim may be repeated if it is the same string each time.

    :raises TokenRejected: ``token_malformed``.
    """
    return _parse_part(_split(token)[1], "payload", may_repeat=True)


def _split(token: str) -> list[str]:
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenRejected("token_malformed", f"longer than {MAX_TOKEN_LENGTH} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRejected("token_malformed", f"{len(parts)} parts where a JWS has 3")
    return parts


def _parse_part(part: str, name: str, *, may_repeat: bool = False) -> dict[str, Any]:
    try:
        return parse_json_object(b64decode(part), may_repeat=may_repeat)
    except ValueError as exc:
        raise TokenRejected("token_malformed", f"{name}: {exc}") from exc


def _check_header(
    header: Mapping[str, Any], expected_algs: Sequence[str], expected_typs: Sequence[str | None]
) -> str:
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise TokenRejected("token_header", f"the header has {name!r}")
    if not isinstance(header.get("kid", ""), str):
        raise TokenRejected("token_header", "kid is not a string")
    typ = header.get("typ")
    if "typ" in header:
        if not isinstance(typ, str):
            raise TokenRejected("token_header", "typ is not a string")
        typ = typ.lower().removeprefix("application/")
    if typ not in expected_typs:
        raise TokenRejected("token_kind", f"typ={typ!r:.80}")
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in expected_algs:
        raise TokenRejected("token_algorithm", f"alg={alg!r:.80}")
    return alg
