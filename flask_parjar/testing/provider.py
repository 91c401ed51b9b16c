"""DevProvider: a real OpenID provider in one Flask app, for development and for tests.

It asks for signed and pushed requests (RFC 9101, RFC 9126) and checks them as strictly as the
standards allow, so that a client that works here has kept its promises. On demand it misbehaves.
It knows no passwords: whoever reaches it can be anyone. It stays on this machine.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask

from .app import create_app
from .browser import Browser
from .clients import Client
from .connect import connect
from .faults import ActiveFault
from .keys import new_ec_key
from .logout_notices import mint_logout_token, notify_person
from .metadata import provider_metadata
from .people import PEOPLE, STANDARD_SCOPES, Person
from .registration import check_registration, client_keys
from .serving import loopback_server, running
from .sessions import end_all_sessions
from .state import Call, ProviderState

# Over https where a test wants secure cookies.
TEST_CLIENT_BASE_URLS = ("http://localhost", "https://localhost")


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
        #: Fetches the clients' ``jwks_uri`` and posts logout tokens to them; a test mounts an
        #: adapter on it.
        self.http: requests.Session = requests.Session()
        self._state = ProviderState(
            issuer=issuer,
            metadata=provider_metadata(issuer),
            # copies: what a test writes into their claims is nobody else's
            people={each.username: replace(each, claims=dict(each.claims)) for each in people},
            now=now,
            http=self.http,
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

    @property
    def access_token_seconds(self) -> int:
        """How long, in seconds, the access tokens hold that are given out from now on."""
        return self._state.access_token_seconds

    @access_token_seconds.setter
    def access_token_seconds(self, seconds: int) -> None:
        self._state.access_token_seconds = seconds

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
        backchannel_logout_uri: str | None = None,
        frontchannel_logout_uri: str | None = None,
    ) -> Client:
        """Register a client, or register it anew.

        :param jwks: its public keys, each with a ``kid``; or ``jwks_uri``, where it publishes them
        :param client_secret: for the ``client_secret_*`` methods; ``client_secret_jwt`` needs 32
            characters
        :param scope: what it may ask for besides the standard scopes, separated by spaces
        :param id_token_signed_response_alg: of ID tokens and logout tokens; the first of the
            metadata's list unless given
        :param backchannel_logout_uri: where a logout token is posted when a session ends
        :param frontchannel_logout_uri: what the signed-out page loads in a frame
        :raises ValueError: what is wrong with the registration

        RFC 7591 section 2
        """
        client = Client(
            client_id=client_id,
            keys=client_keys(jwks, jwks_uri, http=self.http, now=self._state.now),
            redirect_uris=tuple(redirect_uris),
            post_logout_redirect_uris=tuple(post_logout_redirect_uris),
            token_endpoint_auth_method=token_endpoint_auth_method,
            client_secret=client_secret,
            scopes=frozenset((*STANDARD_SCOPES, *(scope or "").split())),
            client_name=client_name or client_id,
            id_token_signed_response_alg=id_token_signed_response_alg,
            backchannel_logout_uri=backchannel_logout_uri,
            frontchannel_logout_uri=frontchannel_logout_uri,
        )
        check_registration(client)
        self._state.clients[client_id] = client
        return client

    def rotate_keys(self) -> None:
        """Sign with new keys from now on. The ones until now stay published, older ones do not."""
        self._state.keys.rotate()

    def fault(self, name: str, *, times: int | None = None) -> ActiveFault:
        """Misbehave from now on, until :meth:`heal`, or until the end of a ``with`` block.

        :param name: one of ``FAULTS`` or ``REFRESH_FAULTS``
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

    def end_session(self, username: str) -> None:
        """End all sessions of a person, in whichever browser, as an administrator would.

        Each client that knew of one is sent a logout token that names the person and no session.

        :raises ValueError: nobody of that name lives here

        OpenID Connect Back-Channel Logout section 2.5
        """
        if username not in self.people:
            raise ValueError(f"nobody is called {username!r}; there are: {', '.join(self.people)}")
        sub = self.people[username].sub
        ended = end_all_sessions(sub, provider=self._state)
        notify_person(ended, sub=sub, provider=self._state)

    def logout_token(
        self,
        *,
        client_id: str = "flask-parjar",
        sub: str | None = None,
        sid: str | None = None,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A signed logout token, to post to a client by hand; it may be spoilt.

        :param sub: the person; left out unless given
        :param sid: the session, as the client's ID token names it; left out unless given
        :param header: members to put in place of the honest ones; None takes one away. With an
            ``alg`` that the provider has, the token is signed so; with another, the header lies
        :param claims: likewise
        :raises ValueError: there is no such client

        OpenID Connect Back-Channel Logout section 2.4
        """
        client = self.clients.get(client_id)
        if client is None:
            raise ValueError(f"no client is registered as {client_id!r}")
        return mint_logout_token(
            client, sub=sub, sid=sid, provider=self._state, header=header, claims=claims
        )

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
        with running(server):
            yield self.issuer
