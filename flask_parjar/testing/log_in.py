"""Log a person in through the login and the callback of an app, whatever its configuration is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from weakref import ref

from flask import Flask, session
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from ..protocol.authorization import LoginOptions
from ..protocol.client import ClientConfig
from ..protocol.identity import Identity
from ..runtime import current_runtime
from ..signals import logged_in
from ..web.own_urls import route_values
from ..web.views import start_login
from .browser import visible_text
from .connect import runtime_of
from .people import Person
from .provider import TEST_CLIENT_BASE_URLS, DevProvider


class LogInAs:
    """Logs people in, in the tests of an app: through its own ``/login`` and ``/callback``.

    In pytest it is the fixture ``parjar_log_in_as``. Nothing of a login leaves this process: an app
    with an issuer that none of the providers has is given a provider of that issuer.

    :param providers: providers that exist already
    """

    def __init__(self, *providers: DevProvider) -> None:
        self._providers = {each.issuer: each for each in providers}
        # By issuer, the app that was registered last: another one may have the same client_id.
        self._connected: dict[str, ref[Flask]] = {}

    def __call__(
        self,
        client: FlaskClient,
        *,
        subject: str = "ada",
        claims: Mapping[str, object] | None = None,
        provider: str | None = None,
        acr: str | None = None,
        scopes: Collection[str] | None = None,
        authorization_details: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Log a person in.

        :param client: the app's test client, in which they are logged in afterwards
        :param subject: one of the provider's people; another one is added
        :param claims: claims of this person, besides those that they have already. ``amr`` says how
            they sign in; with PARJAR_TENANTS, ``tid`` is their tenant, by default one that the app
            allows
        :param provider: which of the app's providers, where it has several
        :param acr: the authentication context class of this login
        :param scopes: the only scopes that they agree to; by default all that the login asks for
        :param authorization_details: what the login asks for and is granted in detail (RFC 9396)
        :raises AssertionError: the login failed; the message has the answer of the app
        :raises ValueError: there is no such provider, or the login does not ask for such a scope
        """
        app, name = client.application, _settings(client.application, provider).name
        dev_provider, base_url = self.provider_of(app, name), _base_url(app)
        _make_up(dev_provider, subject, claims or {}, tenants=_settings(app, name).tenants)
        _add_types(dev_provider, authorization_details or ())
        away = _begin(client, name, base_url=base_url, details=authorization_details)
        back = _sign_in(dev_provider, away, subject, acr=acr, scopes=scopes)
        identity = _come_back(client, back, name, base_url=base_url)
        if acr not in (None, identity.acr):
            raise AssertionError(
                f"the login asks for another acr than {acr!r}: it is one with {identity.acr!r}"
            )

    def provider_of(self, app: Flask, name: str | None = None) -> DevProvider:
        """The provider at which an app logs in: one of the given, or one that is made now.

        The app is registered there, with what its configuration wants.

        :param name: which of the app's providers, where it has several
        :raises ValueError: there is no such provider, or PARJAR_METADATA leads elsewhere
        """
        issuer = _settings(app, name).issuer
        if issuer not in self._providers:
            self._providers[issuer] = DevProvider(issuer)
        dev_provider = self._providers[issuer]
        last = self._connected.get(issuer)
        if last is None or last() is not app:
            _connect(dev_provider, app)
            self._connected[issuer] = ref(app)
        return dev_provider


def _connect(dev_provider: DevProvider, app: Flask) -> None:
    """Register an app at a provider, which then accepts what the app is configured to send."""
    for each in runtime_of(app).settings.providers.values():
        if each.issuer == dev_provider.issuer:
            _check_endpoints(each, dev_provider)
            if dev_provider.preset is not None:
                continue  # it demands what the real one demands, whatever the app sends
            dev_provider.allow_requests(each.request)
            _add_types(dev_provider, each.authorization_params.get("authorization_details", ()))
            _accept_deviations(each, dev_provider)
    dev_provider.connect(app, base_urls=(*TEST_CLIENT_BASE_URLS, _base_url(app)))


def _check_endpoints(config: ClientConfig, dev_provider: DevProvider) -> None:
    """Check that PARJAR_METADATA does not lead to the network.

    :raises ValueError: it has other endpoints than the provider in this process
    """
    served = dev_provider.metadata
    for name, value in (config.metadata or {}).items():
        if name.endswith(("_endpoint", "_uri")) and value != served.get(name):
            raise ValueError(
                f"PARJAR_METADATA has {name} {value!r}, and the provider of the tests "
                f"{served.get(name)!r}: leave PARJAR_METADATA out of the configuration of your "
                "tests, or write DevProvider.metadata"
            )


def _accept_deviations(config: ClientConfig, dev_provider: DevProvider) -> None:
    """Let a provider demand what the app is configured to do beyond the standards."""
    demands = dev_provider.demands
    demands.request_beside = demands.request_beside or config.request_beside
    for name in ("request_audience", "assertion_audience"):
        audience = getattr(config, name)
        if audience not in ("issuer", "endpoint") and getattr(demands, name) is None:
            setattr(demands, name, str(dev_provider.metadata.get(audience, audience)))


def _begin(
    client: FlaskClient,
    name: str,
    *,
    base_url: str,
    details: Sequence[Mapping[str, Any]] | None,
) -> str:
    """Begin a login; return the URL that it leads to.

    :raises AssertionError: the app does not begin it
    """
    begun: Response
    if details is None:
        path = _path(client.application, "parjar.login", name)
        begun = client.get(path, base_url=base_url)
    else:
        begun = _begin_with(details, client, name, base_url=base_url)
    if begun.status_code != 302:
        raise AssertionError(_said("login", begun))
    return begun.headers["Location"]


def _begin_with(
    details: Sequence[Mapping[str, Any]], client: FlaskClient, name: str, *, base_url: str
) -> Response:
    """Begin a login that asks for ``authorization_details``, as a view of the app would.

    No URL of the app begins such a login, so it begins in a request of its own, with the session
    of this client.
    """
    app = client.application
    with client.session_transaction("/", base_url=base_url) as kept:
        with app.test_request_context("/", base_url=base_url):
            session.update(kept)
            choose = current_runtime().hooks.login_options
            options = (None if choose is None else choose()) or LoginOptions()
            options = replace(options, authorization_details=details)
            begun = app.make_response(start_login(name, options, next=None))
            kept.clear()
            kept.update(session)
    return begun


def _add_types(dev_provider: DevProvider, details: Sequence[Mapping[str, Any]]) -> None:
    """Let a provider know these types. Too late for an app that has read the metadata."""
    member = "authorization_details_types_supported"
    known: Any = dev_provider.metadata.get(member, [])
    new = dict.fromkeys(str(each["type"]) for each in details if each["type"] not in known)
    dev_provider.metadata[member] = [*known, *new]


def _sign_in(
    dev_provider: DevProvider,
    url: str,
    subject: str,
    *,
    acr: str | None,
    scopes: Collection[str] | None,
) -> str:
    """Sign a person in, with this ``acr`` for once; they are asked for each scope."""
    dev_provider.forget_consents(subject)
    person = dev_provider.people[subject]
    if acr is not None:
        dev_provider.people[subject] = replace(person, claims={**person.claims, "acr": acr})
    try:
        return dev_provider.sign_in(url, subject, scopes=scopes)
    finally:
        dev_provider.people[subject] = person


def _come_back(client: FlaskClient, url: str, name: str, *, base_url: str) -> Identity:
    """Bring the provider's answer to the callback, whatever host PARJAR_REDIRECT_URI names.

    :returns: who is logged in now
    """
    app, begun = client.application, list[Identity]()
    path, response = _path(app, "parjar.callback", name), dict(parse_qsl(urlsplit(url).query))

    def note(sender: Flask, identity: Identity, **more: object) -> None:
        begun.append(identity)

    with logged_in.connected_to(note, app):
        if runtime_of(app).providers[name].posts_responses:
            done = client.post(path, base_url=base_url, data=response)
        else:
            done = client.get(path, base_url=base_url, query_string=response)
    if done.status_code != 302:
        raise AssertionError(_said("callback", done))
    if not begun:
        raise AssertionError(
            f"the session cookie of the login did not come back to {base_url}, so the callback "
            "began the login again; see SESSION_COOKIE_DOMAIN and SESSION_COOKIE_PATH"
        )
    return begun[-1]


def _base_url(app: Flask) -> str:
    """Where the test client opens the app; or a host that it trusts, and that gets its cookie."""
    config = app.config
    trusted = [str(each).lstrip(".") for each in config.get("TRUSTED_HOSTS") or ("localhost",)]
    host = config["SERVER_NAME"] or ("localhost" if "localhost" in trusted else trusted[0])
    domain = str(config["SESSION_COOKIE_DOMAIN"] or "").lstrip(".")
    if domain and not f".{host}".endswith(f".{domain}"):
        host = domain
    return f"{config['PREFERRED_URL_SCHEME']}://{host}{config['APPLICATION_ROOT']}"


def _settings(app: Flask, name: str | None) -> ClientConfig:
    """The settings of that provider, or of the only one.

    :raises ValueError: there is no such provider
    """
    settings = runtime_of(app).settings.providers
    if name is None and len(settings) == 1:
        return next(iter(settings.values()))
    found = settings.get(name or "")
    if found is None:
        raise ValueError(f"provider={name!r} is not one of the app's: {', '.join(settings)}")
    return found


def _make_up(
    dev_provider: DevProvider,
    subject: str,
    claims: Mapping[str, object],
    *,
    tenants: Collection[str],
) -> None:
    """Add a person to the provider, or add claims to one who is there."""
    known = dev_provider.people.get(subject)
    if known is None or claims:
        before = {} if known is None else known.claims
        dev_provider.people[subject] = Person(subject, {**before, **claims})
    if tenants:
        tenant = dev_provider.people[subject].claims.get("tid", min(tenants))
        dev_provider.serve_tenants({subject: str(tenant)})


def _path(app: Flask, endpoint: str, name: str) -> str:
    """The path of a route inside the app."""
    return app.url_map.bind("").build(endpoint, route_values(app, endpoint, name))


def _said(route: str, response: Response) -> str:
    page = visible_text(response.get_data(as_text=True))
    return f"{route} answered {response.status_code}: {page} (the log has the cause)"
