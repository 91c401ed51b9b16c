"""A provider as this client sees it: the calls that a login makes, and what each answer means."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..errors import LoginError, ProviderUnavailable, TokenRejected
from ..protocol.authorization import (
    AuthorizationRequest,
    BrowserRequest,
    PushedRequest,
    RequestObject,
)
from ..protocol.client import ClientConfig
from ..protocol.client_auth import ClientAuthentication, authenticate_client
from ..protocol.id_token import IDTokenClaims, verify_id_token, verify_renewed_id_token
from ..protocol.keys import KeySet
from ..protocol.logout import LogoutToken
from ..protocol.metadata import Agreement, ProviderMetadata, agree, metadata_urls
from ..protocol.response import AuthorizationResponse
from ..protocol.tokens import TokenSet
from ..protocol.transaction import Transaction
from ..protocol.userinfo import parse_userinfo
from .calls import Calls, OnCall, refusal
from .documents import MAX_TTL, MIN_TTL, Document, time_to_live
from .http import Answer, Http

T = TypeVar("T")

log: logging.Logger = logging.getLogger("flask_parjar")

_LONGEST_WAIT = 2  # seconds of Retry-After that a browser may be kept waiting for the one retry


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """What the browser leaves with, and the request object behind it where there is one."""

    browser: BrowserRequest
    request_object: RequestObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """The provider's metadata, and what came of reading it with our configuration in hand."""

    metadata: ProviderMetadata
    agreement: Agreement | LoginError


class Provider:
    """One provider and our client there: shared by all threads, holding documents and no request.

    :param on_call: told of each exchange, with secrets cut short.
    """

    def __init__(self, client: ClientConfig, http: Http, *, on_call: OnCall) -> None:
        self.client = client
        self._calls = Calls(client.name, http, on_call)
        self._published = Document(self._fetch_metadata, name=f"metadata of {client.issuer}")
        self._keys = Document(self._fetch_keys, name=f"keys of {client.issuer}")

    # What the provider publishes.

    def metadata(self, now: int) -> ProviderMetadata:
        """The provider's metadata, from memory while it is fresh.

        :raises ProviderUnavailable: where it cannot be had, or is wrong.
        """
        return self._published.get(now).metadata

    def agreement(self, now: int) -> Agreement:
        """How to speak with this provider.

        :raises LoginError: where its metadata and our configuration do not meet.
        """
        agreement = self._published.get(now).agreement
        if isinstance(agreement, LoginError):
            raise LoginError(agreement.code, agreement.detail)
        return agreement

    def _fetch_metadata(self, now: int) -> tuple[_Published, int]:
        document, ttl = self._read_metadata()
        metadata = ProviderMetadata.parse(
            document, expected_issuer=self.client.issuer, allow_http=self.client.insecure_http
        )
        try:
            return _Published(metadata=metadata, agreement=agree(metadata, self.client)), ttl
        except LoginError as exc:  # looked at again soon: somebody is probably mending it
            return _Published(metadata=metadata, agreement=exc), MIN_TTL

    def _read_metadata(self) -> tuple[Mapping[str, Any], int]:
        if self.client.metadata is not None:
            return self.client.metadata, MAX_TTL
        first, second = metadata_urls(self.client.issuer)
        try:
            answer = self._fetch_document("discovery", first)
        except ProviderUnavailable as exc:
            if exc.code != "provider_failed":
                raise
            answer = self._fetch_document("discovery", second)
        return answer.document or {}, time_to_live(answer.headers.get("Cache-Control"))

    def _fetch_keys(self, now: int) -> tuple[KeySet, int]:
        answer = self._fetch_document("jwks", self.metadata(now).jwks_uri)
        try:
            keys = KeySet.parse(answer.document or {})
        except ValueError as exc:
            raise ProviderUnavailable("jwks", str(exc)) from exc
        return keys, time_to_live(answer.headers.get("Cache-Control"))

    def _fetch_document(self, endpoint: str, url: str) -> Answer:
        answer = self._calls.call(endpoint, "GET", url)
        if answer.status != 200:
            raise ProviderUnavailable("provider_failed", f"{endpoint}: HTTP {answer.status}")
        if answer.document is None:
            raise ProviderUnavailable("provider_answer", f"{endpoint}: no JSON object")
        return answer

    # The way out.

    def push(self, request: AuthorizationRequest, *, now: int) -> OutgoingRequest:
        """Sign a request and push it; nothing but ``client_id`` and ``request_uri`` is left.

        A connection that fails, and a provider that asks for a moment's patience, get one more
        try, with a request object and an assertion of its own.

        :raises LoginError: no agreement with the provider.
        :raises ProviderRefused: ``push_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.

        RFC 9126 section 2, RFC 9101 section 4.
        """
        try:
            return self._push_once(request, now)
        except ProviderUnavailable as exc:
            wait = 0 if exc.code == "provider_unreachable" else exc.retry_after
            if wait is None or wait > _LONGEST_WAIT:
                raise
            log.warning("push to %s: %s, trying once more", self.client.issuer, exc.code)
            time.sleep(wait)
            return self._push_once(request, now + wait)

    def _push_once(self, request: AuthorizationRequest, now: int) -> OutgoingRequest:
        agreement, metadata = self.agreement(now), self.metadata(now)
        request_object = None
        form: Mapping[str, str] = request.as_form()
        if agreement.request_object_alg is not None:
            key = self.client.signing_keys[0]
            request_object = RequestObject.sign(
                request, key=key, alg=agreement.request_object_alg, now=now
            )
            form = {"client_id": self.client.client_id, "request": request_object.jwt}
        endpoint = metadata.pushed_authorization_request_endpoint
        if not agreement.pushed or endpoint is None:
            browser = BrowserRequest(
                authorization_endpoint=metadata.authorization_endpoint,
                parameters=request.beside_request_object() | dict(form),
            )
            return OutgoingRequest(browser=browser, request_object=request_object)
        authentication = self._authenticate(agreement, endpoint, now)
        answer = self._calls.call(
            "pushed_authorization_request", "POST", endpoint, form=form, by=authentication
        )
        if answer.status not in (200, 201):
            raise refusal(answer, "push_refused", now=now)
        browser = PushedRequest.parse(
            answer.document or {},
            client_id=self.client.client_id,
            authorization_endpoint=metadata.authorization_endpoint,
        )
        return OutgoingRequest(browser=browser, request_object=request_object)

    # The way back.

    def exchange(
        self, response: AuthorizationResponse, transaction: Transaction, *, now: int
    ) -> TokenSet:
        """Exchange the code for tokens, with the verifier that only this login's session has.

        :raises ProviderRefused: ``code_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.
        :raises TokenRejected: the answer breaks a rule.

        RFC 6749 section 4.1.3, RFC 7636 section 4.5.
        """
        form = {
            "grant_type": "authorization_code",
            "code": response.code,
            "redirect_uri": transaction.redirect_uri,
            "code_verifier": transaction.code_verifier,
        }
        endpoint = self.metadata(now).token_endpoint
        answer = self._post("token", endpoint, form, refused="code_refused", now=now)
        return TokenSet.parse(answer.document or {}, asked_scopes=transaction.scopes, now=now)

    def verify(self, tokens: TokenSet, transaction: Transaction, *, now: int) -> IDTokenClaims:
        """Prove the ID token; a key that we have not seen yet is looked for once.

        :raises TokenRejected: the token breaks a rule.

        OpenID Connect Core 3.1.3.7 and 10.1.1.
        """
        algs = self.agreement(now).id_token_algs
        return self._with_keys(
            lambda keys: verify_id_token(
                tokens.id_token,
                keys=keys,
                algs=algs,
                client=self.client,
                transaction=transaction,
                access_token=tokens.access_token,
                now=now,
            ),
            now,
        )

    def userinfo(self, tokens: TokenSet, id_token: IDTokenClaims, *, now: int) -> IDTokenClaims:
        """Add what the userinfo endpoint says of the same subject.

        :raises ProviderRefused: ``userinfo_refused``.
        :raises TokenRejected: ``userinfo_subject``, and those of a signed answer.

        OpenID Connect Core 5.3.
        """
        endpoint = self.metadata(now).userinfo_endpoint or ""
        bearer = ClientAuthentication(form={}, authorization=f"Bearer {tokens.access_token}")
        answer = self._calls.call("userinfo", "GET", endpoint, by=bearer)
        if answer.status != 200:
            raise refusal(answer, "userinfo_refused", now=now)
        claims = parse_userinfo(
            answer.document,
            answer.body,
            client=self.client,
            keys=self._keys.get(now),
            algs=self.agreement(now).id_token_algs,
            expected_subject=id_token.subject,
        )
        return replace(
            id_token,
            claims={**claims, **id_token.claims},
            proofs=(*id_token.proofs, "userinfo: about the same sub"),
        )

    # After the login.

    def refresh(self, tokens: TokenSet, *, subject: str, now: int) -> TokenSet:
        """Renew the access token. Never tried twice: the refresh token may be spent by the first.

        :param subject: whose tokens they are.
        :raises ProviderRefused: ``refresh_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.
        :raises TokenRejected: the answer breaks a rule.

        RFC 6749 section 6, OpenID Connect Core 12.
        """
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token or ""}
        endpoint = self.metadata(now).token_endpoint
        answer = self._post("token", endpoint, form, refused="refresh_refused", now=now)
        renewed = tokens.renewed_by(answer.document or {}, now=now)
        if renewed.id_token != tokens.id_token:
            algs = self.agreement(now).id_token_algs
            self._with_keys(
                lambda keys: verify_renewed_id_token(
                    renewed.id_token,
                    original=tokens.id_token,
                    expected_subject=subject,
                    keys=keys,
                    algs=algs,
                    client=self.client,
                    access_token=renewed.access_token,
                    now=now,
                ),
                now,
            )
        return renewed

    def revoke(self, token: str, kind: str, *, now: int) -> None:
        """Tell the provider that a token is not needed any more, where it wants to know.

        :param kind: ``refresh_token`` or ``access_token``.
        :raises ProviderRefused: ``revocation_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.

        RFC 7009 section 2.1.
        """
        endpoint = self.metadata(now).revocation_endpoint
        if endpoint is None:
            return
        form = {"token": token, "token_type_hint": kind}
        self._post("revocation", endpoint, form, refused="revocation_refused", now=now)

    def verify_logout_token(self, token: str, *, now: int) -> LogoutToken:
        """Prove a notice that somebody is logged out at the provider.

        :raises TokenRejected: the notice breaks a rule.

        OpenID Connect Back-Channel Logout 1.0 section 2.6.
        """
        algs = self.agreement(now).id_token_algs
        return self._with_keys(
            lambda keys: LogoutToken.verify(
                token, keys=keys, algs=algs, client=self.client, now=now
            ),
            now,
        )

    # One exchange.

    def _post(
        self, name: str, endpoint: str, form: Mapping[str, str], *, refused: str, now: int
    ) -> Answer:
        """Post a form with our authentication; what is not a 200 is an error of that code."""
        authentication = self._authenticate(self.agreement(now), endpoint, now)
        answer = self._calls.call(name, "POST", endpoint, form=form, by=authentication)
        if answer.status != 200:
            raise refusal(answer, refused, now=now)
        return answer

    def _with_keys(self, verify: Callable[[KeySet], T], now: int) -> T:
        """Verify with the keys that we have; one that is unknown is looked for once."""
        keys = self._keys.get(now)
        try:
            return verify(keys)
        except TokenRejected as exc:
            if exc.code != "token_key":
                raise
            newer = self._keys.get_newer_than(keys, now)
            if newer is keys:
                raise
            return verify(newer)

    def _authenticate(self, agreement: Agreement, endpoint: str, now: int) -> ClientAuthentication:
        key = self.client.assertion_key(agreement.client_auth)
        return authenticate_client(self.client, agreement, key=key, endpoint=endpoint, now=now)
