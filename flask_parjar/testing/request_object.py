"""Request objects (JAR) are verified here; ``received_request.py`` reads what they ask for.

The checks of RFC 9101 and FAPI 2.0 Message Signing. No HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from .clients import Client
from .jwe import decrypt, is_encrypted
from .jws import ASYMMETRIC, Unproven, instant, parse, verify
from .state import ProviderState

MAX_AGE_SECONDS = 3600
MAX_JTI_LENGTH = 256
# RFC 9101 section 4 forbids the first two; section 10.8 the third, so that a request object is no
# client assertion too.
_NEVER_INSIDE = ("request", "request_uri", "sub", "client_secret", "client_assertion")


def verify_request_object(
    text: str, *, client: Client, provider: ProviderState
) -> Mapping[str, object]:
    """Verify a request object and return its claims.

    Its ``jti`` is not used up yet: see `use_up_jti`.

    :raises Unproven: a check fails

    RFC 9101 sections 4 and 6, RFC 9126 section 3, FAPI 2.0 Message Signing section 5.3
    """
    signed = _decrypted(text, client=client, provider=provider)
    claims = _verify_signature(signed, client=client, provider=provider)
    _check_parties(claims, client=client, provider=provider)
    _check_times(claims, provider=provider)
    return claims


def _decrypted(text: str, *, client: Client, provider: ProviderState) -> str:
    """What is inside an encrypted request object. A client that encrypts does it always.

    OpenID Connect Core 6.1, Dynamic Client Registration section 2
    """
    registered = client.request_object_encryption
    if not is_encrypted(text):
        if registered is not None or provider.demands.request_encrypted:
            raise Unproven("it is not encrypted, as it must be for this client")
        return text
    name = "request_object_encryption_{}_values_supported"
    offered = [provider.offered(name.format(what)) for what in ("alg", "enc")]
    algs, encs = offered if registered is None else ([each] for each in registered)
    return decrypt(text, find_key=provider.keys.decryption_key, algs=algs, encs=encs)


def _verify_signature(
    text: str, *, client: Client, provider: ProviderState
) -> Mapping[str, object]:
    offered = provider.offered(
        "request_object_signing_alg_values_supported"
        if "request_object_signing_alg_values_supported" in provider.metadata
        # Without a list of their own, request objects have the algorithms of client assertions.
        else "token_endpoint_auth_signing_alg_values_supported"
    )
    signed = parse(text)
    # RFC 9101 section 10.8, RFC 8725 section 3.11: no other kind of JWT is a request object.
    if signed.header.get("typ") != "oauth-authz-req+jwt":
        raise Unproven(f"typ is {signed.header.get('typ')!r}, expected 'oauth-authz-req+jwt'")
    return verify(
        signed,
        find_key=client.keys.find,
        algorithms=[alg for alg in offered if alg in ASYMMETRIC],
        named_by=provider.demands.key_headers,
    )


def _check_parties(
    claims: Mapping[str, object], *, client: Client, provider: ProviderState
) -> None:
    for name in ("iss", "client_id"):
        if claims.get(name) != client.client_id:
            raise Unproven(f"{name} is {claims.get(name)!r}, expected {client.client_id!r}")
    demanded, called = provider.demands.request_audience, provider.url("authorization_endpoint")
    audiences, what = [provider.issuer], "the issuer"
    if demanded is not None:
        audiences, what = provider.audiences(demanded, called=called), "the audience"
    if claims.get("aud") not in audiences:
        expected = " or ".join(map(repr, audiences))
        raise Unproven(f"aud is {claims.get('aud')!r}, expected {what} as a string: {expected}")
    for name in _NEVER_INSIDE:
        if name in claims:
            raise Unproven(f"{name} must not be inside a request object")


def _check_times(claims: Mapping[str, object], *, provider: ProviderState) -> None:
    now = provider.now()
    issued, not_before, expires = (instant(claims, name) for name in ("iat", "nbf", "exp"))
    if expires <= now:
        raise Unproven(f"exp was {now - expires:.0f} s ago")
    for name, moment in (("iat", issued), ("nbf", not_before)):
        if moment > now + provider.clock_skew:
            raise Unproven(f"{name} is {moment - now:.0f} s in the future")
    if not_before < now - MAX_AGE_SECONDS:
        raise Unproven(f"nbf was more than {MAX_AGE_SECONDS} s ago")
    if expires > now + MAX_AGE_SECONDS or expires > not_before + MAX_AGE_SECONDS:
        raise Unproven(f"exp is more than {MAX_AGE_SECONDS} s after nbf or now")


def use_up_jti(claims: Mapping[str, object], *, client: Client, provider: ProviderState) -> None:
    """Remember the ``jti`` of a request object that is about to be accepted.

    :raises Unproven: it is missing, or was used before
    """
    jti, expires = claims.get("jti"), instant(claims, "exp")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise Unproven(f"jti is {jti!r}, expected a string of up to {MAX_JTI_LENGTH} characters")
    if not provider.memory.seen_jti.add(f"request\n{client.client_id}\n{jti}", True, until=expires):
        raise Unproven("this jti was used before")
