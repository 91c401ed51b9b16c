"""The authorization code flow: build, sign, encrypt and push; then verify the response.

Each step needs the result of the step before it, so that none can be left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ..errors import ProviderUnavailable, TokenRejected
from ..protocol.agreement import Agreement
from ..protocol.authorization import (
    AuthorizationRedirect,
    AuthorizationRequest,
    LoginOptions,
    RequestObject,
)
from ..protocol.id_token import IDTokenClaims
from ..protocol.identity import Identity
from ..protocol.outbound import Outbound, Parameters
from ..protocol.response import AuthorizationResponse, ResponseParameters
from ..protocol.tokens import TokenSet
from ..protocol.transaction import Transaction
from ..provider import Provider
from .refresh import revoke_tokens

log: logging.Logger = logging.getLogger("flask_parjar")

#: Errors of an ID token that is valid.
_NOT_FOR_US = ("other_person", "tenant_refused", "token_session_expiry")
_LONGEST_WAIT = 2  # seconds of Retry-After that we wait for the one retry, with the browser waiting


class CompletedLogin(NamedTuple):
    """Who logged in, with the verified ID token and the tokens.

    :param tokens: with the signed text of the ID token: what an ``id_token_hint`` sends.
    """

    identity: Identity
    id_token: IDTokenClaims
    tokens: TokenSet


def begin_login(
    provider: Provider, transaction: Transaction, options: LoginOptions, *, now: int
) -> AuthorizationRedirect:
    """Build, sign and push the request of one login.

    If the connection failed, or the provider asks us to wait for a moment, there is one more try,
    with a new request object and a new client assertion.

    :param transaction: new; the caller stores it in the session of this browser afterwards.
    :raises LoginError: no agreement with the provider is possible, or it refused the request.
    :raises ProviderUnavailable: the provider or the network is broken.
    """
    try:
        return _request_authorization(provider, transaction, options, now=now)
    except ProviderUnavailable as exc:
        waits = {"provider_unreachable": 0, "provider_busy": exc.retry_after}
        wait = waits.get(exc.error_code)
        if wait is None or wait > _LONGEST_WAIT:
            raise
        log.warning("push to %s: %s, trying once more", provider.issuer, exc.error_code)
    time.sleep(wait)
    return _request_authorization(provider, transaction, options, now=now + wait)


def _request_authorization(
    provider: Provider, transaction: Transaction, options: LoginOptions, *, now: int
) -> AuthorizationRedirect:
    agreement = provider.agreement(now)
    push_url = agreement.endpoints.push
    binding = agreement.begin_binding(transaction.secret)
    request = AuthorizationRequest.build(agreement, transaction, options, binding=binding)
    request_object: RequestObject | None = None

    def form() -> Parameters:  # called for each try: a request object is used once
        nonlocal request_object
        request_object = _request_object(provider, agreement, request, now=now)
        return request.as_form() if request_object is None else request_object.as_form()

    if push_url is None:
        parameters: Parameters = {**request.beside_request_object(), **form()}
    else:
        pushed = provider.push(
            lambda: Outbound.post(push_url, form()),
            binding=binding,
            assertion_claims=transaction.assertion_claims,
            now=now,
        )
        parameters = {"client_id": agreement.client_id, "request_uri": pushed.request_uri}
    return AuthorizationRedirect.build(
        agreement.endpoints.authorization, parameters, request_object=request_object
    )


def _request_object(
    provider: Provider, agreement: Agreement, request: AuthorizationRequest, *, now: int
) -> RequestObject | None:
    """Sign a request, and encrypt it where that was agreed; None where requests are not signed."""
    if agreement.request_signing is None:
        return None
    request_object = RequestObject.sign(request, agreement.request_signing, now=now)
    encryption = agreement.request_encryption
    if encryption is None:
        return request_object
    return request_object.encrypt(encryption, provider.encryption_key(encryption.alg, now=now))


def verify_response(
    provider: Provider, transaction: Transaction, parameters: ResponseParameters, *, now: int
) -> AuthorizationResponse:
    """Verify the authorization response: nothing is sent to the provider yet.

    :param transaction: the one that ``state`` names.
    :raises LoginError: with the code of the first check that fails.
    :raises ProviderUnavailable: the provider's metadata cannot be fetched.
    """
    return AuthorizationResponse.verify(
        parameters, transaction=transaction, agreement=provider.agreement(now)
    )


def complete_login(
    provider: Provider,
    transaction: Transaction,
    response: AuthorizationResponse,
    *,
    clock: Callable[[], int],
) -> CompletedLogin:
    """Exchange the code, verify the tokens, and say who logged in.

    :param transaction: that of the response, already removed from this browser's session.
    :param clock: gives seconds since 1970; called again after each answer: a token that was issued
        while we waited is not from the future.
    :raises LoginError: with the code of the first check that fails.
    :raises ProviderUnavailable: the provider or the network is broken.
    """
    agreement = provider.agreement(clock())
    binding = agreement.begin_binding(transaction.secret)
    tokens = provider.exchange(response, transaction, binding=binding, now=clock())
    try:
        id_token = provider.verify_id_token(tokens, transaction, now=clock())
    except TokenRejected as exc:
        if exc.error_code in _NOT_FOR_US:  # the tokens are valid, but not for this session
            revoke_tokens(provider, tokens, now=clock())
        raise
    response.verify_issuer(id_token.issuer, agreement=agreement)
    userinfo = None
    if agreement.fetch_userinfo:
        userinfo = provider.userinfo(
            tokens, issuer=id_token.issuer, subject=id_token.subject, now=clock()
        )
    if tokens.missing_types:
        log.warning(
            "authorization_details asked for and not granted at %s: %s",
            provider.issuer,
            ", ".join(tokens.missing_types),
        )
    identity = Identity.from_claims(
        id_token,
        userinfo,
        issuer=id_token.issuer,
        provider=transaction.provider,
        scopes=tokens.scopes,
    )
    return CompletedLogin(
        identity=identity,
        id_token=id_token,
        tokens=replace(tokens, id_token=id_token.jws),
    )
