"""Somebody who is logged in at a DevProvider, without a Flask app around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from flask_parjar.flows.login import begin_login, complete_login, verify_response
from flask_parjar.flows.token_store import TokenStore
from flask_parjar.protocol.authorization import LoginOptions
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.response import ResponseParameters
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.protocol.transaction import Transaction, new_seed
from flask_parjar.provider import Http, Provider
from flask_parjar.stores import Store
from flask_parjar.testing import ClientMetadata, DevProvider
from flask_parjar.testing.serving import wsgi_pool
from tests.support.clock import Clock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ISSUER = "https://op.example"
CLIENT_ID = "site"
SCOPES = ("openid", "offline_access")
SECRETS = (b"of the tests",)
HANDLE = "a-session"


class Wire:
    """The way to the provider, on which something may happen between a question and its answer."""

    def __init__(self, dev: DevProvider) -> None:
        self._dev = dev
        #: Done once, when the provider has answered at its token endpoint and we do not know yet.
        self.meanwhile: Callable[[], object] | None = None

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        answer = self._dev.app(environ, start)
        happens, at_token = self.meanwhile, environ["PATH_INFO"].endswith("/token")
        if happens is not None and at_token:
            self.meanwhile = None
            happens()
        return answer


class LoggedIn:
    """One login, its tokens, and the provider it is at."""

    def __init__(self, *, log_in: bool = True) -> None:
        self.clock = Clock(int(time.time()))
        #: What the provider's pauses are measured by.
        self.elapsed = Clock(int(time.time()))
        self.dev = DevProvider(ISSUER, now=self.clock)
        self.wire = Wire(self.dev)
        key = self.dev.config()["PARJAR_SIGNING_KEY"]
        client = ClientConfig(
            name="default",
            issuer=ISSUER,
            client_id=CLIENT_ID,
            signing_keys=parse_signing_keys(key),
            scopes=SCOPES,
        )
        self.register(client)
        self.provider = self.another_process(client)
        self.tokens: TokenSet
        if log_in:
            self.tokens = self.log_in()
            self.dev.calls.clear()

    def another_process(self, client: ClientConfig) -> Provider:
        """The provider as somebody sees it who has read nothing of it yet."""
        http = Http(timeout=5)
        http.mount(ISSUER, wsgi_pool(self.wire, ISSUER))
        return Provider(client, http, on_call=lambda describe: None, clock=self.elapsed)

    def register(self, client: ClientConfig, **more: Any) -> None:
        self.dev.register(
            ClientMetadata(
                client_id=CLIENT_ID,
                redirect_uris=["https://site.example/callback"],
                jwks={"keys": [dict(jwk) for jwk in client.public_jwks]},
                **more,
            )
        )

    def log_in(self, person: str = "ada") -> TokenSet:
        transaction = Transaction(
            seed=new_seed(),
            secret=new_seed(),
            state="of this login",
            provider="default",
            issuer=ISSUER,
            redirect_uri="https://site.example/callback",
            started_at=self.clock(),
            next="/",
            scopes=self.provider.client.scopes,
        )
        out = begin_login(self.provider, transaction, LoginOptions(), now=self.clock())
        back = urlsplit(self.dev.sign_in(out.url, person)).query
        parameters = ResponseParameters.parse(parse_qsl(back))
        response = verify_response(self.provider, transaction, parameters, now=self.clock())
        return complete_login(self.provider, transaction, response, clock=self.clock).tokens

    @property
    def called(self) -> list[str]:
        """The provider's endpoints that were called since the login, its documents left out."""
        endpoints = [call.endpoint for call in self.dev.calls]
        return [endpoint for endpoint in endpoints if endpoint not in ("discovery", "jwks")]

    def due(self) -> None:
        """Let time pass until the access token should be renewed; it still lives."""
        self.clock.now += 580

    def over(self) -> None:
        """Let time pass until the access token has ended."""
        self.clock.now += 600


def make_token_store(store: Store, **fields: Any) -> TokenStore:
    """A token store as one request has it."""
    given: dict[str, Any] = {
        "key": f"tokens:{HANDLE}",
        "session": HANDLE,
        "secrets": SECRETS,
        "lifetime": 3600,
        "lock_timeout": 10,
    }
    return TokenStore(store, **(given | fields))
