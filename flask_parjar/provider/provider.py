"""A provider: the requests that this client sends to it, and what each answer means."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ..errors import ProviderRefused, ProviderUnavailable
from ..protocol.agreement import Agreement
from ..protocol.authorization import PushedRequest
from ..protocol.binding import TokenBinding
from ..protocol.client import ClientConfig
from ..protocol.client_auth import LoginAssertions, mark_of_key, with_claims, with_key
from ..protocol.id_token import IDTokenClaims, verify_id_token, verify_renewed_id_token
from ..protocol.jwe import EncryptionKey
from ..protocol.key_set import KeySet
from ..protocol.keys import PublicKey
from ..protocol.logout import LogoutToken
from ..protocol.metadata import ProviderMetadata
from ..protocol.outbound import Answer, Outbound, Parameters, Proof
from ..protocol.response import AuthorizationResponse, ResponseParameters
from ..protocol.response_mode import RESPONSE_MODES
from ..protocol.tokens import Renewal, TokenSet, parse_id_token
from ..protocol.transaction import Transaction
from ..protocol.userinfo import UserInfo, verify_userinfo
from .backoff import Backoff
from .endpoint import Endpoints, OnCall, refusal
from .http import Http
from .nonces import Nonces
from .published import Published
from .spent_tokens import SpentTokens

log: logging.Logger = logging.getLogger("flask_parjar")

#: How a push ends at a provider that ignores ``request`` and misses the parameters, or that takes
#: the push for the request of a browser.
_OF_IGNORED_SIGNATURES = ("push_refused", "provider_redirect")
_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})
_OF_NO_LOGIN = LoginAssertions()
_MAY_TAKE_NO_SIGNED_REQUESTS = (
    "; its metadata says nothing of signed requests, so perhaps it takes none: see PARJAR_REQUEST"
)


class Provider:
    """One provider and our client there: shared by all threads, without data of any request.

    :param client: our client there, or a function that gives it with the keys of the moment.
    :param http: the connections to it.
    :param on_call: called after each exchange, with secrets cut short.
    :param clock: gives seconds that never go back.
    """

    def __init__(
        self,
        client: ClientConfig | Callable[[], ClientConfig],
        http: Http,
        *,
        on_call: OnCall,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_client: Callable[[], ClientConfig] = (
            partial(_same, client) if isinstance(client, ClientConfig) else client
        )
        self.http = http
        #: Those of this provider, and of the APIs that take its tokens.
        self.nonces: Nonces = Nonces()
        headers = self.client.http_headers
        self._endpoints = Endpoints(self.name, http, on_call, headers=headers)
        self._published = Published(self._find_client, self._endpoints, clock)
        self._clock = clock
        self._push_backoff = Backoff(clock)
        self._refresh_backoff = Backoff(clock)
        self._spent = SpentTokens()

    @property
    def client(self) -> ClientConfig:
        """Our client at this provider. Only its keys change."""
        return self._find_client()

    @property
    def name(self) -> str:
        """The name in PARJAR_PROVIDERS, or ``default``."""
        return self.client.name

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        return self.client.issuer

    @property
    def own_keys(self) -> tuple[PublicKey, ...]:
        """Our keys that the provider needs: see `ClientConfig.own_keys`.

        A certificate that was renewed while the site runs is among them, and for a short time the
        one before it, which some requests still present.
        """
        certificates = self.http.certificates or (None,)
        clients = (replace(self.client, certificate=each) for each in certificates)
        return tuple(key for client in clients for key in client.own_keys)

    def metadata(self, now: int) -> ProviderMetadata:
        """See `Published.metadata`."""
        return self._published.metadata(now)

    def agreement(self, now: int) -> Agreement:
        """See `Published.agreement`."""
        return self._published.agreement(now)

    def keys(self, now: int) -> KeySet:
        """The provider's keys, fetched if needed.

        :raises ProviderUnavailable: they cannot be fetched or read.
        """
        return self._published.keys(now)

    def encryption_key(self, alg: str, *, now: int) -> EncryptionKey:
        """See `Published.encryption_key`."""
        return self._published.encryption_key(alg, now=now)

    # The authorization request.

    def push(
        self,
        build: Callable[[], Outbound],
        *,
        binding: TokenBinding,
        assertion_claims: Mapping[str, Any] = _NO_CLAIMS,
        now: int,
    ) -> PushedRequest:
        """Push an authorization request.

        After a timeout there is a pause: anyone can begin a login, and each would hold a thread.

        :param build: makes the request; called for each try, for a new request object.
        :param assertion_claims: further claims of the client assertion.
        :raises ProviderRefused: ``push_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.

        RFC 9126 section 2.
        """
        agreement = self.agreement(now)
        try:
            client_auth = with_claims(agreement.client_auth, assertion_claims)
            proofs = (client_auth, *binding.push_proofs(nonces=self.nonces))
            answer = self._send_push(build, proofs, now=now)
            if answer.status not in (200, 201):
                raise refusal(answer, "push_refused", now=now)
        except (ProviderRefused, ProviderUnavailable) as exc:
            signing = agreement.request_signing
            if exc.error_code in _OF_IGNORED_SIGNATURES and signing and not signing.announced:
                exc.detail += _MAY_TAKE_NO_SIGNED_REQUESTS
            raise
        return PushedRequest.parse(answer.document or {})

    def _send_push(
        self, build: Callable[[], Outbound], proofs: Sequence[Proof], *, now: int
    ) -> Answer:
        """Send a pushed request; start or end the back-off that all logins share."""
        if wait := self._push_backoff.wait():
            raise ProviderUnavailable(
                "provider_timeout", "a push timed out a moment ago", retry_after=wait
            )
        began = self._clock()
        try:
            answer = self._endpoints.send(
                "pushed_authorization_request", build, proofs=proofs, now=now
            )
        except ProviderUnavailable as exc:
            if exc.error_code == "provider_timeout":
                self._push_backoff.failed(began=began)
            else:  # it came at once, so no thread waits for it
                self._push_backoff.succeeded()
            raise
        self._push_backoff.succeeded()
        return answer

    # The authorization response.

    @property
    def posts_responses(self) -> bool:
        """Whether the browser brings a response back as a form."""
        return RESPONSE_MODES[self.client.response_mode].posted

    def peek(self, received: ResponseParameters) -> ResponseParameters | None:
        """Read the parameters of a response without verifying anything; None if it is encrypted.

        They say which login the response is for, and no more.

        :raises ResponseRejected: ``response_malformed``, or the code of the response mode.
        :raises TokenRejected: what is around them cannot be read.
        """
        return RESPONSE_MODES[self.client.response_mode].peek(received)

    def unwrap(self, received: ResponseParameters, *, now: int) -> ResponseParameters:
        """Find the parameters of a response in what the browser brought.

        :raises TokenRejected: what is around them breaks a rule.
        """
        return RESPONSE_MODES[self.client.response_mode].unwrap(
            received,
            lambda verify: self._published.open_with(verify, now=now, anybody_asks=True),
            now,
        )

    def exchange(
        self,
        response: AuthorizationResponse,
        transaction: Transaction,
        *,
        binding: TokenBinding,
        now: int,
    ) -> TokenSet:
        """Exchange the code for tokens, with the code verifier of this login.

        :raises ProviderRefused: ``code_refused``, ``exchange_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.
        :raises TokenRejected: the answer breaks a rule.

        RFC 6749 section 4.1.3, RFC 7636 section 4.5, RFC 8707 section 2.2.
        """
        agreement = self.agreement(now)
        form: Parameters = {
            "grant_type": "authorization_code",
            "code": response.code,
            "redirect_uri": transaction.redirect_uri,
            **({"code_verifier": transaction.code_verifier} if agreement.pkce else {}),
            "resource": list(transaction.resources),
        }
        assertions = transaction.assertions
        answer = self._post_for_tokens(form, binding, assertions, refused="code_refused", now=now)
        tokens = TokenSet.parse(
            answer.document or {},
            asked_scopes=transaction.scopes,
            asked_types=transaction.details_types,
            binding=binding,
            now=now,
        )
        current = agreement.client_auth
        return replace(
            tokens,
            binding=binding.after(answer),
            resources=transaction.resources,
            assertion_claims=assertions.claims,
            assertion_key=mark_of_key(with_key(current, assertions.key) or current),
        )

    def verify_id_token(
        self, tokens: TokenSet, transaction: Transaction, *, now: int
    ) -> IDTokenClaims:
        """Verify the ID token of a login.

        :raises TokenRejected: it breaks a rule.

        OpenID Connect Core 3.1.3.7.
        """
        return self._published.open_with(
            lambda opener: verify_id_token(
                tokens.id_token,
                opener=opener,
                transaction=transaction,
                access_token=tokens.access_token,
                now=now,
            ),
            now=now,
        )

    def userinfo(self, tokens: TokenSet, *, issuer: str, subject: str, now: int) -> UserInfo:
        """Fetch the claims of the userinfo endpoint. They must be about the person of the login.

        :param issuer: the ``iss`` of the ID token.
        :param subject: the ``sub`` of the ID token.
        :raises ProviderRefused: ``userinfo_refused``.
        :raises TokenRejected: ``userinfo_subject``, or the code of a check of a signed answer.

        OpenID Connect Core 5.3.
        """
        url = self.agreement(now).endpoints.userinfo or ""
        answer = self._endpoints.send(
            "userinfo",
            lambda: Outbound(method="GET", url=url),
            proofs=tokens.binding.proofs(tokens.access_token, nonces=self.nonces),
            now=now,
        )
        if answer.status != 200:
            raise refusal(answer, "userinfo_refused", now=now)
        return self._published.open_with(
            lambda opener: verify_userinfo(
                answer,
                opener=opener,
                expected_issuer=issuer,
                expected_subject=subject,
                now=now,
            ),
            now=now,
        )

    # After the login.

    def refresh(self, tokens: TokenSet, *, now: int) -> Renewal:
        """Renew the access token. The ID token that may come with it is not verified yet.

        Metadata and keys are fetched before the refresh token is sent, so that afterwards only the
        answer itself can be wrong. After a 200 the refresh token is never sent again. After a
        failure no session sends one for a while, because the provider is the same for all of them.

        :raises ProviderRefused: ``refresh_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken, or was a moment ago.
            If it is ``carried_out``, the refresh token was used.
        :raises TokenRejected: the answer breaks a rule; the refresh token was used.

        RFC 6749 section 6, RFC 9700 section 4.14.
        """
        refresh_token = tokens.refresh_token or ""
        if refresh_token in self._spent:
            raise ProviderRefused("refresh_refused", error="invalid_grant", description="used up")
        self.agreement(now)
        self._published.keys(now)
        if wait := self._refresh_backoff.wait():
            raise ProviderUnavailable(
                "provider_unreachable", "a renewal failed a moment ago", retry_after=wait
            )
        answer = self._send_refresh_token(refresh_token, tokens, now=now)
        self._spent.add(refresh_token)
        document = answer.document or {}
        renewed = tokens.renewed_by(document, now=now)
        renewed = replace(renewed, binding=tokens.binding.after(answer))
        if renewed.refresh_token == refresh_token:  # not rotated: it may be used again
            self._spent.discard(refresh_token)
        return Renewal(tokens=renewed, id_token=document.get("id_token"))

    def _send_refresh_token(self, refresh_token: str, tokens: TokenSet, *, now: int) -> Answer:
        """Send a refresh token; start or end the back-off that all sessions share."""
        form: Parameters = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "resource": list(tokens.resources),
        }
        try:
            answer = self._post_for_tokens(
                form, tokens.binding, tokens.assertions, refused="refresh_refused", now=now
            )
        except ProviderRefused as exc:
            if exc.error_code == "client_refused":  # the same would happen to every session
                self._refresh_backoff.failed()
            else:
                self._refresh_backoff.succeeded()
            raise
        except ProviderUnavailable as exc:
            if exc.carried_out:
                self._spent.add(refresh_token)
            self._refresh_backoff.failed(exc.retry_after)
            raise
        self._refresh_backoff.succeeded()
        return answer

    def verify_renewal(
        self, renewal: Renewal, *, original: TokenSet, issuer: str, subject: str, now: int
    ) -> IDTokenClaims | None:
        """Verify the ID token of a renewal; None if there is none.

        :param original: the tokens as they were before.
        :param issuer: the ``iss`` of the session.
        :param subject: the ``sub`` of the session.
        :raises TokenRejected: the ID token breaks a rule.

        OpenID Connect Core 12.2.
        """
        if renewal.id_token is None:
            return None
        id_token = parse_id_token(renewal.id_token)
        return self._published.open_with(
            lambda opener: verify_renewed_id_token(
                id_token,
                opener=opener,
                original=original.id_token,
                expected_issuer=issuer,
                expected_subject=subject,
                access_token=renewal.tokens.access_token,
                now=now,
            ),
            now=now,
        )

    def revoke(
        self,
        token: str,
        kind: str,
        *,
        binding: TokenBinding,
        assertions: LoginAssertions = _OF_NO_LOGIN,
        now: int,
    ) -> None:
        """Revoke a token, if the provider has a revocation endpoint.

        :param kind: ``refresh_token`` or ``access_token``.
        :param assertions: those of the login.
        :raises ProviderRefused: ``revocation_refused``, ``client_refused``.
        :raises ProviderUnavailable: the provider or the network is broken.

        RFC 7009 section 2.1.
        """
        url = self.agreement(now).endpoints.revocation
        if url is None:
            return
        form = {"token": token, "token_type_hint": kind}
        answer = self._post("revocation", url, form, binding, assertions, now=now)
        if not 200 <= answer.status < 300:  # some providers answer 202 or 204
            raise refusal(answer, "revocation_refused", now=now)

    def verify_logout_token(self, token: str, *, now: int) -> LogoutToken:
        """Verify a logout token.

        :raises TokenRejected: it breaks a rule.

        OpenID Connect Back-Channel Logout 1.0 section 2.6.
        """
        return self._published.open_with(
            lambda opener: LogoutToken.verify(token, opener=opener, now=now),
            now=now,
            anybody_asks=True,
        )

    # One exchange.

    def _post_for_tokens(
        self,
        form: Parameters,
        binding: TokenBinding,
        assertions: LoginAssertions,
        *,
        refused: str,
        now: int,
    ) -> Answer:
        """Post a form to the token endpoint.

        :param refused: the error code if the answer is not a 200.
        """
        url = self.agreement(now).endpoints.token
        answer = self._post("token", url, form, binding, assertions, now=now)
        if answer.status != 200:
            raise refusal(answer, refused, now=now)
        return answer

    def _post(
        self,
        endpoint: str,
        url: str,
        form: Parameters,
        binding: TokenBinding,
        assertions: LoginAssertions,
        *,
        now: int,
    ) -> Answer:
        """Post a form with client authentication."""
        current = self.agreement(now).client_auth
        client_auth = with_key(current, assertions.key)
        if client_auth is None:
            log.warning(
                "%s: the key that signed the login of a session is in PARJAR_SIGNING_KEY and "
                "PARJAR_ASSERTION_KEY no more; the current key signs in its place",
                self.issuer,
            )
        client_auth = with_claims(client_auth or current, assertions.claims)
        proofs = (client_auth, *binding.proofs(nonces=self.nonces))
        return self._endpoints.send(
            endpoint, lambda: Outbound.post(url, form), proofs=proofs, now=now
        )


def _same(client: ClientConfig) -> ClientConfig:
    """A client whose keys do not change."""
    return client
