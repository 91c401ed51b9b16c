"""Authlib's Flask client with PAR and JAR added to it: what it takes to get our promise from it.

The key is imported once, at the start: with a PEM string in its place Authlib imports it anew for
each assertion.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.integrations.flask_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask, redirect, session
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.benchmark.contract import (
    CALLBACK_URL,
    KID,
    SCOPE,
    SECRET_KEY,
    Competitor,
    Registration,
)
from tests.benchmark.stub import CLIENT_ID, b64

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def make_app(registration: Registration) -> Flask:
    """Authlib for the way back, `requests` and joserfc for the way out."""
    app = Flask("authlib_glued")
    app.config.update(SECRET_KEY=SECRET_KEY)
    alg, issuer = registration.alg, registration.issuer
    key_type = RSAKey if alg == "RS256" else ECKey
    key = key_type.import_key(registration.private_key, {"kid": KID})
    provider = OAuth(app).register(
        "provider",
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_id=CLIENT_ID,
        client_secret=key,
        client_kwargs={
            "scope": SCOPE,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "private_key_jwt",
        },
        client_auth_methods=[PrivateKeyJWT(alg=alg)],
    )

    def sign(claims: dict[str, Any], typ: str) -> str:
        now = int(time.time())
        claims |= {"iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(24)}
        return jwt.encode({"alg": alg, "typ": typ, "kid": KID}, claims, key, algorithms=[alg])

    @app.get("/login")
    def login() -> Any:
        metadata = provider.load_server_metadata()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        request_object = {
            "iss": CLIENT_ID,
            "aud": issuer,
            "client_id": CLIENT_ID,
            "response_type": "code",
            "redirect_uri": CALLBACK_URL,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        assertion = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": issuer}
        answer = requests.post(
            metadata["pushed_authorization_request_endpoint"],
            data={
                "client_id": CLIENT_ID,
                "client_assertion_type": JWT_BEARER,
                "client_assertion": sign(assertion, "JWT"),
                "request": sign(request_object, "oauth-authz-req+jwt"),
            },
            timeout=5,
        )
        answer.raise_for_status()
        provider.save_authorize_data(
            state=state, nonce=nonce, code_verifier=verifier, redirect_uri=CALLBACK_URL
        )
        query = {"client_id": CLIENT_ID, "request_uri": answer.json()["request_uri"]}
        return redirect(f"{metadata['authorization_endpoint']}?{urlencode(query)}")

    @app.get("/callback")
    def callback() -> Any:
        session["user"] = provider.authorize_access_token()["userinfo"]
        return redirect("/")

    @app.get("/who")
    def who() -> str:
        return str(session.get("user", {}).get("sub", ""))

    return app


AUTHLIB_GLUED = Competitor(name="Authlib, glued to PAR + JAR", make_app=make_app)
