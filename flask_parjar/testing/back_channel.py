"""The endpoints that clients call, and no person sees: documents, PAR, tokens, userinfo."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, request

from .answers import Answer
from .client_auth import CREDENTIALS, authenticate
from .clients import Client
from .faults import Seam
from .metadata import PATHS, path_prefix
from .refusals import InvalidRequestError, OAuth2Error, refusal
from .request_object import verify_request_object
from .state import ProviderState, fresh_secret
from .tokens import exchange, revoke, token_to_revoke, use_up

PUSHED_SECONDS = 60
DOCUMENT_CACHE_SECONDS = 600
_URN = "urn:ietf:params:oauth:request_uri:"


class BackChannel:
    """Views over the state of one provider."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("back_channel", __name__)
        prefix = path_prefix(self.provider.issuer)
        # RFC 8414 section 3.1 puts its name before the path of the issuer, OpenID Connect after it.
        for path in (
            f"{prefix}/.well-known/openid-configuration",
            f"/.well-known/oauth-authorization-server{prefix}",
        ):
            routes.add_url_rule(path, "discovery", self.discovery)
        routes.add_url_rule(prefix + PATHS["jwks_uri"], "jwks", self.jwks)
        for member, name, view, methods in (
            ("pushed_authorization_request_endpoint", None, self.push, ["POST"]),
            ("token_endpoint", "token", self.token, ["POST"]),
            ("revocation_endpoint", "revocation", self.revocation, ["POST"]),
            ("userinfo_endpoint", "userinfo", self.userinfo, ["GET", "POST"]),
        ):
            name = name or "pushed_authorization_request"
            routes.add_url_rule(prefix + PATHS[member], name, view, methods=methods)
        routes.register_error_handler(OAuth2Error, self.refuse)
        return routes

    def discovery(self) -> Response:
        """OpenID Connect Discovery section 4, RFC 8414 section 3."""
        return self._document("metadata", copy.deepcopy(self.provider.metadata))

    def jwks(self) -> Response:
        """RFC 7517 section 5."""
        return self._document("jwks", self.provider.keys.public_jwks())

    def push(self) -> Response:
        """Take a pushed, signed authorization request.

        RFC 9126 sections 2 and 3
        """
        form = posted_once()
        client = self._client(form, "pushed_authorization_request_endpoint")
        if form.get("client_id") != client.client_id:
            raise refusal(InvalidRequestError, "client_id is missing")
        if "request" not in form:
            raise refusal(InvalidRequestError, "request is missing: requests must be signed here")
        if beside := sorted(form.keys() - {"client_id", "request", *CREDENTIALS}):
            # RFC 9126 section 3: all authorization parameters are claims of the request object.
            raise refusal(InvalidRequestError, f"beside the request object: {', '.join(beside)}")
        asked = verify_request_object(form["request"], client=client, provider=self.provider)
        request_uri = _URN + fresh_secret()
        self.provider.memory.pushed.put(
            request_uri, asked, until=self.provider.now() + PUSHED_SECONDS
        )
        members = {"request_uri": request_uri, "expires_in": PUSHED_SECONDS}
        return self._answer("par", members, status=201)

    def token(self) -> Response:
        """Turn a code or a refresh token into tokens.

        RFC 6749 section 3.2
        """
        form = posted_once()
        client = self._client(form, "token_endpoint")
        members = exchange(form, client=client, provider=self.provider)
        answer = Answer(members=members, path=request.path)
        self.provider.faults.act("token", answer)
        if form["grant_type"] == "refresh_token":
            self.provider.faults.act("refresh", answer)
            # A provider that fails, or gives no other, leaves the client with the one it has.
            if answer.status == 200 and "refresh_token" in answer.document:
                use_up(form["refresh_token"], client=client, provider=self.provider)
        return answer.response()

    def revocation(self) -> Response:
        """Take a token back, known or not.

        RFC 7009 section 2
        """
        form = posted_once()
        client = self._client(form, "revocation_endpoint")
        token = token_to_revoke(form, client=client, provider=self.provider)
        answer = Answer(members={}, path=request.path, body=b"")
        self.provider.faults.act("revocation", answer)
        if answer.status == 200:
            revoke(token, provider=self.provider)
        return answer.response()

    def userinfo(self) -> Response:
        """Tell what the access token opens.

        OpenID Connect Core section 5.3
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _challenge("")
        grant = self.provider.memory.access_tokens.get(token)
        person = grant and self.provider.person(grant.sign_in.sub)
        if not grant or not person:
            return _challenge('error="invalid_token", error_description="not known, or too old"')
        told = person.told(grant.scopes, asked=grant.request.userinfo_claims)
        return self._answer("userinfo", told)

    def refuse(self, error: OAuth2Error) -> Response:
        """An error as JSON (RFC 6749 section 5.2)."""
        status, body, headers = error()
        response = jsonify(body)
        response.status_code = status
        response.headers.update(headers)
        return response

    def _client(self, form: Mapping[str, str], member: str) -> Client:
        return authenticate(
            form,
            authorization=request.headers.get("Authorization"),
            called=self.provider.url(member),
            provider=self.provider,
        )

    def _document(self, seam: Seam, members: dict[str, object]) -> Response:
        headers = {"Cache-Control": f"public, max-age={DOCUMENT_CACHE_SECONDS}"}
        return self._answer(seam, members, headers=headers)

    def _answer(
        self,
        seam: Seam,
        members: Mapping[str, object],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Only good answers pass here, so a fault never hides what the client did wrong."""
        answer = Answer(members=members, path=request.path, status=status)
        answer.headers.update(headers or {})
        self.provider.faults.act(seam, answer)
        return answer.response()


def posted_once() -> dict[str, str]:
    """The form, each parameter once and none in the URL.

    :raises OAuth2Error: ``invalid_request``

    RFC 6749 sections 3.2 and 2.3.1
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise refusal(InvalidRequestError, "Content-Type must be application/x-www-form-urlencoded")
    if request.args:
        raise refusal(InvalidRequestError, "parameters belong in the body, not in the URL")
    if twice := sorted(name for name, values in request.form.lists() if len(values) > 1):
        raise refusal(InvalidRequestError, f"given more than once: {', '.join(twice)}")
    # RFC 6749 section 3.2: a parameter without a value is as good as left out.
    return {name: value for name, value in request.form.items() if value}


def _challenge(detail: str) -> Response:
    """RFC 6750 section 3."""
    response = jsonify({"error": "invalid_token"} if detail else {})
    response.status_code = 401
    response.headers["WWW-Authenticate"] = f"Bearer {detail}".rstrip()
    response.headers["Cache-Control"] = "no-store"
    return response
