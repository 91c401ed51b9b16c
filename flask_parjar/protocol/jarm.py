"""JARM: an authorization response that is a signed JWT, in the one parameter ``response``.

JWT Secured Authorization Response Mode for OAuth 2.0 (JARM).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ResponseRejected, TokenRejected
from .jwe import is_encrypted
from .jws import read_unverified
from .opener import RESPONSE, OpenWith, TokenOpener, number_claim
from .response import ResponseParameters

#: What is read of the JWT (JARM section 2.1, RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
_PARAMETERS = ("code", "state", "iss", "error", "error_description", "error_uri")


def peek_signed(received: ResponseParameters) -> ResponseParameters | None:
    """Read the parameters in a signed response without a key; None if it is encrypted.

    :raises ResponseRejected: ``response_unsigned``, ``response_malformed``.
    :raises TokenRejected: ``token_malformed``.
    """
    text = _response(received)
    return None if is_encrypted(text) else _parameters(read_unverified(text))


def unwrap_signed(
    received: ResponseParameters, open_with: OpenWith[ResponseParameters], now: int
) -> ResponseParameters:
    """Verify a signed response, and give the parameters in it. Those beside it are not read.

    :param now: seconds since 1970.
    :raises ResponseRejected: ``response_unsigned``, ``response_malformed``.
    :raises TokenRejected: with the code of the first check that fails.

    JARM sections 2.1 and 2.4.
    """
    text = _response(received)

    def verify(opener: TokenOpener) -> ResponseParameters:
        claims = opener.open(text, kind=RESPONSE).claims
        _verify_times(claims, now=now, skew=opener.agreement.clock_skew)
        return _parameters(claims)

    return open_with(verify)


def _response(received: ResponseParameters) -> str:
    text = received.values.get("response")
    if not text:
        found = ", ".join(sorted(received.values)) or "no parameters"
        raise ResponseRejected("response_unsigned", f"found: {found}")
    return text


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> None:
    """``exp`` must be there; ``nbf`` counts if it is there (RFC 7519 section 4.1.5)."""
    expires, begins = number_claim(claims, "exp"), number_claim(claims, "nbf", default=now)
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if begins > now + skew:
        raise TokenRejected("token_from_the_future", f"{begins - now:.0f} s ahead of our clock")


def _parameters(claims: Mapping[str, Any]) -> ResponseParameters:
    """The parameters among the claims. One that is null counts as missing, as in other tokens."""
    found = {name: claims[name] for name in _PARAMETERS if claims.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, str):
            raise ResponseRejected("response_malformed", f"{name} in the JWT is not a string")
    return ResponseParameters.parse(found.items())
