"""Compact JWS, parsed, verified and encoded strictly (RFC 7515, RFC 8725).

joserfc computes and checks the signatures. The encoding is done here: the faults need tokens that
no library would write, and the checks must refuse what a lenient parser accepts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

MAX_LENGTH = 65_536
#: The algorithms that a client may sign with, apart from HMAC.
ASYMMETRIC = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
SYMMETRIC = ("HS256", "HS384", "HS512")
_MAX_TIME = 1e11  # the year 5138; much larger numbers overflow
# A key in the message proves nothing. An extension may change what is signed.
_FORBIDDEN_HEADERS = ("crit", "b64", "jku", "jwk", "x5u", "x5c")


class Unproven(ValueError):
    """The JWT is not valid. The message says why, and does not contain the JWT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedText:
    """A compact JWS that was parsed and not yet verified."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signing_input: bytes
    signature: bytes


def parse(text: str) -> SignedText:
    """Parse a compact JWS whose payload is a JSON object.

    :raises Unproven: anything but three base64url segments, of which two hold a JSON object

    RFC 7515 section 7.1
    """
    if len(text) > MAX_LENGTH:
        raise Unproven(f"longer than {MAX_LENGTH} characters")
    segments = text.split(".")
    if len(segments) != 3:
        raise Unproven(f"a compact JWS has three parts, this has {len(segments)}")
    header, claims = (_json_object(_decode(segment)) for segment in segments[:2])
    return SignedText(
        header=header,
        claims=claims,
        signing_input=f"{segments[0]}.{segments[1]}".encode("ascii"),
        signature=_decode(segments[2]),
    )


def verify(
    signed: SignedText,
    *,
    find_key: Callable[[str | None], Key | None],
    algorithms: Collection[str],
    named_by: Collection[str] = (),
) -> Mapping[str, object]:
    """Verify the signature and return the claims.

    :param find_key: returns the key with that ``kid``, or None
    :param algorithms: those that are allowed, whatever the header says
    :param named_by: members of the header that must be equal to those of the key
    :raises Unproven: the algorithm, a header, the key or the signature is not accepted

    RFC 7515 section 5.2, RFC 8725 sections 3.1 and 3.2
    """
    alg, kid = signed.header.get("alg"), signed.header.get("kid")
    if not isinstance(alg, str) or alg not in algorithms:
        raise Unproven(f"alg {alg!r} is not one of {', '.join(sorted(algorithms))}")
    for name in _FORBIDDEN_HEADERS:
        if name in signed.header and name not in named_by:
            raise Unproven(f"the header must not carry {name}")
    if kid is not None and not isinstance(kid, str):
        raise Unproven("kid is not a string")
    key = find_key(kid)
    if key is None:
        raise Unproven("no kid in the header" if kid is None else f"kid {kid!r} is not known")
    for name in named_by:
        if name not in signed.header or signed.header[name] != key.get(name):
            raise Unproven(f"{name} in the header is not that of the key")
    model = JWSRegistry.algorithms[alg]
    try:
        model.check_key(key)
        genuine = model.verify(signed.signing_input, signed.signature, key)
    except (JoseError, ValueError) as exc:
        raise Unproven(f"the key {kid!r} does not go with {alg}: {exc}") from exc
    if not genuine:
        raise Unproven("the signature does not fit")
    return signed.claims


def instant(claims: Mapping[str, object], name: str) -> float:
    """A claim that is a time, in seconds since 1970.

    :raises Unproven: it is missing, not a number, not positive, or too large

    RFC 7519 section 2, NumericDate
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unproven(f"{name} is {value!r}, expected a number of seconds")
    if not 0 < value < _MAX_TIME:
        raise Unproven(f"{name} is not a time")
    return value


def encode(octets: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def encode_json(value: Mapping[str, object]) -> str:
    """A JSON object as base64url."""
    return encode(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def decode_json(segment: str) -> dict[str, object]:
    """A JSON object from base64url.

    :raises Unproven: it is not one
    """
    return _json_object(_decode(segment))


def _decode(segment: str) -> bytes:
    try:
        octets = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as exc:
        raise Unproven("not base64url") from exc
    if encode(octets) != segment:  # the decoder ignores foreign characters
        raise Unproven("not base64url in its canonical form")
    return octets


def _json_object(octets: bytes) -> dict[str, object]:
    try:
        value = json.loads(octets, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise Unproven(f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise Unproven("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
