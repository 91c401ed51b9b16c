"""Tokens: issued for a code or a refresh token, and revoked. The ID token is made here too."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from .answers import (
    IDTokenDraft,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
    refusal,
)
from .clients import Client
from .documents import ID_TOKEN_ALGORITHMS
from .dpop import bound, check_token_request
from .encryption import encrypt_for_client
from .jws import encode
from .mutual_tls import bound_to_certificate, check_presented
from .state import Grant, ProviderState, fresh_secret

REFRESH_TOKEN_SECONDS = 86_400
ID_TOKEN_SECONDS = 300
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def exchange(
    form: Mapping[str, str],
    *,
    resources: list[str],
    client: Client,
    jkt: str | None,
    x5t: str | None = None,
    provider: ProviderState,
) -> dict[str, object]:
    """The members of the token response. A refresh token is valid until :func:`use_up`.

    :param form: the form of a client that authenticated
    :param resources: all values of ``resource`` in it
    :param jkt: the thumbprint of the key of the DPoP proof; None if there was none
    :param x5t: that of the client certificate; None if there was none
    :raises OAuth2Error: the grant is not valid, or does not reach to a resource

    RFC 6749 sections 4.1.3 and 6, RFC 8707 section 2.2
    """
    match form.get("grant_type"):
        case "authorization_code":
            check_presented(client, former=None, x5t=x5t)
            _check_key(provider.memory.codes.get(form.get("code", "")), jkt)
            grant = _redeem_code(form, client=client, provider=provider)
            _check_resources(resources, grant)
            grant = bound(grant, jkt, provider=provider)
            grant = bound_to_certificate(grant, x5t, provider=provider)
            return _issue(grant, refreshed=False, provider=provider)
        case "refresh_token":
            grant = _redeem_refresh_token(form, client=client, provider=provider)
            check_presented(client, former=grant, x5t=x5t)
            _check_key(grant, jkt)
            _check_resources(resources, grant)
            grant = bound(grant, jkt, provider=provider)
            grant = bound_to_certificate(grant, x5t, provider=provider)
            return _issue(grant, refreshed=True, provider=provider)
        case other:
            raise refusal(
                OAuth2Error,
                f"grant_type {other!r} is not known here",
                code="unsupported_grant_type",
            )


def check_key_of_the_push(
    form: Mapping[str, str], *, kid: str | None, provider: ProviderState
) -> None:
    """Check that the client still signs with the key that authenticated its push.

    :param kid: that of the client assertion in the form
    :raises OAuth2Error: ``invalid_grant``; the login has ended

    AT Protocol OAuth, "Confidential Client Authentication"
    """
    memory = provider.memory
    code, refresh_token = form.get("code", ""), form.get("refresh_token", "")
    grant = memory.codes.get(code) or memory.refresh_tokens.get(refresh_token)
    if grant is not None and grant.request.assertion_kid != kid:
        memory.codes.pop(code)
        _revoke_all(grant, provider=provider)
        raise refusal(InvalidGrantError, "another key has authenticated the push: the login ends")


def _check_key(grant: Grant | None, jkt: str | None) -> None:
    if grant is not None:
        check_token_request(grant, jkt)


def use_up(refresh_token: str, *, client: Client, provider: ProviderState) -> None:
    """End a refresh token, because its successor is about to be sent.

    :raises OAuth2Error: ``invalid_grant``: another request has just used it

    RFC 9700 section 4.14.2
    """
    grant = provider.memory.refresh_tokens.pop(refresh_token)
    _use_once(refresh_token, grant, client=client, provider=provider)


def token_to_revoke(form: Mapping[str, str], *, client: Client, provider: ProviderState) -> str:
    """The token that a client revokes. ``token_type_hint`` is not needed to find it here.

    :param form: the form of a client that authenticated
    :raises OAuth2Error: there is no token, or it was issued to another client

    RFC 7009 section 2.1
    """
    token, memory = form.get("token"), provider.memory
    if not token:
        raise refusal(InvalidRequestError, "token is missing")
    grant = memory.refresh_tokens.get(token) or memory.access_tokens.get(token)
    if grant is not None and grant.request.client.client_id != client.client_id:
        raise refusal(InvalidGrantError, "issued to another client")
    return token


def revoke(token: str, *, provider: ProviderState) -> None:
    """Revoke an access token alone, or a refresh token with all tokens of the same login.

    RFC 7009 section 2.1
    """
    provider.memory.access_tokens.pop(token)
    if grant := provider.memory.refresh_tokens.pop(token):
        _revoke_all(grant, provider=provider)


def id_token_alg(client: Client, *, provider: ProviderState) -> str:
    """The algorithm that signs for a client: the registered one, or the first that is offered.

    OpenID Connect Dynamic Client Registration section 2
    """
    if client.id_token_signed_response_alg is not None:
        return client.id_token_signed_response_alg
    offered = provider.offered("id_token_signing_alg_values_supported")
    return next((alg for alg in offered if alg in ID_TOKEN_ALGORITHMS), ID_TOKEN_ALGORITHMS[0])


def signed_userinfo(
    claims: Mapping[str, object], *, client: Client, provider: ProviderState
) -> str:
    """Userinfo as a signed JWT, encrypted if the client registered that.

    OpenID Connect Core section 5.3.2
    """
    alg = client.userinfo_signed_response_alg or id_token_alg(client, provider=provider)
    key = provider.keys.signing_key(alg)
    draft = IDTokenDraft(
        header={"typ": "JWT", "alg": alg, "kid": key.kid},
        claims={**claims, "iss": provider.issuer_for(claims["sub"]), "aud": client.client_id},
        key=key,
        now=int(provider.now()),
        client=client,
    )
    return encrypt_for_client(
        str(draft.finished()),
        client.userinfo_encryption,
        kind="userinfo",
        client=client,
        provider=provider,
    )


def _check_resources(resources: list[str], grant: Grant) -> None:
    if foreign := [each for each in resources if each not in grant.request.resources]:
        raise refusal(
            OAuth2Error, f"not asked for before: {' '.join(foreign)}", code="invalid_target"
        )


def _redeem_code(form: Mapping[str, str], *, client: Client, provider: ProviderState) -> Grant:
    code, verifier = form.get("code"), form.get("code_verifier")
    if not code or (not verifier and provider.demands.takes("code_challenge")):
        raise refusal(InvalidRequestError, "code and code_verifier are both needed")
    grant = _use_once(code, provider.memory.codes.pop(code), client=client, provider=provider)
    if form.get("redirect_uri") != grant.request.address.redirect_uri:
        raise refusal(InvalidGrantError, "redirect_uri is not the one of the request")
    if not _fits(verifier, grant.request.code_challenge):
        raise refusal(InvalidGrantError, "code_verifier does not fit the challenge")
    return grant


def _fits(verifier: str | None, challenge: str | None) -> bool:
    """Whether a verifier is that of the challenge; neither may come alone.

    RFC 7636 section 4.6, RFC 9700 section 4.8.2
    """
    if not verifier or challenge is None:
        return not verifier and challenge is None
    made = create_s256_code_challenge(verifier) if _VERIFIER.fullmatch(verifier) else ""
    return hmac.compare_digest(made, challenge)


def _redeem_refresh_token(
    form: Mapping[str, str], *, client: Client, provider: ProviderState
) -> Grant:
    token = form.get("refresh_token")
    if not token:
        raise refusal(InvalidRequestError, "refresh_token is missing")
    grant = provider.memory.refresh_tokens.get(token)
    if grant is None or grant.request.client.client_id != client.client_id:
        provider.memory.refresh_tokens.pop(token)
        return _use_once(token, grant, client=client, provider=provider)
    return grant


def _use_once(
    secret: str, grant: Grant | None, *, client: Client, provider: ProviderState
) -> Grant:
    """Mark a code or refresh token as used. The second use revokes all tokens of that login.

    :param grant: what the secret stands for, or None if it is not valid
    :raises OAuth2Error: ``invalid_grant``

    RFC 6749 sections 4.1.2 and 10.4, RFC 9700 section 4.14
    """
    memory = provider.memory
    if grant is None:
        if used := memory.used.get(secret):
            _revoke_all(used, provider=provider)
            raise refusal(InvalidGrantError, "used before: its tokens are revoked")
        raise refusal(InvalidGrantError, "not known, or too old")
    memory.used.put(secret, grant, until=provider.now() + REFRESH_TOKEN_SECONDS)
    if grant.request.client.client_id != client.client_id:
        raise refusal(InvalidGrantError, "issued to another client")
    return grant


def _revoke_all(grant: Grant, *, provider: ProviderState) -> None:
    provider.memory.access_tokens.pop_all(lambda other: other.id == grant.id)
    provider.memory.refresh_tokens.pop_all(lambda other: other.id == grant.id)


def _issue(grant: Grant, *, refreshed: bool, provider: ProviderState) -> dict[str, object]:
    memory, now, seconds = provider.memory, provider.now(), provider.access_token_seconds
    access_token = fresh_secret()
    memory.access_tokens.put(access_token, grant, until=now + seconds)
    members: dict[str, object] = {
        "access_token": access_token,
        "token_type": "Bearer" if grant.jkt is None else "DPoP",
        "expires_in": seconds,
        "scope": " ".join(grant.scopes),
        "id_token": _id_token(
            grant, access_token=access_token, refreshed=refreshed, provider=provider
        ),
    }
    if grant.request.authorization_details:  # RFC 9396 section 7
        members["authorization_details"] = [*grant.request.authorization_details]
    if "offline_access" in grant.scopes:
        refresh_token = fresh_secret()
        memory.refresh_tokens.put(refresh_token, grant, until=now + REFRESH_TOKEN_SECONDS)
        members["refresh_token"] = refresh_token
    return members


def _id_token(
    grant: Grant, *, access_token: str, refreshed: bool, provider: ProviderState
) -> object:
    """An ID token for the person who agreed to this grant; active faults change it.

    :param refreshed: whether it is issued for a refresh token, not for a code

    OpenID Connect Core sections 2, 3.1.3.3 and 3.1.3.6
    """
    request, now = grant.request, int(provider.now())
    alg = id_token_alg(request.client, provider=provider)
    claims = _id_token_claims(grant, now=now, provider=provider)
    if provider.session_seconds is not None:
        claims["session_expiry"] = now + provider.session_seconds
    claims["at_hash"] = _left_half_hash(access_token, alg=alg)
    # OpenID Connect Core section 12.2: a refreshed ID token should have no nonce.
    if request.nonce is not None and not refreshed:
        claims["nonce"] = request.nonce
    key = provider.keys.signing_key(alg)
    draft = IDTokenDraft(
        header={"typ": "JWT", "alg": alg, "kid": key.kid},
        claims=claims,
        key=key,
        now=now,
        client=request.client,
    )
    provider.faults.act("id_token", draft)
    if refreshed:
        provider.faults.act("refresh_id_token", draft)
    return _encrypted(draft.finished(), request.client, provider=provider)


def _id_token_claims(grant: Grant, *, now: int, provider: ProviderState) -> dict[str, object]:
    """Who signed in, when and how, for which client (OpenID Connect Core section 2)."""
    request, sign_in = grant.request, grant.sign_in
    person = provider.person(sign_in.sub)
    personal = person.claims_for(grant.scopes, requested=request.id_token_claims) if person else {}
    return {
        **personal,
        "iss": provider.issuer_for(sign_in.sub),
        "sub": sign_in.sub,
        "sid": grant.sid,
        "aud": request.client.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_SECONDS,
        "auth_time": sign_in.at,
        "acr": sign_in.acr,
        "amr": list(sign_in.amr),
    }


def _encrypted(id_token: object, client: Client, *, provider: ProviderState) -> object:
    """The ID token as the client registered it; what a fault put in its place is left as it is."""
    if not isinstance(id_token, str):
        return id_token
    return encrypt_for_client(
        id_token, client.id_token_encryption, kind="id_token", client=client, provider=provider
    )


def _left_half_hash(text: str, *, alg: str) -> str:
    """``at_hash``: the left half of the hash that belongs to the algorithm.

    OpenID Connect Core section 3.1.3.6
    """
    # Ed25519 uses SHA-512; the other algorithms here end in 256.
    name = "sha512" if alg in ("EdDSA", "Ed25519") else "sha256"
    digest = hashlib.new(name, text.encode("ascii")).digest()
    return encode(digest[: len(digest) // 2])
