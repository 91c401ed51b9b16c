"""The URLs of this site: of our routes, and of the pages that a login may return to."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, unquote, urlsplit

from flask import Flask, current_app, request, url_for

from ..errors import ResponseRejected
from ..protocol.client import ClientConfig
from ..protocol.urls import (
    MAX_RETURN_PATH,
    check_endpoint,
    parse_return_path,
    without_default_port,
)
from ..runtime import current_runtime

log: logging.Logger = logging.getLogger("flask_parjar")

#: The endpoints of the routes that this package adds to an app.
OWN_ENDPOINTS = frozenset(
    f"parjar.{name}"
    for name in ("login", "callback", "logout", "backchannel_logout", "frontchannel_logout", "jwks")
)
#: The ``prompt`` of a link to ``/login`` that lets the person choose another account.
OTHER_ACCOUNT = "select_account"
_IN_A_PATH = "/:@!$&'()*+,;=~-._"


def login_url(next: str | None = None, provider: str | None = None) -> str:
    """The URL of the login, with the page to return to; also a function in templates.

    :param next: a path of this site as the browser writes it (``url_for`` gives one); None for
        the current page.
    :param provider: a name in PARJAR_PROVIDERS.
    :raises LoginError: ``provider_unknown``.
    """
    name = None if provider is None else current_runtime().provider(provider).name
    if next is None:
        page = None if is_our_own_route(request.script_root + request.path) else page_to_return_to()
    else:
        page = _way_back(quote(next, safe=f"{_IN_A_PATH}?%#"))  # % is safe: never quote twice
    return url_of_login(name, next=page)


def url_of_login(
    provider: str | None,
    *,
    next: str | None,
    step_up: str | None = None,
    other_account: bool = False,
) -> str:
    """The URL of the login at a provider, or, with None, at one that the visitor chooses.

    :param next: a checked path of this site.
    :param other_account: whether the person can choose another account there.
    """
    named = current_runtime().settings.named
    return url_for(
        "parjar.login",
        provider=provider if named else None,
        next=next,
        step_up=step_up,
        prompt=OTHER_ACCOUNT if other_account else None,
    )


def page_to_return_to() -> str | None:
    """The page to return to after a login: this one, or after a POST the page of the form."""
    if request.method in ("GET", "HEAD"):
        path = quote(f"{request.script_root}{request.path}", safe=_IN_A_PATH)
        query = quote(request.query_string, safe=_IN_A_PATH + "?%")
        return _way_back(f"{path}?{query}" if query else path)
    return page_that_asked()


def page_that_asked() -> str | None:
    """The page of this site that sent the request (by a form, a link or a script), else None.

    htmx names it in a header of its own, which no ``Referrer-Policy`` removes.
    """
    for header in ("HX-Current-URL", "Referer"):
        url = request.headers.get(header, "")
        if is_of_this_site(url):
            return _path_of(url)
    return None


def check_own_url(url: str) -> str:
    """Check a URL of this site: it is built from the Host header, so it may not be a valid URL.

    :raises ResponseRejected: ``redirect_uri_unusable``.
    """
    try:
        return check_endpoint(url, allow_http=True)
    except ValueError as exc:
        raise ResponseRejected("redirect_uri_unusable", f"{url!r:.200}: {exc}") from exc


def with_script_root(path: str) -> str:
    """A configured path as the browser needs it if the app is mounted below the root."""
    return f"{request.script_root}{path}"


def callback_url(client: ClientConfig) -> str:
    """The ``redirect_uri``: the configured one, or one on the host of this request.

    :raises ResponseRejected: ``redirect_uri_unusable``.
    """
    if client.redirect_uri is not None:
        return client.redirect_uri
    named = current_runtime().settings.named
    return check_own_url(
        url_for("parjar.callback", provider=client.name if named else None, _external=True)
    )


def url_at(app: Flask, endpoint: str, provider: str, *, site: str) -> str:
    """The URL of one of our routes at a site, without a request.

    :param provider: the name of the provider, for a route that has it in its path.
    :param site: the URL of the app, with the path that it is mounted below.
    """
    parts = urlsplit(site)
    # Not by url_for: a SERVER_NAME would replace the host, or Flask 3.0 would warn of another.
    adapter = app.url_map.bind(parts.netloc, parts.path or "/", url_scheme=parts.scheme)
    return adapter.build(endpoint, route_values(app, endpoint, provider), force_external=True)


def route_values(app: Flask, endpoint: str, name: str) -> dict[str, str]:
    """The values that ``url_for`` needs for a route that may have a provider's name in it."""
    rules = app.url_map.iter_rules(endpoint)
    return {"provider": name} if any("provider" in rule.arguments for rule in rules) else {}


def callback_paths(app: Flask, provider: str) -> list[str]:
    """The paths of the callback of a provider in the app's URL map: ours, and those it adds.

    A rule of the app for our endpoint keeps a redirect URI that is registered at the provider.
    """
    rules = app.url_map.iter_rules("parjar.callback")
    return [re.sub("<.*?>", provider, rule.rule) for rule in rules]


def find_callback(app: Flask, url: str, provider: str) -> str | None:
    """The path in the app's URL map that a redirect URI leads to; None if it is no callback.

    The redirect URI may have a path before it, which a proxy removes.
    """
    found = [path for path in callback_paths(app, provider) if urlsplit(url).path.endswith(path)]
    return max(found, key=len, default=None)


def return_path(next_path: str | None) -> str:
    """The path that a login leads to: `next_path` if it is allowed, else PARJAR_AFTER_LOGIN."""
    path = None if next_path is None else _way_back(next_path)
    if path is None or is_our_own_route(unquote(path.partition("?")[0])):
        return with_script_root(current_runtime().settings.after_login)
    return path


def is_our_own_route(path: str) -> bool:
    """Whether a path is one of our own routes: no login may return to these."""
    rules = current_app.url_map.iter_rules("parjar.callback")
    callbacks = [with_script_root(rule.rule.partition("/<")[0]) for rule in rules]
    own = [url_for("parjar.login"), url_for("parjar.logout"), *callbacks]
    return any(f"{path}/".startswith(f"{each}/") for each in own)


def is_of_this_site(url: str) -> bool:
    """Whether a URL has an origin of this site."""
    return _origin_of(url) in _own_origins()


def without_own_origin(url: str) -> str:
    """The path and query of a whole URL of this site (``request.url``); anything else unchanged."""
    if not url.startswith("/"):
        for scheme, host in _own_origins():
            if url.startswith(f"{scheme}://{host}/"):
                return url.removeprefix(f"{scheme}://{host}")
    return url


def _own_origins() -> set[tuple[str, str]]:
    """The origin of this request, and those of the callbacks that are configured.

    Behind a proxy that forwards no Host header, only the configuration says where the site is.
    """
    clients = [provider.client for provider in current_runtime().providers.values()]
    origins = [_origin_of(client.redirect_uri or "") for client in clients]
    try:
        origins.append(_origin_of(request.url))
    except ValueError:  # pragma: no cover - only older Werkzeugs fail so; `tox -e min` is here
        pass
    return {origin for origin in origins if origin is not None}


def _origin_of(url: str) -> tuple[str, str] | None:
    """The scheme and the host with its port (RFC 6454 section 4); None where there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = without_default_port(parts.scheme, parts.netloc.lower())
    return (parts.scheme, host) if host else None


def _path_of(url: str) -> str | None:
    parts = urlsplit(url)
    return _way_back(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def _way_back(url: str) -> str | None:
    """Check the page that a login returns to; log one that is refused."""
    path = without_own_origin(url)
    page = parse_return_path(path)
    if page is None:
        without_query = re.split("[?#]", path, maxsplit=1)[0]
        log.info(
            "a login will not come back to %.200r: it is longer than %d characters, or no path of "
            "this site",
            without_query,
            MAX_RETURN_PATH,
        )
    return page
