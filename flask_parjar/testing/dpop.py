"""DPoP: proofs are verified here, and tokens are bound to their keys. RFC 9449. No HTTP."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from .answers import DPoPBindingDraft, OAuth2Error, refusal
from .jws import ASYMMETRIC, SignedText, Unproven, encode, instant, parse, verify
from .state import AuthorizationRequest, Grant, ProviderState

PROOF_SECONDS = 60
MAX_JTI_LENGTH = 256
NONCE_WANTED = "use_dpop_nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedProof:
    """What came with a request, to be verified.

    :param text: the ``DPoP`` header. Several are one with commas, which no proof has
    :param url: that of the endpoint
    :param access_token: the token of a request to userinfo or an API; None at the other endpoints
    :param demanded: whether a request without a proof is refused
    :param at_provider: whether the provider got it, whose nonce it needs; an API has its own
    """

    text: str | None = field(repr=False)
    method: str
    url: str
    access_token: str | None = field(default=None, repr=False)
    demanded: bool = False
    at_provider: bool = True


def verify_proof(received: ReceivedProof, *, provider: ProviderState) -> str | None:
    """Verify the proof of a request; its ``jti`` is used up.

    :returns: the thumbprint of its key; None if there is no proof
    :raises OAuth2Error: ``invalid_dpop_proof``; ``use_dpop_nonce``

    RFC 9449 sections 4.3, 8 and 9
    """
    if received.text is None:
        if received.demanded:
            raise _invalid("it is missing, and demanded of every client")
        return None
    try:
        signed = parse(received.text)
        key = _verify_signature(signed, provider=provider)
        _check_request(signed.claims, received)
        _check_time(signed.claims, provider=provider)
    except Unproven as exc:
        raise _invalid(str(exc)) from exc
    if received.at_provider:
        _check_nonce(signed.claims, of_api=received.access_token is not None, provider=provider)
    jkt = key.thumbprint()
    _use_up(signed.claims, jkt, provider=provider)
    return jkt


def _verify_signature(signed: SignedText, *, provider: ProviderState) -> Key:
    header, jwk = signed.header, signed.header.get("jwk")
    if header.get("typ") != "dpop+jwt":
        raise Unproven(f"typ is {header.get('typ')!r}, expected 'dpop+jwt'")
    if not isinstance(jwk, dict):
        raise Unproven("the header has no jwk")
    try:
        key: Key = import_key(jwk)
    except (JoseError, ValueError, KeyError, TypeError) as exc:
        raise Unproven(f"the jwk cannot be read: {exc}") from exc
    if key.key_type == "oct" or key.is_private:
        raise Unproven("the jwk is not a public key")
    offered = provider.offered("dpop_signing_alg_values_supported")
    rest = {name: value for name, value in header.items() if name != "jwk"}
    verify(
        replace(signed, header=rest),
        find_key=lambda kid: key,
        algorithms=[alg for alg in offered or ASYMMETRIC if alg in ASYMMETRIC],
    )
    return key


def _check_request(claims: Mapping[str, object], received: ReceivedProof) -> None:
    if claims.get("htm") != received.method:
        raise Unproven(f"htm is {claims.get('htm')!r}, expected {received.method!r}")
    htu = claims.get("htu")
    if not isinstance(htu, str) or _without_query(htu) != _without_query(received.url):
        raise Unproven(f"htu is {htu!r}, expected {received.url!r}")
    if received.access_token is None:
        return
    digest = hashlib.sha256(received.access_token.encode("ascii", "replace")).digest()
    ath = claims.get("ath")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), encode(digest).encode()):
        raise Unproven("ath is not the hash of the access token")


def _without_query(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower(), parts.path or "/"


def _check_time(claims: Mapping[str, object], *, provider: ProviderState) -> None:
    now, issued = provider.now(), instant(claims, "iat")
    if not now - PROOF_SECONDS <= issued <= now + provider.clock_skew:
        raise Unproven(f"iat is {issued - now:.0f} s from now")
    if "exp" in claims and instant(claims, "exp") <= now:
        raise Unproven("exp is over")
    for name in provider.demands.dpop_claims:
        if name not in claims:
            raise Unproven(f"{name} is missing")


def _check_nonce(claims: Mapping[str, object], *, of_api: bool, provider: ProviderState) -> None:
    nonces = provider.dpop_nonces
    if provider.demands.dpop_nonces and claims.get("nonce") != nonces.current(of_api=of_api):
        raise refusal(OAuth2Error, "a proof needs the nonce of DPoP-Nonce", code=NONCE_WANTED)


def _use_up(claims: Mapping[str, object], jkt: str, *, provider: ProviderState) -> None:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise _invalid(f"jti is {jti!r}, expected a string of up to {MAX_JTI_LENGTH} characters")
    until = provider.now() + 2 * PROOF_SECONDS
    if not provider.memory.seen_jti.add(f"dpop\n{jkt}\n{jti}", True, until=until):
        raise _invalid("this proof was used before")


def bind_request(request: AuthorizationRequest, jkt: str | None) -> AuthorizationRequest:
    """Bind the code to the key of the proof that came with a pushed request.

    :raises OAuth2Error: ``invalid_dpop_proof``: ``dpop_jkt`` names another key

    RFC 9449 section 10.1
    """
    if jkt is None:
        return request
    if request.dpop_jkt not in (None, jkt):
        raise _invalid("dpop_jkt is not the thumbprint of the key of the proof")
    return replace(request, dpop_jkt=jkt)


def check_token_request(grant: Grant, jkt: str | None) -> None:
    """Check that the proof of a token request has the right key, before anything is used up.

    A refresh token is bound too, for every client. (RFC 9449 section 5 asks this for public
    clients only.)

    :raises OAuth2Error: ``invalid_dpop_proof``

    RFC 9449 sections 5, 5.2 and 10
    """
    if jkt is None and grant.request.client.dpop_bound_access_tokens:
        raise _invalid("the tokens of this client are bound: a proof is missing")
    expected = grant.jkt or grant.request.dpop_jkt
    if expected not in (None, jkt):
        raise _invalid("the proof has another key than the login began with")


def bound(grant: Grant, jkt: str | None, *, provider: ProviderState) -> Grant:
    """The grant of tokens that are bound to a key; active faults change the key.

    RFC 9449 section 6
    """
    draft = DPoPBindingDraft(jkt=jkt)
    provider.faults.act("dpop_binding", draft)
    return replace(grant, jkt=draft.jkt)


def _invalid(reason: str) -> OAuth2Error:
    return refusal(OAuth2Error, f"DPoP proof: {reason}", code="invalid_dpop_proof")
