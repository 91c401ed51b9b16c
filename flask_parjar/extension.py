"""`ParJar`, the extension, and how the runtime of one app is built."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Flask, has_request_context, make_response
from flask.typing import ResponseReturnValue
from werkzeug.routing import Rule

from . import signals
from .cli import parjar_cli
from .config import FollowedSettings, Settings
from .errors import ConfigError, ParJarError
from .flows.replay_cache import ReplayCache
from .flows.session_registry import SessionRegistry
from .protocol.authorization import LoginOptions
from .protocol.client import ClientConfig
from .protocol.identity import Identity
from .provider import ApiSession, CertificateFiles, Http, OnCall, Provider, ProviderCall
from .runtime import EXTENSION, Hooks, Runtime, check_app, sealing_secrets
from .stores import MemoryStore, Store, open_store
from .web import administration, tokens, views
from .web.administration import SessionInfo
from .web.caching import set_private_cache_control
from .web.error_page import add_headers, show_error
from .web.errors import AccessDenied, LoginRequired
from .web.last_use import set_last_use_cookie
from .web.own_urls import login_url
from .web.session import check_session_interface, current_user, known_session
from .web.start_warnings import log_first_request_warnings, log_start_warnings, parjar_keys
from .web.tokens import Tokens, set_token_cookies
from .web.unguarded import unguarded_routes

log: logging.Logger = logging.getLogger("flask_parjar")

_LONGEST_STORE_TIMEOUT = 2  # seconds: a store is close to the site, so a slow one is broken

UserLoader = TypeVar("UserLoader", bound=Callable[[Identity], Any])
ErrorHandler = TypeVar("ErrorHandler", bound=Callable[[Any], ResponseReturnValue])
OptionsChooser = TypeVar("OptionsChooser", bound=Callable[[], LoginOptions | None])


class ParJar:
    """Log people in with signed and pushed OpenID Connect requests.

    Use it as ``ParJar(app)``, or make one outside your app factory and call `init_app` in it. It
    has only the hooks that you register: each app has its own runtime.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._hooks = Hooks()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the configuration and add the routes. Nothing is fetched: the provider may be down.

        Reads ``SECRET_KEY``, ``SECRET_KEY_FALLBACKS`` and every ``PARJAR_`` key: ``PARJAR_ISSUER``,
        ``PARJAR_CLIENT_ID``, ``PARJAR_LABEL``, ``PARJAR_TENANTS``, ``PARJAR_CLIENT_SECRET``,
        ``PARJAR_CLIENT_AUTH``, ``PARJAR_ASSERTION_AUDIENCE``, ``PARJAR_SIGNING_KEY``,
        ``PARJAR_ASSERTION_KEY``, ``PARJAR_SIGNING_ALG``, ``PARJAR_ID_TOKEN_ALGS``,
        ``PARJAR_ENCRYPTION_KEY``,
        ``PARJAR_ID_TOKEN_ENCRYPTION``, ``PARJAR_USERINFO_ENCRYPTION``,
        ``PARJAR_REQUEST_ENCRYPTION_ALG``, ``PARJAR_REQUEST_ENCRYPTION_ENC``,
        ``PARJAR_SCOPES``, ``PARJAR_USERINFO``,
        ``PARJAR_AUTHORIZATION_PARAMS``, ``PARJAR_RESPONSE_MODE``, ``PARJAR_RESPONSE_ENCRYPTION``,
        ``PARJAR_REDIRECT_URI``,
        ``PARJAR_POST_LOGOUT_REDIRECT_URI``, ``PARJAR_PROVIDER_LOGOUT``, ``PARJAR_METADATA``,
        ``PARJAR_TRUSTED_AUDIENCES``, ``PARJAR_CLOCK_SKEW``, ``PARJAR_PROVIDERS``,
        ``PARJAR_URL_PREFIX``, ``PARJAR_AFTER_LOGIN``, ``PARJAR_AFTER_LOGOUT``, ``PARJAR_STORE``,
        ``PARJAR_SESSION_LIFETIME``, ``PARJAR_IDLE_TIMEOUT``, ``PARJAR_TRANSACTION_LIFETIME``,
        ``PARJAR_HTTP_TIMEOUT``, ``PARJAR_CA_BUNDLE``, ``PARJAR_PROFILE``, ``PARJAR_REQUEST``,
        ``PARJAR_REQUEST_AUDIENCE``, ``PARJAR_REQUEST_LIFETIME``, ``PARJAR_REQUEST_BESIDE``,
        ``PARJAR_ASSERTION_TYP``, ``PARJAR_ASSERTION_CLAIMS``, ``PARJAR_CLIENT_ASSERTION``,
        ``PARJAR_KEY_HEADERS``, ``PARJAR_HTTP_HEADERS``, ``PARJAR_END_SESSION_URL``,
        ``PARJAR_DPOP``, ``PARJAR_DPOP_AT_PAR``, ``PARJAR_INSECURE_HTTP``, ``PARJAR_CLIENT_CERT``,
        ``PARJAR_CLIENT_CERT_KEY``, ``PARJAR_BOUND_TOKENS``, ``PARJAR_PKCE``.
        See ``docs/configuration``.

        :raises ConfigError: ``config``, with every fault of the configuration.
        :raises RuntimeError: the app has a ParJar already, or uses ``host_matching``.
        """
        check_app(app)
        followed = FollowedSettings(app.config, secret_key=app.secret_key)
        settings = followed.settings()
        tell = _call_sender(app)
        providers = {
            name: Provider(partial(followed.client, name), _http(settings, client), on_call=tell)
            for name, client in settings.providers.items()
        }
        store = _open_store(app, settings)
        _set_cookie_defaults(app, settings)
        check_session_interface(app.session_interface)
        log_start_warnings(app, settings)
        log_first_request_warnings(app, settings)
        _add_to_app(app, settings)
        app.extensions[EXTENSION] = Runtime(
            settings=settings,
            providers=providers,
            hooks=self._hooks,
            store=store,
            sessions=None if store is None else _session_registry(store, settings),
            replays=None if store is None else ReplayCache(store),
            process_cache=MemoryStore(),
            given=parjar_keys(app),
        )

    def login(
        self, options: LoginOptions | None = None, *, next: str | None = None
    ) -> ResponseReturnValue:
        """Start a login from a view of your own: ``return parjar.login(LoginOptions(max_age=0))``.

        :param options: what this login asks for beyond the configuration.
        :param next: the path of this site to return to; None for PARJAR_AFTER_LOGIN.
        :raises LoginError: the provider refused the request, or no agreement with it is possible.
        :raises ProviderUnavailable: the provider or the network is broken.
        """
        if not isinstance(options, LoginOptions | None):
            raise TypeError(
                f"{options!r:.80} is no LoginOptions: write what this login asks for as "
                'LoginOptions(provider="work", prompt="login")'
            )
        asked = LoginOptions() if options is None else options
        return add_headers(make_response(views.start_login(asked.provider, asked, next=next)))

    def login_url(self, next: str | None = None, provider: str | None = None) -> str:
        """The URL of the login, with the page to return to; ``login_url`` in templates.

        :param next: the path of this site to return to, as ``url_for`` gives it; None for the
            current page, or after a POST the page of the form.
        :param provider: a name in PARJAR_PROVIDERS.
        :raises LoginError: ``provider_unknown``.
        """
        return login_url(next, provider)

    def access_token(self, *, fresh: bool = False) -> str:
        """A live access token of the person who is logged in, renewed first if it is about to end.

        If several requests ask at once, it is renewed once: within one process with ``cookie`` and
        ``memory``, in all processes on all machines with Redis.

        :param fresh: renew it now, whatever its age: for a token that an API does not accept any
            more, or if the provider does not say when tokens end.
        :raises LoginRequired: no one is logged in, or the tokens have ended.
        :raises LoginError: ``tokens_lost``: the tokens have ended just after a login.
        :raises ProviderUnavailable: it must be renewed, and the provider cannot do it now.
        :raises StoreUnavailable: PARJAR_STORE does not answer.
        :raises RuntimeError: PARJAR_STORE is not set, so no tokens are kept.

        RFC 6749 section 6.
        """
        return tokens.live(fresh=fresh).access_token

    def tokens(self) -> Tokens:
        """The tokens of the person who is logged in: the access token, its end and its scopes.

        :raises: what `access_token` raises.
        """
        return tokens.live()

    def authorization_headers(self, method: str, url: str) -> dict[str, str]:
        """The headers that another HTTP client needs to call an API: ``Authorization: Bearer …``.

        Ask for them before each request, with the method and the URL of this request: with
        PARJAR_DPOP the headers are valid for this one request only (``Authorization: DPoP …``, and
        a proof in ``DPoP``).

        :raises ValueError: `url` is neither https nor on this machine.
        :raises: what `access_token` raises.

        RFC 6750 section 2.1, RFC 9449 section 7.1.
        """
        return tokens.authorization_headers(method, url)

    def api(self, base_url: str) -> ApiSession:
        """A `requests.Session` for an API, with the access token of the person who is logged in.

        It sends the access token only to the origin of `base_url`, and accepts URLs relative to it.
        If the API answers that the token is not valid, the token is renewed, and the request is
        sent once more. If the API asks for a stronger login, the person is sent to that login, and
        then back to this page.

        :raises ValueError: `base_url` is neither https nor on this machine, or has a query.
        :raises LoginRequired: no one is logged in.
        :raises RuntimeError: PARJAR_STORE is not set, so no tokens are kept.

        RFC 6750 section 2.1, RFC 9470.
        """
        return tokens.open_api(base_url)

    def sessions(
        self, subject: str, *, provider: str | None = None, issuer: str | None = None
    ) -> list[SessionInfo]:
        """The active sessions of one account, oldest first, for a page of an administrator.

        There are 100 at most: a login that would be one more ends the oldest.

        :param subject: the ``sub``: ``current_user.subject`` of that person.
        :param provider: a name in PARJAR_PROVIDERS. Needed where there are several, because the
            same subject is another person at each issuer.
        :param issuer: the same by ``current_user.issuer``. Needed with PARJAR_TENANTS.
        :raises LoginError: ``provider_unknown``.
        :raises StoreUnavailable: PARJAR_STORE does not answer.
        :raises TypeError: it is not said where the account is.
        :raises RuntimeError: PARJAR_STORE keeps no list of sessions: it must be ``redis://…``.
        """
        return administration.sessions(subject, provider=provider, issuer=issuer)

    def end_sessions(
        self,
        session: str | SessionInfo,
        *,
        provider: str | None = None,
        issuer: str | None = None,
    ) -> int:
        """End one session, or all sessions of a subject, in whatever browser they are.

        They end at once in this process, and within five seconds in others. Their tokens are
        deleted, and revoked at the provider. The person can log in again.

        :param session: one of `sessions`, or a subject.
        :param provider: as for `sessions`; only with a subject.
        :param issuer: as for `sessions`; only with a subject.
        :returns: how many sessions were active.
        :raises: what `sessions` raises.
        """
        return administration.end_sessions(session, provider=provider, issuer=issuer)

    def unguarded_routes(self) -> list[Rule]:
        """The routes of the app that no guard protects, for a test or a check at start.

        A guard counts if it is on the view, on each method of a ``MethodView``, or on a
        ``before_request`` function of the app or of the blueprint. Our own routes are not listed.
        """
        return unguarded_routes(signals.this_app())

    def public_jwks(self) -> dict[str, list[Any]]:
        """Our public keys as a JWK Set, as ``/.well-known/jwks.json`` serves them (RFC 7517)."""
        return views.public_jwks()

    def user_loader(self, load: UserLoader) -> UserLoader:
        """Register the function that finds the app's user for an `Identity`.

        It is called at login, and once in each request that uses `current_user`; its result is
        ``current_user.user``. If it returns None, no one is logged in.
        """
        self._hooks.user_loader = load
        return load

    def error_handler(self, show: ErrorHandler) -> ErrorHandler:
        """Register the function that answers an error in place of our page.

        It gets a `ParJarError` or an `AccessDenied`, but never a `LoginRequired`.
        """
        self._hooks.error_handler = show
        return show

    def login_options(self, choose: OptionsChooser) -> OptionsChooser:
        """Register the function that chooses `LoginOptions` for each login begun at ``/login``."""
        self._hooks.login_options = choose
        return choose


def _http(settings: Settings, client: ClientConfig) -> Http:
    """The connections of one provider."""
    tls = None
    if client.client_cert is not None and client.client_cert_key is not None:
        tls = CertificateFiles(client.client_cert, client.client_cert_key)
    return Http(timeout=settings.http_timeout, ca_bundle=settings.ca_bundle, tls=tls)


def _add_to_app(app: Flask, settings: Settings) -> None:
    """Add the routes, what is done with every response, the template globals and the commands."""
    app.register_blueprint(
        views.make_blueprint(url_prefix=settings.url_prefix, named=settings.named)
    )
    app.after_request(set_private_cache_control)
    if settings.idle_timeout is not None:
        app.after_request(set_last_use_cookie)
    if settings.store == "cookie":
        app.after_request(set_token_cookies)
    _answer_errors(app)
    app.jinja_env.globals.update(current_user=current_user, login_url=login_url)
    app.cli.add_command(parjar_cli)


def _answer_errors(app: Flask) -> None:
    """Register the handlers of our errors, except where the app has its own.

    Flask looks for a handler by the status of an HTTP exception first, then by the nearest class.
    So a handler of the app for `ParJarError`, 401, HTTPException or Exception does not get what a
    guard raises.
    """
    for status, error in ((None, ParJarError), (401, LoginRequired), (403, AccessDenied)):
        if error not in app.error_handler_spec[None][status]:
            app.register_error_handler(error, show_error)


def _session_registry(store: Store, settings: Settings) -> SessionRegistry:
    return SessionRegistry(store, lifetime=settings.session_lifetime, secrets=sealing_secrets)


def _set_cookie_defaults(app: Flask, settings: Settings) -> None:
    """Give the session cookie safe attributes where the app left them unset."""
    if app.config.get("SESSION_COOKIE_SAMESITE") is None:
        # With Strict, every login would be lost at the callback; unset, each browser decides.
        app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    # Flask's default for Secure is False, on any site: on plain http, as in development, True would
    # lose every cookie. So we set it only if the configuration says that every login comes back by
    # https. (False in the configuration looks the same as the default; to keep it off on such a
    # site, write None.)
    callbacks = [client.redirect_uri or "" for client in settings.providers.values()]
    only_https = all(url.startswith("https:") for url in callbacks)
    if only_https and app.config.get("SESSION_COOKIE_SECURE") is False:
        app.config["SESSION_COOKIE_SECURE"] = True


def _open_store(app: Flask, settings: Settings) -> Store | None:
    """Open the store that all visitors share, where the site has one."""
    if settings.store in (None, "cookie"):
        return None
    if settings.store == "memory":
        if os.environ.get("WEB_CONCURRENCY", "1") not in ("", "0", "1"):
            raise ConfigError(
                [
                    "PARJAR_STORE is memory, and WEB_CONCURRENCY asks for several workers, which "
                    "share none: use redis://"
                ]
            )
        log.warning("PARJAR_STORE is memory: for tests, or one process that may forget")
    try:
        return open_store(
            settings.store,
            prefix=f"parjar:{app.name}:",  # the keys that need it name the client
            timeout=min(settings.http_timeout, _LONGEST_STORE_TIMEOUT),
        )
    except ValueError as exc:
        raise ConfigError([f"PARJAR_STORE: {exc}"]) from exc


def _call_sender(app: Flask) -> OnCall:
    """Make the function that sends a signal of this app for each call to a provider."""

    def tell(describe: Callable[[], ProviderCall]) -> None:
        if signals.provider_called.receivers:
            call = describe()
            about = _about(app.extensions[EXTENSION], call.provider)
            signals.send_observed(signals.provider_called, app, about, dataclasses.asdict(call))

    return tell


def _about(runtime: Runtime, provider: str) -> signals.About:
    """Whom a call to a provider is about: who is logged in, if this request knows it by now."""
    known = known_session() if has_request_context() else None
    record = None if known is None else known.record
    if record is None or record.provider != provider:
        return signals.About(runtime.providers[provider].issuer)
    return signals.About(record.issuer, record.subject, record.id)
