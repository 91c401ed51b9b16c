"""Introducing an app that uses flask_parjar to a DevProvider: registration, and the way to it.

This file alone knows what flask_parjar keeps in ``app.extensions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from flask import Flask, url_for
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from .adapter import WSGIAdapter

if TYPE_CHECKING:
    from .provider import DevProvider


def connect(provider: DevProvider, app: Flask, *, base_urls: Iterable[str]) -> None:
    """Register the app's clients here, and mount the provider on the app's HTTP session.

    :raises ValueError: the app has no flask_parjar, or none of its providers has our issuer
    """
    state = app.extensions.get("parjar")
    if state is None:
        raise ValueError("ParJar.init_app(app) comes first")
    mine = [one for one in state.settings.providers.values() if one.issuer == provider.issuer]
    if not mine:
        issuers = ", ".join(repr(one.issuer) for one in state.settings.providers.values())
        raise ValueError(f"the app logs in at {issuers}, and this is {provider.issuer!r}")
    sites = [base_url.rstrip("/") for base_url in base_urls]
    for settings in mine:
        _register(provider, app, settings, parjar=state.settings, sites=sites)
    parts = urlsplit(provider.issuer)
    state.http.session.mount(f"{parts.scheme}://{parts.netloc}/", WSGIAdapter(provider.app))
    for site in sites:
        _mount(provider, app, site)


def route_values(app: Flask, endpoint: str, name: str) -> dict[str, Any]:
    """What ``url_for`` needs for a route that may carry the name of a provider."""
    rules = app.url_map.iter_rules(endpoint)
    return {"provider": name} if any("provider" in rule.arguments for rule in rules) else {}


def _register(
    provider: DevProvider, app: Flask, settings: Any, *, parjar: Any, sites: list[str]
) -> None:
    algorithms = getattr(settings, "id_token_algs", None) or [None]
    provider.register(
        client_id=settings.client_id,
        redirect_uris=_redirect_uris(app, settings, sites=sites),
        jwks={"keys": _public_keys(settings)},
        client_secret=settings.client_secret,
        token_endpoint_auth_method=settings.client_auth or _negotiated_auth(provider, settings),
        post_logout_redirect_uris=_after_logout(settings, parjar=parjar, sites=sites),
        scope=_scope(settings),
        client_name=app.name,
        id_token_signed_response_alg=algorithms[0],
        backchannel_logout_uri=_notice_uri(app, "parjar.backchannel_logout", settings, sites=sites),
        frontchannel_logout_uri=_notice_uri(
            app, "parjar.frontchannel_logout", settings, sites=sites
        ),
    )


def _mount(provider: DevProvider, app: Flask, site: str) -> None:
    """Let logout tokens come to an app of Flask's test client; others are behind a socket."""
    parts = urlsplit(site)
    if parts.netloc == "localhost":
        at_its_path = DispatcherMiddleware(app, {parts.path: app} if parts.path else {})
        provider.http.mount(f"{parts.scheme}://{parts.netloc}/", WSGIAdapter(at_its_path))


def _negotiated_auth(provider: DevProvider, settings: Any) -> str:
    """The method that the client takes when its configuration names none."""
    if not settings.client_secret:
        return "private_key_jwt"
    offered = provider.metadata.get("token_endpoint_auth_methods_supported")
    basic = not isinstance(offered, list) or "client_secret_basic" in offered
    return "client_secret_basic" if basic else "client_secret_post"


def _public_keys(settings: Any) -> list[Mapping[str, object]]:
    keys = [*settings.signing_keys, *settings.assertion_keys]
    return list({str(key.public_jwk["kid"]): key.public_jwk for key in keys}.values())


def _notice_uri(app: Flask, endpoint: str, settings: Any, *, sites: list[str]) -> str | None:
    """Where the app takes notices of a logout; nothing if it takes none of this kind."""
    if not sites or all(rule.endpoint != endpoint for rule in app.url_map.iter_rules()):
        return None
    with app.test_request_context(base_url=sites[0]):
        return url_for(endpoint, _external=True, **route_values(app, endpoint, settings.name))


def _redirect_uris(app: Flask, settings: Any, *, sites: list[str]) -> list[str]:
    if pinned := getattr(settings, "redirect_uri", None):
        return [str(pinned)]
    values = route_values(app, "parjar.callback", settings.name)
    uris = []
    for site in sites:
        with app.test_request_context(base_url=site):
            uris.append(url_for("parjar.callback", _external=True, **values))
    return list(dict.fromkeys(uris))


def _after_logout(settings: Any, *, parjar: Any, sites: list[str]) -> list[str]:
    if pinned := getattr(settings, "post_logout_redirect_uri", None):
        return [str(pinned)]
    path = getattr(parjar, "after_logout", "/")
    return [urljoin(f"{site}/", path) for site in sites]


def _scope(settings: Any) -> str:
    scopes = getattr(settings, "scopes", ())
    return scopes if isinstance(scopes, str) else " ".join(scopes)
