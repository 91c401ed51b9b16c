"""Codes and refresh tokens turned into tokens; tokens given back."""

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

REFRESH_TOKEN_SECONDS = 86_400
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def exchange(
    form: Mapping[str, str], *, client: Client, provider: ProviderState
) -> dict[str, object]:
    """The members of the token response. A refresh token still holds after it: see :func:`use_up`.

    :param form: the form of a client that proved who it is
    :raises OAuth2Error: the grant does not hold

    RFC 6749 sections 4.1.3 and 6
    """
    match form.get("grant_type"):
        case "authorization_code":
            grant = _redeem_code(form, client=client, provider=provider)
            return _issue(grant, refreshed=False, provider=provider)
        case "refresh_token":
            grant = _redeem_refresh_token(form, client=client, provider=provider)
            return _issue(grant, refreshed=True, provider=provider)
        case other:
            raise refusal(
                OAuth2Error,
                f"grant_type {other!r} is not known here",
                code="unsupported_grant_type",
            )


def use_up(refresh_token: str, *, client: Client, provider: ProviderState) -> None:
    """Let a refresh token hold no more, because the next one is on its way.

    :raises OAuth2Error: ``invalid_grant``: another request has just used it up

    RFC 9700 section 4.14.2
    """
    grant = provider.memory.refresh_tokens.pop(refresh_token)
    _take(refresh_token, grant, client=client, provider=provider)


def token_to_revoke(form: Mapping[str, str], *, client: Client, provider: ProviderState) -> str:
    """The token that a client gives back. ``token_type_hint`` is not needed to find it here.

    :param form: the form of a client that proved who it is
    :raises OAuth2Error: there is none, or it belongs to another client

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
    """Void a token: a refresh token with all that came of the same login, an access token alone.

    RFC 7009 section 2.1
    """
    provider.memory.access_tokens.pop(token)
    if grant := provider.memory.refresh_tokens.pop(token):
        _void(grant, provider=provider)


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
    grant = provider.memory.refresh_tokens.get(token)
    if grant is None or grant.request.client.client_id != client.client_id:
        provider.memory.refresh_tokens.pop(token)
        return _take(token, grant, client=client, provider=provider)
    return grant


def _take(secret: str, grant: Grant | None, *, client: Client, provider: ProviderState) -> Grant:
    """Use a code or refresh token up. Used twice, all that came of it is void.

    RFC 6749 sections 4.1.2 and 10.4, RFC 9700 section 4.14
    """
    memory = provider.memory
    if grant is None:
        if used := memory.used.get(secret):
            _void(used, provider=provider)
            raise refusal(InvalidGrantError, "used before: the tokens that came of it are void")
        raise refusal(InvalidGrantError, "not known, or too old")
    memory.used.put(secret, grant, until=provider.now() + REFRESH_TOKEN_SECONDS)
    if grant.request.client.client_id != client.client_id:
        raise refusal(InvalidGrantError, "issued to another client")
    return grant


def _void(grant: Grant, *, provider: ProviderState) -> None:
    provider.memory.access_tokens.take(lambda other: other.id == grant.id)
    provider.memory.refresh_tokens.take(lambda other: other.id == grant.id)


def _issue(grant: Grant, *, refreshed: bool, provider: ProviderState) -> dict[str, object]:
    memory, now, seconds = provider.memory, provider.now(), provider.access_token_seconds
    access_token = fresh_secret()
    memory.access_tokens.put(access_token, grant, until=now + seconds)
    members: dict[str, object] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": seconds,
        "scope": " ".join(grant.scopes),
        "id_token": mint_id_token(
            grant, access_token=access_token, refreshed=refreshed, provider=provider
        ),
    }
    if "offline_access" in grant.scopes:
        refresh_token = fresh_secret()
        memory.refresh_tokens.put(refresh_token, grant, until=now + REFRESH_TOKEN_SECONDS)
        members["refresh_token"] = refresh_token
    return members
