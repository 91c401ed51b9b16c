"""Connect an app that uses flask_parjar to a provider in the same process.

The app's clients are registered, and the requests of both sides need no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask
from urllib3 import HTTPConnectionPool
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ..protocol.client import ClientConfig
from ..protocol.mutual_tls import ClientCertificate
from ..protocol.profiles import PROFILES
from ..provider import Http
from ..runtime import EXTENSION, Runtime
from ..web.own_urls import url_at
from .clients import ClientMetadata
from .serving import WSGIAdapter, presenting, wsgi_pool
from .state import ProviderState

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def runtime_of(app: Flask) -> Runtime:
    """What an app holds.

    :raises ValueError: it has no ParJar
    """
    runtime: Runtime | None = app.extensions.get(EXTENSION)
    if runtime is None:
        raise ValueError("ParJar.init_app(app) comes first")
    return runtime


def connect(
    app: Flask, *, provider: ProviderState, endpoints: Flask, base_urls: Iterable[str]
) -> None:
    """Register the app's clients, and mount each app where the other one sends its requests.

    :param endpoints: the WSGI app of the provider
    :param base_urls: the URLs of the app
    :raises ValueError: the app has no ParJar, or none of its providers has this issuer
    """
    runtime = runtime_of(app)
    configs = [each.client for each in runtime.providers.values()]  # with the keys of now
    ours = [config for config in configs if config.issuer == provider.issuer]
    if not ours:
        issuers = ", ".join(repr(config.issuer) for config in configs)
        raise ValueError(f"the app logs in at {issuers}, and this is {provider.issuer!r}")
    sites = [base_url.rstrip("/") for base_url in base_urls]
    for config in ours:
        after_logout = runtime.settings.after_logout or "/"
        provider.register(
            _metadata(app, config, provider=provider, sites=sites, after_logout=after_logout)
        )
    for config in ours:
        _mount_provider(runtime.providers[config.name].http, endpoints, provider=provider)
    for site in sites:
        _mount(app, site, provider=provider)


def mount_api(app: Flask, url: str, api: WSGIApplication) -> None:
    """Answer what an app sends to an API with ``parjar.api``, without a socket.

    It holds for all providers of the app. A client certificate that the site presents with a bound
    token reaches the API.

    :param url: the origin of the API, such as ``https://api.example.com``
    :param api: a WSGI app, which gets the whole path. One of `DevProvider.resource_server` verifies
        the access tokens
    :raises ValueError: the app has no ParJar, or the URL is no origin
    """
    parts = urlsplit(url)
    rest = (parts.path.strip("/"), parts.query, parts.fragment)
    if parts.scheme not in ("http", "https") or not parts.netloc or any(rest):
        raise ValueError(
            f"{url!r} is no origin: write https:// and the host, as in https://api.example.com; "
            "the API gets the whole path"
        )

    for each in runtime_of(app).providers.values():
        each.http.mount_api(url, _calling(api))


def _calling(api: WSGIApplication) -> Callable[[ClientCertificate | None], WSGIAdapter]:
    """Makes the adapter of requests to a WSGI app, with a client certificate or none."""

    def adapter(certificate: ClientCertificate | None) -> WSGIAdapter:
        return WSGIAdapter(presenting(None if certificate is None else certificate.pem, api))

    return adapter


def _mount_provider(http: Http, endpoints: Flask, *, provider: ProviderState) -> None:
    """Answer what an app sends to the endpoints, and to their aliases.

    Only where the provider would ask for a client certificate, the connection has one.
    """
    bases = [provider.issuer, *([] if provider.mtls is None else [provider.mtls])]
    for base in bases:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(base))

        def certified(certificate: ClientCertificate, origin: str = origin) -> HTTPConnectionPool:
            return wsgi_pool(endpoints, origin, certificate=certificate.pem)

        asks = base == bases[-1]
        http.mount_api(origin, _calling(endpoints))
        http.mount(origin, wsgi_pool(endpoints, origin), certified=certified if asks else None)


def _metadata(
    app: Flask,
    config: ClientConfig,
    *,
    provider: ProviderState,
    sites: list[str],
    after_logout: str,
) -> ClientMetadata:
    redirect_uris = [config.redirect_uri] if config.redirect_uri else []
    logged_out = [config.post_logout_redirect_uri] if config.post_logout_redirect_uri else []
    return ClientMetadata(
        client_id=config.client_id,
        jwks={"keys": config.public_jwks},
        redirect_uris=redirect_uris or _urls(app, "parjar.callback", config, sites=sites),
        post_logout_redirect_uris=logged_out or [f"{site}{after_logout}" for site in sites],
        token_endpoint_auth_method=_auth_method(config, provider=provider),
        client_secret=config.client_secret,
        scope=" ".join(config.scopes),
        client_name=app.name,
        id_token_signed_response_alg=config.id_token_algs[0] if config.id_token_algs else None,
        authorization_signed_response_alg=(
            config.id_token_algs or PROFILES[config.profile].unlisted_id_token_algs
        )[0],
        **_encryption(config),
        require_pushed_authorization_requests=config.request_level.pushed,
        require_signed_request_object=config.request_level.signed,
        dpop_bound_access_tokens=config.dpop,
        tls_client_auth_subject_dn=(
            None if config.certificate is None else config.certificate.subject
        ),
        tls_client_certificate_bound_access_tokens=config.bound_tokens,
        backchannel_logout_uri=_first_url(app, "parjar.backchannel_logout", config, sites=sites),
        frontchannel_logout_uri=_first_url(app, "parjar.frontchannel_logout", config, sites=sites),
    )


def _encryption(config: ClientConfig) -> dict[str, Any]:
    """The encryption that a client registers, by the registered names."""
    names = {
        "id_token_encrypted_response": config.id_token_encryption,
        "userinfo_encrypted_response": config.userinfo_encryption,
        "authorization_encrypted_response": config.response_encryption,
    }
    registered: dict[str, Any] = {}
    for name, encryption in names.items():
        if encryption is not None:
            registered[f"{name}_alg"] = encryption.alg
            registered[f"{name}_enc"] = encryption.encs[0]
    if config.request_encryption_alg is not None:
        registered["request_object_encryption_alg"] = config.request_encryption_alg
        # Without a configured enc it is the client's to choose, among those of the metadata.
        registered["request_object_encryption_enc"] = config.request_encryption_enc or "A256GCM"
    return registered


def _mount(app: Flask, site: str, *, provider: ProviderState) -> None:
    """Send logout tokens straight to an app of Flask's test client; others have a socket."""
    parts = urlsplit(site)
    if parts.netloc == "localhost":
        below_its_path = DispatcherMiddleware(app, {parts.path: app} if parts.path else {})
        provider.http.mount(f"{parts.scheme}://{parts.netloc}/", WSGIAdapter(below_its_path))


def _auth_method(config: ClientConfig, *, provider: ProviderState) -> str:
    """The method that the client will use: the first that the provider offers too."""
    offered = provider.metadata.get("token_endpoint_auth_methods_supported")
    possible = config.possible_client_auths
    if not isinstance(offered, list):
        return possible[0]
    return next((method for method in possible if method in offered), possible[-1])


def _first_url(app: Flask, endpoint: str, config: ClientConfig, *, sites: list[str]) -> str | None:
    """The URL of an endpoint at the first site; None if there is no site."""
    return next(iter(_urls(app, endpoint, config, sites=sites[:1])), None)


def _urls(app: Flask, endpoint: str, config: ClientConfig, *, sites: list[str]) -> list[str]:
    """The URLs of an endpoint, one for each site, each once."""
    return list(dict.fromkeys(url_at(app, endpoint, config.name, site=site) for site in sites))
