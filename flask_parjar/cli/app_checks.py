"""What ``flask parjar doctor`` looks at in the app itself: routes, guards, cookies, the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ..config import key_paths
from ..errors import StoreUnavailable
from ..protocol.client import ClientConfig
from ..web.cookie_diagnosis import cookie_faults, is_sent_in_clear_text
from ..web.own_urls import OWN_ENDPOINTS, callback_paths, find_callback, url_at
from ..web.start_warnings import (
    ADVICE_FOR_A_SHADOWED_ROUTE,
    ADVICE_FOR_ANOTHER_CALLBACK,
    late_keys,
    shadowed_routes,
    start_warnings,
)
from ..web.unguarded import uncalled_guards
from .findings import FAULT, GOOD, WARNING, Finding, of_error
from .site import is_on_this_machine, is_site_known, runtime_of, site_of

_LET_THEM_THROUGH = (
    'let the requests of the blueprint "parjar" pass: with Flask-WTF '
    'csrf.exempt(app.blueprints["parjar"]), in a function of your own '
    'if request.blueprint == "parjar": return'
)
_MEMORY = (
    "it is memory: for tests, or for one process, which forgets the sessions when it is restarted"
)


def check_app_wide(app: Flask) -> Iterator[Finding]:
    """Look at what all providers share."""
    runtime = runtime_of(app)
    yield _of_app(GOOD, "configuration", "it has no faults")
    for warning in start_warnings(app, runtime.settings):
        yield _of_app(WARNING, "configuration", warning)
    for late in late_keys(app, runtime.given):
        yield _of_app(WARNING, "configuration", late)
    for unprotected in uncalled_guards(app):
        yield _of_app(FAULT, "guard", unprotected)
    yield from _check_key_files(runtime.given)
    yield from _check_routes(app)
    yield from _check_store(app)


def _of_app(severity: str, subject: str, found: str, write: str = "") -> Finding:
    return Finding(severity=severity, about="app", subject=subject, found=found, write=write)


def _check_key_files(given: Mapping[str, Any]) -> Iterator[Finding]:
    """Look who can read our private keys."""
    for path in key_paths(given):
        if os.name == "posix" and path.stat().st_mode & 0o077:
            yield _of_app(
                WARNING,
                "key file",
                f"{path} can be read or changed by other users of this machine",
                f"chmod 600 {path}",
            )


def _check_routes(app: Flask) -> Iterator[Finding]:
    """Look for routes of the app at the path of one of ours: only one of the two is ever used."""
    for own, other in shadowed_routes(app):
        hidden = _endpoint_at(app, own) != own.endpoint
        used, never = (other.endpoint, own.endpoint) if hidden else (own.endpoint, other.endpoint)
        yield _of_app(
            FAULT if hidden else WARNING,
            "route",
            f"{own.rule} belongs to two views: {used} is used, and {never} is not",
            ADVICE_FOR_A_SHADOWED_ROUTE,
        )


def _endpoint_at(app: Flask, rule: Rule) -> str | None:
    """The endpoint that a request for the path of a rule reaches."""
    values = dict.fromkeys(rule.arguments, "any")
    adapter = app.url_map.bind("localhost", subdomain=rule.subdomain)
    method = "POST" if rule.methods == {"POST", "OPTIONS"} else "GET"
    return _matched(app, adapter.build(rule.endpoint, values), method, rule.subdomain)


def _matched(app: Flask, path: str, method: str, subdomain: str | None = None) -> str | None:
    try:
        endpoint, _ = app.url_map.bind("localhost", subdomain=subdomain).match(path, method=method)
    except HTTPException:  # a redirect, too
        return None
    return str(endpoint)


def _check_store(app: Flask) -> Iterator[Finding]:
    runtime = runtime_of(app)
    if runtime.store is None:
        kept = "cookie" if runtime.settings.store == "cookie" else "not set: no tokens are kept"
        yield _of_app(GOOD, "PARJAR_STORE", kept)
        return
    if runtime.settings.store == "memory":
        yield _of_app(WARNING, "PARJAR_STORE", _MEMORY, "write redis://… for a site in production")
        return
    try:
        runtime.store.get("doctor")
    except StoreUnavailable as error:
        yield of_error(error, about="app", subject="PARJAR_STORE")
    else:
        yield _of_app(GOOD, "PARJAR_STORE", "it answers")


def check_site_of_provider(
    app: Flask, client: ClientConfig, *, site: str | None
) -> Iterator[Finding]:
    """Look at the way back from a provider: the callback, and the cookie that a login needs there.

    :param site: the value of the option ``--site``.
    """
    where = site_of(app, client, site=site)
    callback = client.redirect_uri or url_at(app, "parjar.callback", client.name, site=where)
    known = is_site_known(client, site)
    yield _check_callback(app, client, callback)
    yield from _check_before_requests(app, client, where)
    if not known:
        yield _of(
            WARNING,
            client,
            "redirect URI",
            "PARJAR_REDIRECT_URI is not set, so the Host header of each request decides it",
            f"set it to the URL of your site, {callback.replace(where, 'https://your.site', 1)}; "
            "or say where the site is: --site URL",
        )
    elif callback.startswith("http:") and not is_on_this_machine(callback):
        found = f"{callback}: over http others can read what comes back"
        yield _of(WARNING, client, "redirect URI", found, "write an https URL")
    yield from _check_cookie(app, client, callback, known=known)


def _of(severity: str, client: ClientConfig, subject: str, found: str, write: str = "") -> Finding:
    return Finding(severity=severity, about=client.name, subject=subject, found=found, write=write)


def _check_callback(app: Flask, client: ClientConfig, callback: str) -> Finding:
    """Look whether the app has its callback at the path of the redirect URI."""
    own = find_callback(app, callback, client.name)
    if own is None:
        instead = callback_paths(app, client.name)[0]
        return _of(
            FAULT,
            client,
            "redirect URI",
            f"{callback} is not the callback of this app, which is at {instead}: each login ends "
            "in a 404, unless a proxy changes the path",
            f"correct PARJAR_REDIRECT_URI. {ADVICE_FOR_ANOTHER_CALLBACK}",
        )
    method = "POST" if client.response_mode in ("form_post", "form_post.jwt") else "GET"
    reached = _matched(app, own, method)
    if reached != "parjar.callback":
        found = f"{method} {own} reaches {reached or 'no view'}, not the callback"
        return _of(FAULT, client, "callback", found, ADVICE_FOR_A_SHADOWED_ROUTE)
    return _of(GOOD, client, "callback", callback)


def _check_before_requests(app: Flask, client: ClientConfig, site: str) -> Iterator[Finding]:
    """Look whether the functions before each request let those of a login and a logout pass.

    Only these functions are called, and none of our views.
    """
    posted = client.response_mode in ("form_post", "form_post.jwt")
    requests = [("GET", "login"), ("POST" if posted else "GET", "callback"), ("POST", "logout")]
    if runtime_of(app).sessions is not None:
        requests.append(("POST", "backchannel_logout"))
    stopped: dict[tuple[str, str], list[str]] = {}
    for method, name in requests:
        path = urlsplit(url_at(app, f"parjar.{name}", client.name, site="http://root")).path
        outcome = _outcome_before(app, path, method, site)
        if outcome is not None:
            stopped.setdefault(outcome, []).append(f"{method} {path}")
    for (severity, what), those in stopped.items():
        found = f"{', '.join(those)}: a function before the view {what}"
        yield _of(severity, client, "before_request", found, _LET_THEM_THROUGH)


def _outcome_before(app: Flask, path: str, method: str, site: str) -> tuple[str, str] | None:
    """The severity and a description of what a function before the view does to a request.

    :returns: None if the view is called, or if the app has another one there.
    """
    parts = urlsplit(site)
    host = app.config["SERVER_NAME"] or parts.netloc  # Flask 3.0 warns of another host
    https = parts._replace(scheme="https", netloc=host).geturl()  # on http, some redirect to it
    try:
        with app.test_request_context(path, base_url=https, method=method):
            if request.endpoint not in OWN_ENDPOINTS:
                return None
            answer = app.preprocess_request()
            if answer is None:
                return None
            return FAULT, f"answers {app.make_response(answer).status}"
    except HTTPException as exc:
        return FAULT, f"answers {exc.code} {exc.name}"
    except Exception as exc:  # the app's own code may need what is not here, such as a database
        return WARNING, f"raises {type(exc).__name__}, so it is not known whether it lets them pass"


def _check_cookie(
    app: Flask, client: ClientConfig, callback: str, *, known: bool
) -> Iterator[Finding]:
    """Look for what keeps the session cookie from the callback.

    :param known: whether the site is there, or it is only assumed: then nothing is certain.
    """
    faults = cookie_faults(app.config, callback_url=callback, provider_url=client.issuer)
    for fault in faults:
        sure = "each login will be lost" if known else "if the site is there, each login is lost"
        severity = FAULT if known else WARNING
        yield _of(severity, client, "session cookie", f"{sure}: {fault}")
    if is_sent_in_clear_text(app.config, callback_url=callback):
        yield _of(
            WARNING,
            client,
            "session cookie",
            "the site is on https, and the session cookie is sent over plain http too",
            "set SESSION_COOKIE_SECURE to True (or to None, if that is what you want)",
        )
    if not faults and app.config["SESSION_COOKIE_SECURE"] and callback.startswith("http:"):
        yield _of(
            WARNING,
            client,
            "session cookie",
            f"SESSION_COOKIE_SECURE is on, and {callback} is plain http: some browsers keep no "
            "such cookie",
            "leave it out on your own machine; if the site is elsewhere, say where: --site URL",
        )
