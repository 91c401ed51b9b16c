"""A client made by hand: it signs, pushes and redeems with nothing of flask_parjar's own client.

What it sends can be bent in every place, so that each check of the provider can be seen to refuse.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import requests
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from flask_parjar.testing import ClientMetadata, DevProvider, WSGIAdapter

NOW = 1_800_000_000
CALLBACK = "https://site.example/callback"
HOME = "https://site.example/"
SECRET = "a secret: with odd+characters/and 64 bytes, the most that an HMAC demands"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

EC = ECKey.generate_key("P-256", {"kid": "site-ec", "use": "sig"})
KEYS: dict[str, Key] = {
    **dict.fromkeys(("RS256", "PS256"), RSAKey.generate_key(2048, {"kid": "site-rsa"})),
    "ES256": EC,
    "ES384": ECKey.generate_key("P-384", {"kid": "site-ec-384"}),
    **dict.fromkeys(("EdDSA", "Ed25519"), OKPKey.generate_key("Ed25519", {"kid": "site-okp"})),
}
#: A value that takes a claim, header or parameter away.
GONE: Any = object()


def bent(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**good, **changes}.items() if v is not GONE}


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def sign(header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, key: Key) -> str:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing_input = f"{b64(json.dumps(header).encode())}.{b64(body)}"
    model = JWSRegistry.algorithms[header["alg"]]
    return f"{signing_input}.{b64(model.sign(signing_input.encode(), key))}"


class HandMadeClient:
    """One registered client, and the browser of one person."""

    def __init__(
        self,
        provider: DevProvider,
        *,
        client_id: str = "hand made/client:1",
        alg: str = "ES256",
        method: str = "private_key_jwt",
        now: Callable[[], float] = lambda: NOW,
        **registration: Any,
    ) -> None:
        self.provider, self.client_id, self.alg, self.method = provider, client_id, alg, method
        self.key, self.now = KEYS[alg], now
        self.verifier = secrets.token_urlsafe(32)
        self.http = requests.Session()
        self.http.mount(f"{'/'.join(provider.issuer.split('/')[:3])}/", WSGIAdapter(provider.app))
        if "jwks_uri" not in registration:
            registration.setdefault("jwks", {"keys": [self.key.as_dict(private=False)]})
        provider.register(
            ClientMetadata(
                client_id=client_id,
                redirect_uris=[CALLBACK],
                post_logout_redirect_uris=[HOME],
                client_secret=SECRET if method.startswith("client_secret") else None,
                token_endpoint_auth_method=method,
                **{"scope": "reports:read", "client_name": "The site", **registration},
            )
        )

    def endpoint(self, name: str) -> str:
        return str(self.provider.metadata[name])

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.now())
        good = {
            "iss": self.client_id,
            "client_id": self.client_id,
            "aud": self.provider.issuer,
            "iat": now,
            "nbf": now - 5,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid profile email",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": b64(hashlib.sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return bent(good, changes)

    def parameters(self, **changes: Any) -> dict[str, str]:
        """Those of an unsigned request."""
        of_a_jwt = dict.fromkeys(("iss", "aud", "iat", "nbf", "exp", "jti"), GONE)
        return self.claims(**of_a_jwt, **changes)

    def header(self, **changes: Any) -> dict[str, Any]:
        good = {"typ": "oauth-authz-req+jwt", "alg": self.alg, "kid": self.key.kid}
        return bent(good, changes)

    def request(self, **changes: Any) -> str:
        return sign(self.header(), self.claims(**changes), self.key)

    def assertion(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        now = int(self.now())
        good = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.provider.issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        if self.method == "client_secret_jwt":
            key: Key = OctKey.import_key(SECRET)
            plain = {"alg": "HS256"}
        else:
            key, plain = self.key, {"alg": self.alg, "kid": str(self.key.kid)}
        return sign(bent(plain, header or {}), bent(good, changes), key)

    def authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the registered method adds to a form and to the headers."""
        if self.method == "client_secret_basic":
            raw = f"{quote_plus(self.client_id)}:{quote_plus(SECRET)}"
            return {}, {"Authorization": f"Basic {base64.b64encode(raw.encode()).decode()}"}
        if self.method == "client_secret_post":
            return {"client_secret": SECRET}, {}
        if self.method == "none":
            return {}, {}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}, {}

    def post(self, endpoint: str, form: Mapping[str, str], **changes: Any) -> requests.Response:
        """Send a form with our authentication; ``headers`` among the changes are headers."""
        authentication, headers = self.authentication()
        headers |= changes.pop("headers", {})
        body = urlencode(bent({**form, "client_id": self.client_id, **authentication}, changes))
        return self.http.post(
            self.endpoint(endpoint),
            data=body,
            headers=bent({"Content-Type": "application/x-www-form-urlencoded"}, headers),
            allow_redirects=False,
        )

    def push(self, request: str | None = None, **changes: Any) -> requests.Response:
        form = {"request": self.request() if request is None else request}
        return self.post("pushed_authorization_request_endpoint", form, **changes)

    def push_unsigned(self, **changes: Any) -> requests.Response:
        return self.post("pushed_authorization_request_endpoint", self.parameters(), **changes)

    def start(self, **claims: Any) -> str:
        """Push; give the URL for the browser."""
        pushed = self.push(self.request(**claims))
        assert pushed.status_code in (200, 201), pushed.text
        return self.url(request_uri=pushed.json()["request_uri"])

    def url(self, **parameters: str) -> str:
        query = bent({"client_id": self.client_id}, parameters)
        return f"{self.endpoint('authorization_endpoint')}?{urlencode(query)}"

    def by_value(self, request: str | None = None, **changes: Any) -> str:
        """The URL for the browser with a request object in it."""
        beside = {"response_type": "code", "scope": "openid"}
        return self.url(**{**beside, "request": request or self.request(), **changes})

    def plain(self, **changes: Any) -> str:
        """The URL for the browser with the parameters in it."""
        return self.url(**self.parameters(**changes))

    def code(self, person: str = "ada", **claims: Any) -> str:
        """Push, sign in, come back with a code."""
        return response(self.provider.sign_in(self.start(**claims), person))["code"]

    def redeem(self, code: str, /, **changes: Any) -> requests.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        }
        return self.post("token_endpoint", form, **changes)

    def tokens(self, person: str = "ada", **claims: Any) -> dict[str, Any]:
        answer = self.redeem(self.code(person, **claims))
        assert answer.status_code == 200, answer.text
        members = answer.json()
        assert isinstance(members, dict)
        return members

    def jwks(self) -> list[dict[str, Any]]:
        keys = self.http.get(self.endpoint("jwks_uri")).json()["keys"]
        assert isinstance(keys, list)
        return keys

    def verify(
        self, token: str, jwks: list[dict[str, Any]] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The header and claims of a JWS whose signature holds under the published keys."""
        header, claims, signature = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
        )
        protected = json.loads(header)
        (jwk,) = [key for key in jwks or self.jwks() if key["kid"] == protected["kid"]]
        model = JWSRegistry.algorithms[protected["alg"]]
        signing_input = token.rpartition(".")[0].encode()
        assert model.verify(signing_input, signature, import_key(jwk))
        return protected, json.loads(claims)

    def userinfo(self, access_token: str, **headers: str) -> requests.Response:
        given = bent({"Authorization": f"Bearer {access_token}"}, headers)
        return self.http.get(self.endpoint("userinfo_endpoint"), headers=given)


def response(url: str) -> dict[str, str]:
    """The parameters of a callback URL, each once."""
    assert url.startswith(CALLBACK), url
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), url
    return dict(pairs)
