"""DevProvider: a real OpenID provider in one Flask app, for development and for tests.

It requires signed and pushed requests (RFC 9101, RFC 9126), unless it is told to allow others, and
checks them as strictly as the standards allow. On demand it misbehaves. It has no passwords: every
caller can sign in as any person. So it is served on loopback addresses only.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from werkzeug.serving import BaseWSGIServer

from ..protocol.issuer import OF_MANY_TENANTS, find_template
from ..protocol.request_level import REQUEST_LEVELS
from .access_tokens import introspect
from .app import create_app
from .authorization import end_all_sessions, forget_consents
from .browser import Browser
from .browser_endpoints import BrowserEndpoints
from .client_endpoints import ClientEndpoints
from .clients import Client, ClientMetadata, KeyCache
from .connect import connect
from .demands import Demands
from .documents import new_ec_key, path_prefix, provider_metadata
from .faults import ActiveFault
from .logout import LogoutEndpoints, mint_logout_token, notify_person
from .mutual_tls import ServerTLS, TrustedCertificates
from .people import PEOPLE, Person
from .presets import PRESETS, Preset, follow, with_fresh_keys
from .resource_server import ResourceServer
from .serving import loopback_server, running
from .state import Call, ProviderState

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# https for tests that use secure cookies.
TEST_CLIENT_BASE_URLS = ("http://localhost", "https://localhost")


class DevProvider:
    """An OpenID provider in this process.

    :param issuer: its issuer identifier; to serve it, a loopback address with a port
    :param people: who can sign in
    :param now: the clock, in seconds since 1970
    :param mtls: the URL below which the endpoints take client certificates: those of the metadata's
        ``mtls_endpoint_aliases``. By default the endpoints of an https issuer take them (RFC 8705)
    """

    def __init__(
        self,
        issuer: str = "http://127.0.0.1:9000",
        *,
        people: Iterable[Person] = PEOPLE,
        now: Callable[[], float] = time.time,
        mtls: str | None = None,
    ) -> None:
        for url in (issuer, mtls or issuer):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc or {"?", "#"} & {*url}:
                raise ValueError(f"an issuer is a URL without query and fragment, not {url!r}")
            if parts.path.rstrip("/") != path_prefix(issuer):
                raise ValueError(f"the URL of aliases has the path of the issuer, not {url!r}")
        self.issuer = issuer
        #: Fetches the clients' ``jwks_uri`` and posts logout tokens to them. A test can mount an
        #: adapter on it.
        self.http: requests.Session = requests.Session()
        self._state = ProviderState(
            issuer=issuer,
            metadata=provider_metadata(issuer, mtls=mtls),
            mtls=mtls,
            # copies, because a test may change the claims
            people={each.username: replace(each, claims=dict(each.claims)) for each in people},
            now=now,
            http=self.http,
        )
        self._preset: Preset | None = None
        self._trusted = TrustedCertificates()
        endpoints = (ClientEndpoints, BrowserEndpoints, LogoutEndpoints)
        self.app: Flask = create_app(
            self._state, [each(self._state).blueprint() for each in endpoints]
        )

    @classmethod
    def like(
        cls,
        preset: str | Preset,
        *,
        issuer: str = "http://127.0.0.1:9000",
        people: Iterable[Person] = PEOPLE,
        now: Callable[[], float] = time.time,
    ) -> DevProvider:
        """A provider that demands of its clients what a real one demands.

        What OAuth demands of everybody, such as PKCE with S256, it demands too, unless a rule
        refuses the parameters for it.

        :param preset: one of the names of ``PRESETS``, or a preset of your own
        :raises ValueError: there is no such preset; the message lists all
        """
        if isinstance(preset, str):
            if preset not in PRESETS:
                raise ValueError(f"there is no preset {preset!r}; there are: {', '.join(PRESETS)}")
            preset = PRESETS[preset]
        provider = cls(issuer, people=people, now=now)
        provider._preset = preset
        follow(preset, provider=provider._state)
        return provider

    @property
    def preset(self) -> Preset | None:
        """What the provider is like; None without :meth:`like`."""
        return self._preset

    @property
    def metadata(self) -> dict[str, object]:
        """The discovery document. Change it, and the provider follows it."""
        return self._state.metadata

    @property
    def people(self) -> dict[str, Person]:
        """Who can sign in, by username. You may add to it."""
        return self._state.people

    @property
    def clients(self) -> Mapping[str, Client]:
        """The registered clients, by ``client_id``."""
        return self._state.clients

    @property
    def calls(self) -> list[Call]:
        """The last 10,000 requests, in order. You may clear it."""
        return self._state.calls

    @property
    def clock_skew(self) -> int:
        """How far, in seconds, a client's clock may be ahead."""
        return self._state.clock_skew

    @clock_skew.setter
    def clock_skew(self, seconds: int) -> None:
        self._state.clock_skew = seconds

    @property
    def demands(self) -> Demands:
        """What the provider demands of clients beyond the standards. Change it."""
        return self._state.demands

    @property
    def key_cache(self) -> KeyCache:
        """How long the keys of a client's ``jwks_uri`` are kept.

        Set it before the client is registered.
        """
        return self._state.key_cache

    @key_cache.setter
    def key_cache(self, cache: KeyCache) -> None:
        self._state.key_cache = cache

    @property
    def access_token_seconds(self) -> int:
        """The lifetime, in seconds, of the access tokens that are issued from now on."""
        return self._state.access_token_seconds

    @access_token_seconds.setter
    def access_token_seconds(self, seconds: int) -> None:
        self._state.access_token_seconds = seconds

    @property
    def session_seconds(self) -> int | None:
        """How long, in seconds, the session of an app may last from an ID token on.

        The ``session_expiry`` of the ID tokens that are issued from now on says it; with None they
        have none, as at first (OpenID Connect Enterprise Extensions 1.0 section 2.1).
        """
        return self._state.session_seconds

    @session_seconds.setter
    def session_seconds(self, seconds: int | None) -> None:
        self._state.session_seconds = seconds

    @property
    def dpop_nonces(self) -> bool:
        """Whether DPoP proofs must have a nonce of ours (RFC 9449 section 8)."""
        return self._state.demands.dpop_nonces

    @dpop_nonces.setter
    def dpop_nonces(self, required: bool) -> None:
        self._state.demands.dpop_nonces = required

    def rotate_dpop_nonces(self) -> None:
        """Want new nonces in DPoP proofs from now on."""
        self._state.dpop_nonces.rotate()

    def register(self, metadata: ClientMetadata) -> Client:
        """Register a client, in place of any with the same ``client_id``.

        :raises ValueError: what is wrong with the metadata

        RFC 7591 section 2
        """
        client = self._state.register(metadata)
        for certificate in client.keys.certificates:
            self._trusted.trust(ssl.DER_cert_to_PEM_cert(certificate))
        return client

    def trust_certificate(self, pem: str) -> None:
        """Accept a client certificate that no authority of `ServerTLS` issued, for bound tokens."""
        self._trusted.trust(pem)

    def allow_requests(self, level: str) -> None:
        """Allow the requests of one more level; at first all must be pushed and signed.

        It changes ``require_pushed_authorization_requests`` and ``require_signed_request_object``
        of the metadata. Allow it before the app reads the metadata.

        :param level: a value of ``PARJAR_REQUEST``
        :raises ValueError: there is no such level
        """
        if level not in REQUEST_LEVELS:
            raise ValueError(f"{level!r} is not one of {', '.join(REQUEST_LEVELS)}")
        if not REQUEST_LEVELS[level].pushed:
            self.metadata["require_pushed_authorization_requests"] = False
        if not REQUEST_LEVELS[level].signed:
            self.metadata["require_signed_request_object"] = False

    def serve_tenants(self, tenants: Mapping[str, str]) -> None:
        """Be a provider of several tenants, as Microsoft Entra ID is with ``organizations``.

        The ``issuer`` of the metadata becomes a template. The tokens about a person have the
        ``tid`` of the person's tenant, and an ``iss`` that is made with it. Call it before the app
        reads the metadata; call it again, and people change their tenants.

        :param tenants: the identifier of the tenant of each person, by username
        :raises ValueError: the issuer has no segment that is replaced, or there is no such person
        """
        template = find_template(self.issuer)
        if template is None:
            raise ValueError(f"{self.issuer!r} has not one segment {' or '.join(OF_MANY_TENANTS)}")
        if unknown := sorted(tenants.keys() - self.people.keys()):
            raise ValueError(f"no person is called {', '.join(unknown)}")
        self.metadata["issuer"] = template
        for username, tenant in tenants.items():
            person = self.people[username]
            self.people[username] = replace(person, claims={**person.claims, "tid": tenant})

    def rotate_keys(self) -> None:
        """Sign with new keys from now on. The last keys stay published, older ones do not.

        If request objects are encrypted, there is a new key for that too. It alone is published,
        and the last one still decrypts.
        """
        self._state.keys.rotate()

    def fault(self, name: str, *, times: int | None = None) -> ActiveFault:
        """Misbehave from now on, until :meth:`heal`, or until the end of a ``with`` block.

        :param name: one of ``FAULTS`` or ``REFRESH_FAULTS``
        :param times: heal after this number of times
        :raises ValueError: there is no such fault; the message lists all faults
        """
        return self._state.faults.start(name, times=times)

    def heal(self, name: str | None = None) -> None:
        """Behave correctly again: end one fault, or all."""
        self._state.faults.heal(name)

    def browser(self) -> Browser:
        """A fresh browser, in which no one is signed in."""
        return Browser(self.app, self.issuer)

    def sign_in(
        self,
        url: str,
        person: str = "ada",
        *,
        approve: bool = True,
        scopes: Collection[str] | None = None,
        decline: Collection[str] = (),
    ) -> str:
        """Open an authorization URL in a fresh browser, sign in, agree, and return.

        :param url: the URL that the client redirected to
        :param person: the username to choose
        :param approve: whether to agree or to say no
        :param scopes: the only scopes to agree to; by default all
        :param decline: scopes not to agree to
        :returns: the callback URL with the response in its query
        :raises Stopped: the provider shows an error instead
        """
        return self.browser().sign_in(url, person, approve=approve, scopes=scopes, decline=decline)

    def forget_consents(self, username: str) -> None:
        """Ask a person about every scope again, as if they had never agreed to any.

        :raises ValueError: no person has that username
        """
        forget_consents(self._sub(username), provider=self._state)

    def end_session(self, username: str) -> None:
        """End all sessions of a person, in every browser, as an administrator would.

        Each client of such a session is sent a logout token with ``sub`` and without ``sid``.

        :raises ValueError: no person has that username

        OpenID Connect Back-Channel Logout section 2.5
        """
        sub = self._sub(username)
        ended = end_all_sessions(sub, provider=self._state)
        notify_person(ended, sub=sub, provider=self._state)

    def introspect(self, access_token: str) -> dict[str, object]:
        """What an API may know of an access token: ``{"active": False}`` if it is not valid.

        RFC 7662 section 2.2
        """
        return introspect(access_token, provider=self._state)

    def revoke_access_tokens(self) -> None:
        """Revoke all access tokens; refresh tokens stay valid.

        No site knows it before an API refuses its token.
        """
        self._state.memory.access_tokens.pop_all(lambda grant: True)

    def resource_server(
        self,
        app: WSGIApplication,
        *,
        audience: str | None = None,
        scopes: Collection[str] = (),
        acr_values: Collection[str] = (),
        max_age: int | None = None,
        dpop_nonces: bool = False,
    ) -> ResourceServer:
        """An API that takes the access tokens of this provider, for `mount_api`.

        :param app: the WSGI app that answers requests with a good token
        :param audience: see `ResourceServer`, as for the others
        """
        return ResourceServer(
            provider=self._state,
            app=app,
            audience=audience,
            scopes=scopes,
            acr_values=acr_values,
            max_age=max_age,
            dpop_nonces=dpop_nonces,
        )

    def _sub(self, username: str) -> str:
        if username not in self.people:
            raise ValueError(
                f"no person is called {username!r}; there are: {', '.join(self.people)}"
            )
        return self.people[username].sub

    def logout_token(
        self,
        *,
        client_id: str = "flask-parjar",
        sub: str | None = None,
        sid: str | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """A signed logout token, to post to a client yourself; correct or not.

        :param sub: the person; left out by default
        :param sid: the ``sid`` of the client's ID token; left out by default
        :param header: members that replace the correct ones; None as a value removes one. An
            ``alg`` that the provider has also signs the token; another one is only in the header
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

    def config(
        self, more: Mapping[str, object] | None = None, *, client_id: str = "flask-parjar"
    ) -> dict[str, Any]:
        """The configuration of an app that logs in here, with fresh keys.

        With a preset, it is that of the preset.

        :param more: further keys
        """
        signing_key = {"PARJAR_SIGNING_KEY": dict(new_ec_key().as_dict(private=True))}
        return {
            **(signing_key if self._preset is None else with_fresh_keys(self._preset.settings)),
            "PARJAR_ISSUER": self.issuer,
            "PARJAR_CLIENT_ID": client_id,
            **(more or {}),
        }

    def connect(self, app: Flask, *, base_urls: Iterable[str] = TEST_CLIENT_BASE_URLS) -> None:
        """Register an app that uses flask_parjar, and answer its requests without a socket.

        :param base_urls: the URLs of the app; by default those of Flask's test client
        :raises ValueError: none of the app's providers has our issuer
        """
        connect(app, provider=self._state, endpoints=self.app, base_urls=base_urls)
        for each in app.extensions["parjar"].settings.providers.values():
            if each.certificate is not None and each.client_auth != "tls_client_auth":
                self.trust_certificate(each.certificate.pem)

    def advise_on_redirect_uri(self, advice: str) -> None:
        """Say in the error message what to do about a redirect URI that is not registered."""
        self._state.advice_for_redirect_uri = f" ({advice})"

    def serve(
        self, port: int | None = None, *, host: str | None = None, tls: ServerTLS | None = None
    ) -> None:
        """Serve on this machine until it is interrupted.

        :param port: by default that of the issuer
        :param host: a loopback address; by default that of the issuer
        :param tls: for an https issuer
        :raises ValueError: the host is not a loopback address, or the issuer has another port
        """
        with contextlib.ExitStack() as stack:
            server, *of_aliases = self._servers(stack, port=port, host=host, tls=tls)
            for each in of_aliases:
                stack.enter_context(running(each))
            server.serve_forever()

    @contextlib.contextmanager
    def running(
        self, port: int | None = None, *, host: str | None = None, tls: ServerTLS | None = None
    ) -> Iterator[str]:
        """Serve on this machine during a ``with`` block, which gets the issuer."""
        with contextlib.ExitStack() as stack:
            for server in self._servers(stack, port=port, host=host, tls=tls):
                stack.enter_context(running(server))
            yield self.issuer

    def _servers(
        self,
        stack: contextlib.ExitStack,
        *,
        port: int | None,
        host: str | None,
        tls: ServerTLS | None,
    ) -> list[BaseWSGIServer]:
        """The server of the issuer, and that of the aliases if they have one of their own.

        The first asks for certificates only if there are no aliases (RFC 8705 section 5).
        """
        bases = [self.issuer] if self._state.mtls is None else [self.issuer, self._state.mtls]
        servers = []
        for base in bases:
            context = None
            if tls is not None:
                context = tls.context(asks=base == bases[-1], trusted=self._trusted)
            wanted = port if base == self.issuer else None
            server = loopback_server(self.app, base, port=wanted, host=host, context=context)
            stack.callback(server.server_close)
            servers.append(server)
        return servers
