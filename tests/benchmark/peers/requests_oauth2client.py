"""requests_oauth2client with PAR and JAR.

It has both and cannot join them: `pushed_authorization_request` takes no signed request. So the
push is one call of its session, and its parser reads the answer.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, redirect, request, session
from jwskate import Jwk
from requests_oauth2client import OAuth2Client, PrivateKeyJwt
from requests_oauth2client.serializers import AuthorizationRequestSerializer

from tests.benchmark.contract import (
    CALLBACK_URL,
    KID,
    SCOPE,
    SECRET_KEY,
    Competitor,
    Registration,
)
from tests.benchmark.stub import CLIENT_ID


def make_app(registration: Registration) -> Flask:
    """One client for the app, made at the start; the request waits in the session."""
    app = Flask("requests_oauth2client")
    app.config.update(SECRET_KEY=SECRET_KEY)
    key = Jwk.from_pem(registration.private_key.encode()) | {"kid": KID, "alg": registration.alg}
    client = OAuth2Client.from_discovery_endpoint(
        issuer=registration.issuer,
        auth=PrivateKeyJwt(CLIENT_ID, key),
        redirect_uri=CALLBACK_URL,
        id_token_signed_response_alg=registration.alg,
        testing=not registration.is_https,
    )
    serializer = AuthorizationRequestSerializer()
    push_endpoint = str(client.pushed_authorization_request_endpoint)

    @app.get("/login")
    def login() -> Any:
        asked = client.authorization_request(scope=SCOPE)
        signed = asked.sign(key, lifetime=60)
        answer = client.session.post(
            push_endpoint,
            data={"client_id": CLIENT_ID, "request": str(signed.request)},
            auth=client.auth,
            timeout=5,
        )
        answer.raise_for_status()
        pushed = client.parse_pushed_authorization_response(answer)
        session["request"] = serializer.dumps(asked).decode()
        return redirect(pushed.uri)

    @app.get("/callback")
    def callback() -> Any:
        asked: Any = serializer.loads(session.pop("request").encode())
        response = asked.validate_callback(request.url)
        id_token: Any = client.authorization_code(response).id_token
        session["user"] = json.loads(json.dumps(id_token.claims))
        return redirect("/")

    @app.get("/who")
    def who() -> str:
        return str(session.get("user", {}).get("sub", ""))

    return app


REQUESTS_OAUTH2CLIENT = Competitor(
    name="requests_oauth2client, glued", make_app=make_app, does_less="its JAR has no aud"
)
