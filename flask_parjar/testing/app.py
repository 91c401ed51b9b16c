"""The provider as a Flask app: what its endpoints share.

That is the cookie, the headers of each response, how parameters are read, and how pages are shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request
from flask import session as flask_session
from jinja2 import Environment, PackageLoader
from werkzeug.datastructures import Headers, MultiDict

from .answers import AuthorizationAnswer, InvalidRequestError, OAuth2Error, refusal
from .clients import home_of
from .documents import ALIASED, PATHS, path_prefix
from .mutual_tls import presented_in, thumbprint_of
from .state import Call, ProviderState

#: The name of the part of a URL that has the id of an interaction.
INTERACTION = "interaction_id"

_MAX_REQUEST_BYTES = 262_144
_HOME = "home"

# All providers of a process share the compiled templates: with those of its own, the first login at
# each new provider would take twice the time.
_templates = Environment(
    loader=PackageLoader("flask_parjar.testing"), autoescape=True, auto_reload=False
)


def create_app(state: ProviderState, endpoints: Iterable[Blueprint]) -> Flask:
    """The WSGI app of one provider, with these endpoints."""
    app = Flask("flask_parjar.testing", static_folder=None)
    app.config.update(_settings(state.issuer))
    hosts = _Hosts(state)

    @app.before_request
    def _record_and_check_host() -> Response | None:
        certificate = presented_in(request.environ)
        state.record(
            Call(
                endpoint=(request.endpoint or "").rpartition(".")[2],
                method=request.method,
                form=request.form,
                query=request.args,
                headers=Headers(list(request.headers)),
                certificate=None if certificate is None else thumbprint_of(certificate),
            )
        )
        if not hosts.serve(request.host, request.path):
            # Against DNS rebinding: a page elsewhere could reach us by a name of its own.
            return Response(f"This is {state.issuer}\n", status=421, content_type="text/plain")
        return None

    @app.after_request
    def _add_headers(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "strict-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    for blueprint in endpoints:
        app.register_blueprint(blueprint)
    return app


def _settings(issuer: str) -> Mapping[str, object]:
    """The configuration of the Flask app: its session cookie, and the longest request."""
    parts = urlsplit(issuer)
    return {
        "SECRET_KEY": secrets.token_bytes(32),
        # All ports of 127.0.0.1 share cookies, so the name has the port.
        "SESSION_COOKIE_NAME": f"parjar_dev_provider_{parts.port or 0}",
        "SESSION_COOKIE_PATH": path_prefix(issuer) or "/",
        "SESSION_COOKIE_SECURE": parts.scheme == "https",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "MAX_CONTENT_LENGTH": _MAX_REQUEST_BYTES,
    }


class _Hosts:
    """The hosts that a provider is reached by, each with a port where the URL has one."""

    def __init__(self, provider: ProviderState) -> None:
        self._own = urlsplit(provider.issuer).netloc.rpartition("@")[2]
        parts = urlsplit(provider.mtls or "")
        self._of_aliases = parts.netloc
        self._aliases = {parts.path.rstrip("/") + PATHS[name] for name in ALIASED}

    def serve(self, host: str, path: str) -> bool:
        """Whether a path is served at a host: at that of the aliases, they alone."""
        return host == self._own or (host == self._of_aliases and path in self._aliases)


#: The only parameter that may be there more than once (RFC 8707 section 2).
_MAY_BE_REPEATED = "resource"


def query_parameters() -> dict[str, str]:
    """The parameters of the URL. One without a value counts as missing.

    :raises OAuth2Error: ``invalid_request``: a parameter is there twice

    RFC 6749 section 3.1
    """
    return _each_once(request.args)


def form_parameters() -> dict[str, str]:
    """The parameters of the form. One without a value counts as missing.

    :raises OAuth2Error: ``invalid_request``: the body is no form, a parameter is there twice, or
        there are parameters in the URL

    RFC 6749 sections 3.2 and 2.3.1
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise refusal(InvalidRequestError, "Content-Type must be application/x-www-form-urlencoded")
    if request.args:
        raise refusal(InvalidRequestError, "parameters belong in the body, not in the URL")
    return _each_once(request.form)


def resources() -> list[str]:
    """The values of ``resource`` in the form or the URL (RFC 8707 section 2)."""
    given = request.form if request.method == "POST" else request.args
    return [value for value in given.getlist(_MAY_BE_REPEATED) if value]


def _each_once(given: MultiDict[str, str]) -> dict[str, str]:
    repeated = {name for name, values in given.lists() if len(values) > 1}
    if twice := sorted(repeated - {_MAY_BE_REPEATED}):
        raise refusal(InvalidRequestError, f"given more than once: {', '.join(twice)}")
    return {name: value for name, value in given.items() if value}


def page(
    template: str,
    values: Mapping[str, object],
    *,
    status: int = 200,
    frames: Collection[str] = (),
) -> Response:
    """A page from the ``dev_provider`` templates. It may run and load only what is in it.

    :param values: what the template shows
    :param frames: URLs that it may load in frames
    """
    nonce = secrets.token_urlsafe(16)
    body = _templates.get_template(f"dev_provider/{template}").render(
        nonce=nonce, frames=frames, **values
    )
    origins = dict.fromkeys("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in frames)
    frame_src = f"frame-src {' '.join(origins)}; " if origins else ""
    response = Response(body, status=status, content_type="text/html; charset=utf-8")
    # No form-action: browsers apply it to the redirect after the form, which leads to the client.
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        f"{frame_src}base-uri 'none'; frame-ancestors 'none'"
    )
    return response


def see_other(url: str) -> Response:
    """Redirect with GET (RFC 9110 section 15.4.4; RFC 9700 section 4.12 asks for 303, not 307)."""
    return Response(status=303, headers={"Location": url})


def answer_page(answer: AuthorizationAnswer) -> Response:
    """The authorization response: a redirect, or a form that posts itself.

    RFC 6749 section 4.1.2, OAuth 2.0 Form Post Response Mode section 2
    """
    if answer.mode in ("form_post", "form_post.jwt"):
        return page(
            "form_post.html", {"action": answer.redirect_uri, "parameters": answer.parameters}
        )
    return see_other(answer.url())


def error_page(error: OAuth2Error, *, provider: ProviderState) -> Response:
    """The provider's own page for an error that must not be sent to a client."""
    _, body, _ = error()
    return page("error.html", {"error": body, "home": _way_back(provider)}, status=400)


def remember_home(home: str) -> None:
    """Remember in this browser which site it came from."""
    flask_session[_HOME] = home


def _way_back(provider: ProviderState) -> str | None:
    """A page of the site that this browser came from; None if it is not known.

    A browser without cookies, or one that comes back too late, brings no more than the URL.
    """
    interaction = provider.memory.interactions.get((request.view_args or {}).get(INTERACTION, ""))
    if interaction is not None:
        return home_of(interaction.request.client, near=interaction.request.address.redirect_uri)
    if _HOME in flask_session:
        return str(flask_session[_HOME])
    clients = [*provider.clients.values()]
    named = provider.clients.get(request.args.get("client_id", ""))
    client = clients[0] if named is None and len(clients) == 1 else named
    return None if client is None else home_of(client)
