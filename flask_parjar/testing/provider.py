"""DevProvider: a real OpenID provider in one Flask app, for development and for tests.

It asks for signed and pushed requests (RFC 9101, RFC 9126) and checks them as strictly as the
standards allow, so that a client that works here has kept its promises. On demand it misbehaves.
It knows no passwords: whoever reaches it can be anyone. It stays on this machine.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask

from .app import create_app
from .browser import Browser
from .clients import Client, FixedKeys, PublishedKeys, redirect_uri_fault
from .connect import connect
from .faults import ActiveFault
from .keys import ID_TOKEN_ALGORITHMS, new_ec_key
from .metadata import AUTH_METHODS, provider_metadata
from .people import PEOPLE, STANDARD_SCOPES, Person
from .serving import loopback_server
from .state import Call, ProviderState

# Over https where a test wants secure cookies.
TEST_CLIENT_BASE_URLS = ("http://localhost", "https://localhost")
_MIN_SECRET_BYTES = 32


class DevProvider:
    """An OpenID provider that lives in this process.

    :param issuer: its issuer identifier; on loopback if it is to be served, else any URL
    :param people: who can sign in
    :param now: the clock, in seconds since 1970
    """

    def __init__(
        self,
        issuer: str = "http://127.0.0.1:9000",
        *,
        people: Iterable[Person] = PEOPLE,
        now: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(issuer)
        if parts.scheme not in ("http", "https") or not parts.netloc or {"?", "#"} & {*issuer}:
            raise ValueError(f"an issuer is a URL without query and fragment, not {issuer!r}")
        self.issuer = issuer
        #: Fetches the clients' ``jwks_uri``; a test mounts an adapter on it.
        self.http: requests.Session = requests.Session()
        self._state = ProviderState(
            issuer=issuer,
            metadata=provider_metadata(issuer),
            # copies: what a test writes into their claims is nobody else's
            people={each.username: replace(each, claims=dict(each.claims)) for each in people},
            now=now,
        )
        self.app: Flask = create_app(self._state)

    @property
    def metadata(self) -> dict[str, object]:
        """The discovery document. Change it, and the provider behaves by it."""
        return self._state.metadata

    @property
    def people(self) -> dict[str, Person]:
        """Who can sign in, by username. Add to it."""
        return self._state.people

    @property
    def clients(self) -> Mapping[str, Client]:
        """The registered clients by their identifiers."""
        return self._state.clients

    @property
    def calls(self) -> list[Call]:
        """The requests that arrived, in order; the last 10,000. Clear it as you like."""
        return self._state.calls

    @property
    def clock_skew(self) -> int:
        """How far, in seconds, a client's clock may be ahead."""
        return self._state.clock_skew

    @clock_skew.setter
    def clock_skew(self, seconds: int) -> None:
        self._state.clock_skew = seconds

    def register(
        self,
        *,
        client_id: str,
        redirect_uris: Iterable[str],
        jwks: Mapping[str, object] | None = None,
        jwks_uri: str | None = None,
        client_secret: str | None = None,
        token_endpoint_auth_method: str = "private_key_jwt",  # noqa: S107 - a method
        post_logout_redirect_uris: Iterable[str] = (),
        scope: str | None = None,
        client_name: str | None = None,
        id_token_signed_response_alg: str | None = None,
    ) -> Client:
        """Register a client, or register it anew.

        :param jwks: its public keys, each with a ``kid``; or ``jwks_uri``, where it publishes them
        :param client_secret: for the ``client_secret_*`` methods; ``client_secret_jwt`` needs 32
            characters
        :param scope: what it may ask for besides the standard scopes, separated by spaces
        :param id_token_signed_response_alg: the first of the metadata's list unless given
        :raises ValueError: what is wrong with the registration

        RFC 7591 section 2
        """
        if not client_id:
            raise ValueError("client_id is empty")
        uris, logout_uris = tuple(redirect_uris), tuple(post_logout_redirect_uris)
        for uri in (*uris, *logout_uris):
            if fault := redirect_uri_fault(uri):
                raise ValueError(fault)
        if not uris:
            raise ValueError("a client has at least one redirect URI")
        if token_endpoint_auth_method not in AUTH_METHODS:
            raise ValueError(
                f"token_endpoint_auth_method {token_endpoint_auth_method!r} is not one of "
                f"{', '.join(AUTH_METHODS)}"
            )
        _check_secret(client_secret, token_endpoint_auth_method)
        if id_token_signed_response_alg not in (None, *ID_TOKEN_ALGORITHMS):
            raise ValueError(f"ID tokens are signed by {', '.join(ID_TOKEN_ALGORITHMS)} here")
        client = Client(
            client_id=client_id,
            keys=self._client_keys(jwks, jwks_uri),
            redirect_uris=uris,
            post_logout_redirect_uris=logout_uris,
            token_endpoint_auth_method=token_endpoint_auth_method,
            client_secret=client_secret,
            scopes=frozenset((*STANDARD_SCOPES, *(scope or "").split())),
            client_name=client_name or client_id,
            id_token_signed_response_alg=id_token_signed_response_alg,
        )
        self._state.clients[client_id] = client
        return client

    def rotate_keys(self) -> None:
        """Sign with new keys from now on. The ones until now stay published, older ones do not."""
        self._state.keys.rotate()

    def fault(self, name: str, *, times: int | None = None) -> ActiveFault:
        """Misbehave from now on, until :meth:`heal`, or until the end of a ``with`` block.

        :param name: one of ``FAULTS``
        :param times: heal after having acted that often
        :raises ValueError: there is no such fault; the message lists those there are
        """
        return self._state.faults.start(name, times=times)

    def heal(self, name: str | None = None) -> None:
        """Behave again: in this respect, or in all."""
        self._state.faults.heal(name)

    def browser(self) -> Browser:
        """A fresh browser, in which nobody is signed in here yet."""
        return Browser(self.app, self.issuer)

    def sign_in(
        self, url: str, person: str = "ada", *, approve: bool = True, decline: Collection[str] = ()
    ) -> str:
        """Open an authorization URL in a fresh browser, sign in, agree, and come back.

        :param url: where the client redirected its user to
        :param person: the username to choose
        :param approve: whether to agree or to say no
        :param decline: scopes not to agree to
        :returns: the callback URL with the response in its query
        :raises Stopped: the provider shows an error instead
        """
        return self.browser().sign_in(url, person, approve=approve, decline=decline)

    def config(self, *, client_id: str = "flask-parjar", **more: object) -> dict[str, Any]:
        """The configuration of an app that logs in here, with a fresh signing key.

        :param more: further ``PARJAR_`` keys
        """
        return {
            "PARJAR_ISSUER": self.issuer,
            "PARJAR_CLIENT_ID": client_id,
            "PARJAR_SIGNING_KEY": dict(new_ec_key().as_dict(private=True)),
            **more,
        }

    def connect(self, app: Flask, *, base_urls: Iterable[str] = TEST_CLIENT_BASE_URLS) -> None:
        """Register an app that uses flask_parjar, and let its requests come here without a socket.

        :param base_urls: where the app lives; unless given, where Flask's test client says it does
        :raises ValueError: none of the app's providers has our issuer
        """
        connect(self, app, base_urls=base_urls)

    def serve(self, port: int | None = None, *, host: str | None = None) -> None:
        """Serve on this machine until interrupted.

        :param port: that of the issuer unless given
        :param host: that of the issuer unless given; a loopback address
        :raises ValueError: the host can be reached from elsewhere, or the issuer names another port
        """
        server = loopback_server(self.app, self.issuer, port=port, host=host)
        try:
            server.serve_forever()
        finally:
            server.server_close()

    @contextlib.contextmanager
    def running(self, port: int | None = None, *, host: str | None = None) -> Iterator[str]:
        """Serve on this machine for the time of a ``with`` block; gives the issuer."""
        server = loopback_server(self.app, self.issuer, port=port, host=host)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self.issuer
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _client_keys(
        self, jwks: Mapping[str, object] | None, jwks_uri: str | None
    ) -> FixedKeys | PublishedKeys:
        if jwks is not None and jwks_uri is None:
            return FixedKeys(jwks)
        if jwks_uri is not None and jwks is None:
            return PublishedKeys(jwks_uri, http=self.http, now=self._state.now)
        raise ValueError("signed requests need the client's keys: give jwks or jwks_uri, not both")


def _check_secret(secret: str | None, method: str) -> None:
    if method.startswith("client_secret_") and not secret:
        raise ValueError(f"{method} needs a client_secret")
    if method == "client_secret_jwt" and len(str(secret)) < _MIN_SECRET_BYTES:
        raise ValueError(f"{method} needs a client_secret of {_MIN_SECRET_BYTES} characters")
