"""One login, from the door to the person.

Out: what is asked is gathered, signed, and pushed to the provider, which gives a ``request_uri``;
the browser leaves with that and the client's id, and nothing else.
Back: the browser brings an answer. Each step below takes what the one before it proved, so that
none can be left out, and the last one says who it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.authorization import AuthorizationRequest, LoginOptions
from ..protocol.id_token import IDTokenClaims
from ..protocol.identity import Identity
from ..protocol.response import AuthorizationResponse, ResponseParameters
from ..protocol.tokens import TokenSet
from ..protocol.transaction import Transaction
from ..provider import OutgoingRequest, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedLogin:
    """Who logged in, and what it stands on."""

    identity: Identity
    id_token: IDTokenClaims
    tokens: TokenSet


def begin_login(
    provider: Provider, transaction: Transaction, options: LoginOptions, *, now: int
) -> OutgoingRequest:
    """Sign and push the request of one login; the result is what the browser leaves with.

    :param transaction: fresh, and about to be kept in the session of this browser.
    :raises LoginError: this provider and we do not agree, or it refused.
    :raises ProviderUnavailable: it, or the way to it, is broken.
    """
    request = AuthorizationRequest.build(provider.client, transaction, options)
    return provider.push(request, now=now)


def complete_login(
    provider: Provider, transaction: Transaction, parameters: ResponseParameters, *, now: int
) -> CompletedLogin:
    """Prove what the browser brought back, step by step, and say who it is.

    :param transaction: the one that ``state`` names, taken out of this browser's session for good.
    :raises LoginError: the first rule that is broken.
    :raises ProviderUnavailable: the provider, or the way to it, is broken.
    """
    response = AuthorizationResponse.verify(
        parameters, transaction=transaction, metadata=provider.metadata(now)
    )
    tokens = provider.exchange(response, transaction, now=now)
    id_token = provider.verify(tokens, transaction, now=now)
    if provider.client.userinfo:
        id_token = provider.userinfo(tokens, id_token, now=now)
    identity = Identity.from_claims(
        id_token.claims,
        issuer=transaction.issuer,
        provider=transaction.provider,
        scopes=tokens.scopes,
    )
    return CompletedLogin(identity=identity, id_token=id_token, tokens=tokens)
