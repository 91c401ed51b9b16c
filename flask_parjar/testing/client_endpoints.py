"""The endpoints for clients: documents, pushed requests, tokens, revocation, userinfo."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request

from .access_tokens import challenge, find_grant
from .answers import (
    Answer,
    DPoPChallengeDraft,
    DPoPNonceDraft,
    InvalidRequestError,
    OAuth2Error,
    refusal,
)
from .app import form_parameters, resources
from .client_auth import CREDENTIALS, assertion_kid, authenticate
from .clients import Client
from .documents import PATHS, endpoint_url, path_prefix
from .dpop import ReceivedProof, bind_request, verify_proof
from .faults import Hook
from .mutual_tls import presented_in, thumbprint_of
from .received_request import accept, receive
from .state import ProviderState, fresh_secret
from .tokens import (
    check_key_of_the_push,
    exchange,
    revoke,
    signed_userinfo,
    token_to_revoke,
    use_up,
)

PUSHED_SECONDS = 60
DOCUMENT_CACHE_SECONDS = 600
_URN = "urn:ietf:params:oauth:request_uri:"


class ClientEndpoints:
    """The views for clients, with the state of one provider."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("client_endpoints", __name__)
        prefix = path_prefix(self.provider.issuer)
        # RFC 8414 section 3.1 puts its path before that of the issuer, OpenID Connect after it.
        for path in (
            f"{prefix}/.well-known/openid-configuration",
            f"/.well-known/oauth-authorization-server{prefix}",
        ):
            routes.add_url_rule(path, "discovery", self.discovery)
        routes.add_url_rule(prefix + PATHS["jwks_uri"], "jwks", self.jwks)
        for name, view, methods in (
            ("pushed_authorization_request", self.push, ["POST"]),
            ("token", self.token, ["POST"]),
            ("revocation", self.revocation, ["POST"]),
            ("userinfo", self.userinfo, ["GET", "POST"]),
        ):
            routes.add_url_rule(prefix + PATHS[f"{name}_endpoint"], name, view, methods=methods)
        routes.register_error_handler(OAuth2Error, self.refuse)
        routes.after_request(self.add_nonce)
        return routes

    def discovery(self) -> Response:
        """The metadata (OpenID Connect Discovery section 4, RFC 8414 section 3)."""
        return self._document("metadata", copy.deepcopy(self.provider.metadata))

    def jwks(self) -> Response:
        """The public keys (RFC 7517 section 5)."""
        document, issuer = self.provider.keys.public_jwks(), self.provider.published_issuer
        if issuer != self.provider.issuer:  # as Microsoft Entra ID does
            document = {"keys": [{**key, "issuer": issuer} for key in document["keys"]]}
        return self._document("jwks", document)

    def push(self) -> Response:
        """Accept a pushed authorization request; signed, where that is required.

        RFC 9126 sections 2 and 3
        """
        form = form_parameters()
        client = self._client(form, "pushed_authorization_request_endpoint")
        if form.get("client_id") != client.client_id:
            raise refusal(InvalidRequestError, "client_id is missing")
        demanded = self.provider.demands.request_beside
        beside = sorted(form.keys() - {"client_id", "request", *CREDENTIALS, *demanded})
        if "request" in form and beside:
            # RFC 9126 section 3: all authorization parameters are claims of the request object.
            raise refusal(InvalidRequestError, f"beside the request object: {', '.join(beside)}")
        if "request_uri" in form:
            raise refusal(InvalidRequestError, "a pushed request has no request_uri")
        jkt = self._proof_key("pushed_authorization_request_endpoint")
        received = receive(form, resources=resources(), client=client, provider=self.provider)
        for name in demanded:
            if form.get(name) != received.parameters.get(name):
                raise refusal(InvalidRequestError, f"{name} is not beside the request object")
        pushed = bind_request(accept(received, provider=self.provider), jkt)
        pushed = replace(pushed, assertion_kid=assertion_kid(form))
        request_uri = _URN + fresh_secret()
        self.provider.memory.pushed.put(
            request_uri, pushed, until=self.provider.now() + PUSHED_SECONDS
        )
        members = {"request_uri": request_uri, "expires_in": PUSHED_SECONDS}
        return self._answer("par", members, status=201)

    def token(self) -> Response:
        """Issue tokens for a code or a refresh token.

        RFC 6749 section 3.2
        """
        form = form_parameters()
        client = self._client(form, "token_endpoint")
        if self.provider.demands.key_of_the_push:
            check_key_of_the_push(form, kid=assertion_kid(form), provider=self.provider)
        jkt = self._proof_key("token_endpoint")
        members = exchange(
            form,
            resources=resources(),
            client=client,
            jkt=jkt,
            x5t=_thumbprint(),
            provider=self.provider,
        )
        answer = Answer(members=members, path=request.path)
        self.provider.faults.act("token", answer)
        if form["grant_type"] == "refresh_token":
            self.provider.faults.act("refresh", answer)
            # If the provider fails, or sends no new refresh token, the old one stays valid.
            if answer.status == 200 and "refresh_token" in answer.document:
                use_up(form["refresh_token"], client=client, provider=self.provider)
        return answer.response()

    def revocation(self) -> Response:
        """Revoke a token; an unknown one is no error.

        RFC 7009 section 2
        """
        form = form_parameters()
        client = self._client(form, "revocation_endpoint")
        self._proof_key("revocation_endpoint")
        token = token_to_revoke(form, client=client, provider=self.provider)
        answer = Answer(members={}, path=request.path, body=b"")
        self.provider.faults.act("revocation", answer)
        if answer.status == 200:
            revoke(token, provider=self.provider)
        return answer.response()

    def userinfo(self) -> Response:
        """The claims that the access token gives access to.

        OpenID Connect Core section 5.3, RFC 9449 section 7, RFC 8705 section 3
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "dpop") or not token:
            return challenge("", "")
        jkt: str | None = None
        if scheme.lower() == "dpop":
            try:
                jkt = self._proof_key("userinfo_endpoint", access_token=token)
            except OAuth2Error as error:
                draft = DPoPChallengeDraft(scheme="DPoP")
                self.provider.faults.act("dpop_challenge", draft)
                return challenge(draft.scheme, str(error.error))
        grant = find_grant(token, jkt=jkt, x5t=_thumbprint(), provider=self.provider)
        person = grant and self.provider.person(grant.sign_in.sub)
        bearer = scheme.lower() == "bearer"
        if not grant or not person or (bearer is not (jkt is None)):
            return challenge("Bearer" if bearer else "DPoP", "invalid_token")
        claims = person.claims_for(grant.scopes, requested=grant.request.userinfo_claims)
        client = grant.request.client
        if client.userinfo_signed_response_alg is None and client.userinfo_encryption is None:
            return self._answer("userinfo", claims)
        answer = Answer(members=claims, path=request.path, content_type="application/jwt")
        answer.body = signed_userinfo(claims, client=client, provider=self.provider)
        self.provider.faults.act("userinfo", answer)
        return answer.response()

    def refuse(self, error: OAuth2Error) -> Response:
        """An error as JSON (RFC 6749 section 5.2)."""
        status, body, headers = error()
        response = jsonify(body)
        response.status_code = status
        response.headers.update(headers)
        return response

    def add_nonce(self, response: Response) -> Response:
        """Send the nonce that the next proof must have (RFC 9449 section 8.2)."""
        endpoint = (request.endpoint or "").rpartition(".")[2]
        if self.provider.demands.dpop_nonces and endpoint not in ("discovery", "jwks"):
            nonce = self.provider.dpop_nonces.current(of_api=endpoint == "userinfo")
            draft = DPoPNonceDraft(nonce=nonce)
            self.provider.faults.act("dpop_nonce", draft)
            if draft.nonce is not None:
                response.headers["DPoP-Nonce"] = draft.nonce
        return response

    def _proof_key(self, member: str, *, access_token: str | None = None) -> str | None:
        received = ReceivedProof(
            text=request.headers.get("DPoP"),
            method=request.method,
            url=self._called(member),
            access_token=access_token,
            demanded=member in self.provider.demands.dpop_at,
        )
        return verify_proof(received, provider=self.provider)

    def _called(self, member: str) -> str:
        """The URL of an endpoint that was called: perhaps its alias (RFC 8705 section 5)."""
        mtls = self.provider.mtls
        if mtls is not None and request.host == urlsplit(mtls).netloc:
            return endpoint_url(mtls, member)
        return self.provider.url(member)

    def _client(self, form: Mapping[str, str], member: str) -> Client:
        for name in self.provider.demands.headers:
            if not request.headers.get(name):
                raise refusal(InvalidRequestError, f"there is no header {name}")
        return authenticate(
            form,
            authorization=request.headers.get("Authorization"),
            certificate=presented_in(request.environ),
            called=self._called(member),
            provider=self.provider,
        )

    def _document(self, hook: Hook, members: Mapping[str, object]) -> Response:
        headers = {"Cache-Control": f"public, max-age={DOCUMENT_CACHE_SECONDS}"}
        return self._answer(hook, members, headers=headers)

    def _answer(
        self,
        hook: Hook,
        members: Mapping[str, object],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Send a success. Errors go another way, so that no fault hides an error of the client."""
        answer = Answer(members=members, path=request.path, status=status)
        answer.headers.update(headers or {})
        self.provider.faults.act(hook, answer)
        return answer.response()


def _thumbprint() -> str | None:
    """The thumbprint of the client certificate of the connection."""
    pem = presented_in(request.environ)
    return None if pem is None else thumbprint_of(pem)
