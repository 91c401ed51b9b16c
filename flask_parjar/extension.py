"""`ParJar`: what an app imports, and how one app's state is built."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flask import Flask, make_response
from flask.typing import ResponseReturnValue

from . import signals, tokens, views
from .cli import parjar_cli
from .config import Settings, read_settings
from .error_page import add_headers, show_error
from .errors import ConfigError, ParJarError
from .flows.open_sessions import OpenSessions
from .protocol.authorization import LoginOptions
from .protocol.identity import Identity
from .provider import ApiSession, Http, OnCall, Provider, ProviderCall
from .session import current_user, keep_private
from .state import EXTENSION, AppState, Hooks, check_app, sealing_secrets
from .stores import MemoryStore, Store, open_store
from .tokens import set_token_cookies

log: logging.Logger = logging.getLogger("flask_parjar")

_LONGEST_STORE_TIMEOUT = 2  # seconds: a store is near, or it is broken

UserLoader = TypeVar("UserLoader", bound=Callable[[Identity], Any])
ErrorHandler = TypeVar("ErrorHandler", bound=Callable[[ParJarError], ResponseReturnValue])
OptionsChooser = TypeVar("OptionsChooser", bound=Callable[[], LoginOptions | None])


class ParJar:
    """Log people in with signed and pushed OpenID Connect requests.

    Use it as ``ParJar(app)``, or make one beside your factory and call `init_app` in it. It holds
    the hooks you register and nothing else: each app has a state of its own.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._hooks = Hooks()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the configuration and add the routes. Nothing is fetched: the provider may be down.

        Reads ``SECRET_KEY``, ``SECRET_KEY_FALLBACKS`` and every ``PARJAR_`` key: ``PARJAR_ISSUER``,
        ``PARJAR_CLIENT_ID``, ``PARJAR_CLIENT_SECRET``, ``PARJAR_CLIENT_AUTH``,
        ``PARJAR_ASSERTION_AUDIENCE``, ``PARJAR_SIGNING_KEY``, ``PARJAR_ASSERTION_KEY``,
        ``PARJAR_SIGNING_ALG``, ``PARJAR_ID_TOKEN_ALGS``, ``PARJAR_SCOPES``, ``PARJAR_USERINFO``,
        ``PARJAR_AUTHORIZATION_PARAMS``, ``PARJAR_RESPONSE_MODE``, ``PARJAR_REDIRECT_URI``,
        ``PARJAR_POST_LOGOUT_REDIRECT_URI``, ``PARJAR_METADATA``, ``PARJAR_TRUSTED_AUDIENCES``,
        ``PARJAR_CLOCK_SKEW``, ``PARJAR_PROVIDERS``, ``PARJAR_URL_PREFIX``, ``PARJAR_AFTER_LOGIN``,
        ``PARJAR_AFTER_LOGOUT``, ``PARJAR_STORE``, ``PARJAR_SESSION_LIFETIME``,
        ``PARJAR_IDLE_TIMEOUT``, ``PARJAR_TRANSACTION_LIFETIME``, ``PARJAR_HTTP_TIMEOUT``,
        ``PARJAR_CA_BUNDLE``, ``PARJAR_INSECURE_HTTP``, ``PARJAR_INSECURE_UNSIGNED_REQUEST``,
        ``PARJAR_INSECURE_UNPUSHED_REQUEST``. See ``docs/configuration``.

        :raises ConfigError: with every fault of the configuration.
        :raises RuntimeError: if the app has a ParJar already.
        """
        check_app(app)
        settings = read_settings(app.config, secret_key=app.secret_key)
        http = Http(timeout=settings.http_timeout, ca_bundle=settings.ca_bundle)
        tell = _teller(app)
        providers = {
            name: Provider(client, http, on_call=tell)
            for name, client in settings.providers.items()
        }
        store = _open_store(app, settings)
        for warning in settings.warnings:
            log.warning("%s: logins are weaker than this library's promise", warning)
        _set_cookie_defaults(app, settings)
        app.register_blueprint(
            views.make_blueprint(url_prefix=settings.url_prefix, named=settings.named)
        )
        app.after_request(keep_private)
        if settings.store == "sealed":
            app.after_request(set_token_cookies)
        app.register_error_handler(ParJarError, show_error)
        app.jinja_env.globals["current_user"] = current_user
        app.cli.add_command(parjar_cli)
        app.extensions[EXTENSION] = AppState(
            settings=settings,
            providers=providers,
            http=http,
            hooks=self._hooks,
            store=store,
            sessions=None
            if store is None
            else OpenSessions(store, lifetime=settings.session_lifetime, secrets=sealing_secrets),
            process=MemoryStore(),
        )

    def login(
        self,
        provider: str | None = None,
        *,
        next: str | None = None,
        scopes: Sequence[str] | None = None,
        login_hint: str | None = None,
        prompt: str | None = None,
        max_age: int | None = None,
        acr_values: Sequence[str] = (),
        essential_acr: bool = False,
        ui_locales: str | None = None,
        claims: Mapping[str, Any] | None = None,
        authorization_details: Sequence[Mapping[str, Any]] | None = None,
        resource: str | Sequence[str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> ResponseReturnValue:
        """Start a login from a view of your own: ``return parjar.login("work", prompt="login")``.

        :param provider: a name in PARJAR_PROVIDERS; not needed where there is one provider.
        :param next: the path of this site to come back to; PARJAR_AFTER_LOGIN if None.

        The rest are the fields of `LoginOptions`.

        :raises LoginError: the provider refused the request, or no agreement was found.
        :raises ProviderUnavailable: the provider, or the way to it, is broken.
        """
        options = LoginOptions(
            provider=provider,
            scopes=scopes,
            login_hint=login_hint,
            prompt=prompt,
            max_age=max_age,
            acr_values=acr_values,
            essential_acr=essential_acr,
            ui_locales=ui_locales,
            claims=claims,
            authorization_details=authorization_details,
            resource=resource,
            params=params or {},
        )
        return add_headers(make_response(views.start_login(provider, options, next=next)))

    def access_token(self) -> str:
        """A live access token of whoever is logged in, renewed first where its end is near.

        However many requests ask at once, it is renewed once: in one process with ``sealed`` and
        ``memory``, in all processes on all machines with Redis.

        :raises LoginRequired: nobody is logged in, or their tokens have ended.
        :raises ProviderUnavailable: it must be renewed, and the provider cannot do it now.
        :raises StoreUnavailable: PARJAR_STORE does not answer.
        :raises RuntimeError: PARJAR_STORE is ``session``, which keeps no tokens.

        RFC 6749 section 6.
        """
        return tokens.access_token()

    def api(self, base_url: str) -> ApiSession:
        """A `requests.Session` for an API, in the name of whoever is logged in.

        It sends the access token to the origin of `base_url` alone, takes URLs relative to it, and
        turns an answer that asks for a stronger login into that login, and back to this page.

        :raises ValueError: `base_url` is neither https nor on this machine.
        :raises LoginRequired: nobody is logged in.
        :raises RuntimeError: PARJAR_STORE is ``session``, which keeps no tokens.

        RFC 6750 section 2.1, RFC 9470.
        """
        return tokens.open_api(base_url)

    def public_jwks(self) -> dict[str, list[Any]]:
        """The public halves of our keys, as ``/.well-known/jwks.json`` serves them (RFC 7517)."""
        return views.public_jwks()

    def user_loader(self, load: UserLoader) -> UserLoader:
        """Register the function that finds the app's user for an `Identity`.

        It is called at login and once in each request that asks who is there; its result is
        ``current_user.user``. Where it returns None, nobody is logged in.
        """
        self._hooks.user_loader = load
        return load

    def error_handler(self, show: ErrorHandler) -> ErrorHandler:
        """Register the function that answers for a `ParJarError` in place of our page."""
        self._hooks.error_handler = show
        return show

    def login_options(self, choose: OptionsChooser) -> OptionsChooser:
        """Register the function that chooses `LoginOptions` for each login begun at ``/login``."""
        self._hooks.login_options = choose
        return choose


def _set_cookie_defaults(app: Flask, settings: Settings) -> None:
    """Give the session cookie safe attributes where the app left them unset."""
    if app.config.get("SESSION_COOKIE_SAMESITE") is None:
        # Strict would lose every login on its way back; unset is left to each browser's mood.
        app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    # Flask's own default for Secure is False, which says nothing of the site: on plain http, as in
    # development, True would lose every cookie. So it is switched on where the configuration itself
    # says that every login comes back by https, and only there. (Whoever writes False cannot be
    # told from whoever writes nothing; to keep it off on such a site, write None.)
    callbacks = [client.redirect_uri or "" for client in settings.providers.values()]
    only_https = all(url.startswith("https:") for url in callbacks)
    if only_https and app.config.get("SESSION_COOKIE_SECURE") is False:
        app.config["SESSION_COOKIE_SECURE"] = True


def _open_store(app: Flask, settings: Settings) -> Store | None:
    """Open the store that all visitors share, where the site has one."""
    if settings.store in ("session", "sealed"):
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
    clients = sorted((each.issuer, each.client_id) for each in settings.providers.values())
    digest = hashlib.sha256(repr(clients).encode("utf-8")).hexdigest()[:12]
    try:
        return open_store(
            settings.store,
            prefix=f"parjar:{app.name}:{digest}:",
            timeout=min(settings.http_timeout, _LONGEST_STORE_TIMEOUT),
        )
    except ValueError as exc:
        raise ConfigError([f"PARJAR_STORE: {exc}"]) from exc


def _teller(app: Flask) -> OnCall:
    """Make the function that turns a call to a provider into a signal of this app."""

    def tell(describe: Callable[[], ProviderCall]) -> None:
        if signals.provider_called.receivers:
            signals.tell(signals.provider_called, app, dataclasses.asdict(describe()))

    return tell
