"""Warnings about an app that starts, but will probably not do what its author wants.

Nothing is decided here. Warnings about the configuration are logged at start. Warnings about the
whole app, such as its own routes, are logged at the first request. ``flask parjar doctor`` shows
both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.routing import Rule

from ..config import Settings
from ..protocol.client import ClientConfig
from ..protocol.urls import is_loopback
from .cookie_diagnosis import cookie_faults, same_site_of
from .own_urls import OWN_ENDPOINTS, callback_paths, find_callback
from .unguarded import guards_that_need_a_store, uncalled_guards

log: logging.Logger = logging.getLogger("flask_parjar")

#: Which of the two is used depends on the order in which they were added.
ADVICE_FOR_A_SHADOWED_ROUTE = (
    "Set PARJAR_URL_PREFIX, such as /auth, or give the app's page another path"
)

#: Where the redirect URI has another path than our callback.
ADVICE_FOR_ANOTHER_CALLBACK = (
    'Set PARJAR_URL_PREFIX, or keep the path with app.add_url_rule("/the/path", "parjar.callback")'
)

_SHORTEST_SECRET_KEY = 12  # characters; a shorter one can be guessed


def log_start_warnings(app: Flask, settings: Settings) -> None:
    """Log the warnings about the configuration."""
    for warning in start_warnings(app, settings):
        log.warning("%s", warning)
    for client in settings.providers.values():
        for warning in _redirect_uri_warnings(app.config, client):
            log.warning("%s", warning)


def start_warnings(app: Flask, settings: Settings) -> Iterator[str]:
    """The warnings about choices that weaken logins."""
    yield from settings.warnings
    length = len(app.secret_key or "")
    if length < _SHORTEST_SECRET_KEY:
        yield (
            f"SECRET_KEY has {length} characters, so it can be guessed, and with it anybody can "
            "log in as anybody: write 32 or more random bytes"
        )


def _redirect_uri_warnings(config: Mapping[str, Any], client: ClientConfig) -> Iterator[str]:
    """Why logins will probably not come back to the URL that is configured for it."""
    if client.redirect_uri is None:
        yield from _strict_cookie_warnings(config, client)
        return
    uri, parts = client.redirect_uri, urlsplit(client.redirect_uri)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield (
            f"PARJAR_REDIRECT_URI of provider {client.name!r} is {uri}: write an https URL; over "
            "http others can read what comes back"
        )
    for fault in cookie_faults(config, callback_url=uri, provider_url=client.issuer):
        yield f"logins at provider {client.name!r} will be lost: {fault}"


def _strict_cookie_warnings(config: Mapping[str, Any], client: ClientConfig) -> Iterator[str]:
    """The cookie setting that loses logins at most sites, where our own is not known yet."""
    provider = urlsplit(client.issuer).hostname or ""
    if same_site_of(config) == "Strict" and not is_loopback(provider):
        yield (
            f"logins at provider {client.name!r} will be lost, unless this app is at the same site "
            f"as {provider}: SESSION_COOKIE_SAMESITE is Strict, and a browser that comes back from "
            "another site sends no such cookie: use Lax, or set PARJAR_REDIRECT_URI, so that this "
            "can be known"
        )


def log_first_request_warnings(app: Flask, settings: Settings) -> None:
    """Log the warnings about the whole app, at its first request only."""
    given = parjar_keys(app)

    def check() -> None:
        before = app.before_request_funcs[None]
        # A new list: Flask is going through the old one, and must not miss the next function.
        app.before_request_funcs[None] = [each for each in before if each is not check]
        of_the_app = (
            late_keys(app, given),
            _shadowed_route_warnings(app),
            _callback_warnings(app, settings),
            uncalled_guards(app),
        )
        for warning in chain.from_iterable(of_the_app):
            log.warning("%s", warning)
        if settings.store is None:
            for warning in guards_that_need_a_store(app):
                log.warning("%s", warning)

    # Before the functions of the app: one of them may be a guard.
    app.before_request_funcs.setdefault(None, []).insert(0, check)


def parjar_keys(app: Flask) -> dict[str, Any]:
    """The PARJAR_ keys of an app as they are now."""
    return {name: value for name, value in app.config.items() if name.startswith("PARJAR_")}


def late_keys(app: Flask, given: Mapping[str, Any]) -> Iterator[str]:
    """The keys that were changed too late.

    :param given: what `parjar_keys` gave when ParJar read them.
    """
    now = parjar_keys(app)
    for name in sorted({*now, *given}):
        if now.get(name) != given.get(name):
            yield f"{name} was changed after ParJar read it, which has no effect: set it before"


def shadowed_routes(app: Flask) -> Iterator[tuple[Rule, Rule]]:
    """Each route of ours with a route of the app at the same path: one of the two is never used."""
    ours = [rule for rule in app.url_map.iter_rules() if rule.endpoint in OWN_ENDPOINTS]
    for rule in app.url_map.iter_rules():
        for own in ours:
            if rule.endpoint not in OWN_ENDPOINTS and _is_same_route(rule, own):
                yield own, rule


def _shadowed_route_warnings(app: Flask) -> Iterator[str]:
    for own, rule in shadowed_routes(app):
        yield (
            f"{own.rule} is a route of Flask-ParJar, and the app has one of its own there "
            f"({rule.endpoint}): one of the two is never used. {ADVICE_FOR_A_SHADOWED_ROUTE}"
        )


def _callback_warnings(app: Flask, settings: Settings) -> Iterator[str]:
    for client in settings.providers.values():
        uri = client.redirect_uri
        if uri is not None and find_callback(app, uri, client.name) is None:
            yield (
                f"PARJAR_REDIRECT_URI of provider {client.name!r} is {uri}, and this app has its "
                f"callback at {callback_paths(app, client.name)[0]}: unless a proxy changes the "
                f"path, each login ends in a 404. {ADVICE_FOR_ANOTHER_CALLBACK}"
            )


def _is_same_route(one: Rule, other: Rule) -> bool:
    return (
        re.sub("<.*?>", "<>", one.rule) == re.sub("<.*?>", "<>", other.rule)
        and one.subdomain == other.subdomain
        and not (one.methods or set()).isdisjoint(other.methods or set())
    )
