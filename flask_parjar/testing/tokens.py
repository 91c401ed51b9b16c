"""Codes and refresh tokens turned into tokens; access tokens turned into what they open."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from .authorization import Grant
from .clients import Client
from .id_token import mint_id_token
from .refusals import InvalidGrantError, InvalidRequestError, OAuth2Error, refusal
from .state import ProviderState, fresh_secret

ACCESS_TOKEN_SECONDS = 600
REFRESH_TOKEN_SECONDS = 86_400
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def exchange(
    form: Mapping[str, str], *, client: Client, provider: ProviderState
) -> dict[str, object]:
    """The members of the token response.

    :param form: the form of a client that proved who it is
    :raises OAuth2Error: the grant does not hold

    RFC 6749 sections 4.1.3 and 6
    """
    match form.get("grant_type"):
        case "authorization_code":
            grant = _redeem_code(form, client=client, provider=provider)
            return _issue(grant, nonce=grant.request.nonce, provider=provider)
        case "refresh_token":
            grant = _redeem_refresh_token(form, client=client, provider=provider)
            # OpenID Connect Core section 12.2: a refreshed ID token should carry no nonce.
            return _issue(grant, nonce=None, provider=provider)
        case other:
            raise refusal(
                OAuth2Error,
                f"grant_type {other!r} is not known here",
                code="unsupported_grant_type",
            )


def _redeem_code(form: Mapping[str, str], *, client: Client, provider: ProviderState) -> Grant:
    code, verifier = form.get("code"), form.get("code_verifier")
    if not code or not verifier:
        raise refusal(InvalidRequestError, "code and code_verifier are both needed")
    grant = _take(code, provider.memory.codes.pop(code), client=client, provider=provider)
    if form.get("redirect_uri") != grant.request.redirect_uri:
        raise refusal(InvalidGrantError, "redirect_uri is not the one of the request")
    # RFC 7636 section 4.6
    challenge = create_s256_code_challenge(verifier) if _VERIFIER.fullmatch(verifier) else ""
    if not hmac.compare_digest(challenge, grant.request.code_challenge):
        raise refusal(InvalidGrantError, "code_verifier does not fit the challenge")
    return grant


def _redeem_refresh_token(
    form: Mapping[str, str], *, client: Client, provider: ProviderState
) -> Grant:
    token = form.get("refresh_token")
    if not token:
        raise refusal(InvalidRequestError, "refresh_token is missing")
    return _take(token, provider.memory.refresh_tokens.pop(token), client=client, provider=provider)


def _take(secret: str, grant: Grant | None, *, client: Client, provider: ProviderState) -> Grant:
    """Use a code or refresh token up. Used twice, all that came of it is void.

    RFC 6749 sections 4.1.2 and 10.4, RFC 9700 section 4.14
    """
    memory = provider.memory
    if grant is None:
        if used := memory.used.get(secret):
            memory.access_tokens.discard(lambda grant: grant.id == used.id)
            memory.refresh_tokens.discard(lambda grant: grant.id == used.id)
            raise refusal(InvalidGrantError, "used before: the tokens that came of it are void")
        raise refusal(InvalidGrantError, "not known, or too old")
    memory.used.put(secret, grant, until=provider.now() + REFRESH_TOKEN_SECONDS)
    if grant.request.client.client_id != client.client_id:
        raise refusal(InvalidGrantError, "issued to another client")
    return grant


def _issue(grant: Grant, *, nonce: str | None, provider: ProviderState) -> dict[str, object]:
    memory, now = provider.memory, provider.now()
    access_token = fresh_secret()
    memory.access_tokens.put(access_token, grant, until=now + ACCESS_TOKEN_SECONDS)
    members: dict[str, object] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_SECONDS,
        "scope": " ".join(grant.scopes),
        "id_token": mint_id_token(grant, access_token=access_token, nonce=nonce, provider=provider),
    }
    if "offline_access" in grant.scopes:
        refresh_token = fresh_secret()
        memory.refresh_tokens.put(refresh_token, grant, until=now + REFRESH_TOKEN_SECONDS)
        members["refresh_token"] = refresh_token
    return members
