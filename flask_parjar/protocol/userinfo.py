"""What the userinfo endpoint says, believed only of the subject that the ID token proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import TokenRejected
from .client import ClientConfig
from .jws import verify_token
from .keys import KeySet

_TYPS = (None, "jwt", "userinfo+jwt")


def parse_userinfo(
    document: Mapping[str, Any] | None,
    body: bytes,
    *,
    client: ClientConfig,
    keys: KeySet,
    algs: Sequence[str],
    expected_subject: str,
) -> Mapping[str, Any]:
    """Read a userinfo answer: a JSON object, or a JWT with the provider's signature.

    :param document: the JSON object, None where the body is a JWT.
    :raises TokenRejected: ``userinfo_subject``, or what is wrong with the JWT.

    OpenID Connect Core 5.3.2 and 5.3.4.
    """
    claims = document
    if claims is None:
        token = verify_token(
            body.decode("ascii", "replace").strip(),
            keys=keys,
            expected_algs=algs,
            expected_typs=_TYPS,
        )
        claims = token.claims
        if claims.get("iss") != client.issuer:
            raise TokenRejected("token_issuer", "of the signed userinfo")
        audience = claims.get("aud")
        if client.client_id not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRejected("token_audience", "of the signed userinfo")
    if claims.get("sub") != expected_subject:
        raise TokenRejected("userinfo_subject")
    return claims
