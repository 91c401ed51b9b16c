"""Requests to Keycloak that are not made by this package: right ones, and an attacker's."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import requests
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.interop.client_site import EC, SITE
from tests.interop.keycloak_client import TIMEOUT
from tests.interop.keycloak_process import KeycloakProcess

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class HandMade:
    """One client with an ES256 key.

    :param client_id: it is registered as :func:`register` does it.
    """

    def __init__(self, keycloak: KeycloakProcess, client_id: str) -> None:
        self.keycloak = keycloak
        self.client_id = client_id
        self.metadata = keycloak.metadata()

    def claims(self) -> dict[str, Any]:
        """Return the claims of a request object that is right."""
        now = int(time.time())
        return {
            "iss": self.client_id,
            "aud": self.keycloak.issuer,
            "client_id": self.client_id,
            "redirect_uri": f"{SITE}/callback",
            "response_type": "code",
            "scope": "openid",
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # RFC 7636, appendix B
            "code_challenge_method": "S256",
            "nbf": now - 5,
            "exp": now + 60,
        }

    def assertion(self) -> str:
        """Return a client assertion that is right."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.keycloak.issuer,
            "jti": f"assertion-{time.monotonic_ns()}",
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode({"alg": "ES256", "kid": EC.kid}, claims, EC)

    def request_object(
        self, *, claims: dict[str, Any] | None = None, key: ECKey = EC, kid: str = EC.kid or ""
    ) -> str:
        """Return a signed request object; by itself it is right."""
        header = {"alg": "ES256", "kid": kid, "typ": "oauth-authz-req+jwt"}
        return jwt.encode(header, claims or self.claims(), key)

    def push(self, *, assertion: str | None = None, **form: str) -> requests.Response:
        """Push a request."""
        return self._post("pushed_authorization_request_endpoint", form, assertion)

    def push_signed(self) -> str:
        """Push a request that is right; return its ``request_uri``."""
        answer = self.push(request=self.request_object())
        assert answer.status_code == 201, answer.text
        request_uri: str = answer.json()["request_uri"]
        return request_uri

    def authorization_url(self, *, client_id: str | None = None, **query: str) -> str:
        """Return where the browser would be sent."""
        query = {"client_id": client_id or self.client_id, **query}
        return f"{self.metadata['authorization_endpoint']}?{urlencode(query)}"

    def refresh(self, refresh_token: str) -> requests.Response:
        """Use a refresh token, as a thief would who has the key of the client too."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._post("token_endpoint", form)

    def is_active(self, kind: str, token: str) -> bool:
        """Ask Keycloak whether a token is valid (RFC 7662).

        :param kind: without it Keycloak says of refresh tokens that they are not.
        """
        form = {"token": token, "token_type_hint": kind}
        answer = self._post("introspection_endpoint", form)
        assert answer.status_code == 200, answer.text
        active: bool = answer.json()["active"]
        return active

    def _post(
        self, endpoint: str, form: dict[str, str], assertion: str | None = None
    ) -> requests.Response:
        authentication = {
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
        }
        return self.keycloak.session.post(
            self.metadata[endpoint], data=authentication | form, timeout=TIMEOUT
        )
