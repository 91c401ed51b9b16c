"""The blueprint: login, callback, logout, jwks, and how an error is shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urljoin

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from . import session as browser_session
from . import signals, transactions
from .error_page import add_headers
from .errors import (
    AccessDenied,
    ParJarError,
    ResponseRejected,
)
from .flows.login import CompletedLogin, begin_login, complete_login
from .flows.logout import begin_logout
from .protocol.authorization import LoginOptions
from .protocol.redaction import redact_claims, redact_message
from .protocol.response import ResponseParameters
from .protocol.urls import parse_return_path
from .provider import OutgoingRequest, Provider
from .state import current_state
from .visit import is_cross_site, is_navigation, is_same_origin, is_speculative

log: logging.Logger = logging.getLogger("flask_parjar")

_MAX_FORM = 32 * 1024  # bytes of a form_post answer, before anything of it is read


def make_blueprint(*, url_prefix: str | None, named: bool) -> Blueprint:
    """Make the routes; with named providers each has a login and a callback of its own."""
    blueprint = Blueprint("parjar", __name__, url_prefix=url_prefix, template_folder="templates")
    blueprint.add_url_rule("/login", view_func=login)
    if named:
        blueprint.add_url_rule("/login/<provider>", view_func=login)
    callback_rule = "/callback/<provider>" if named else "/callback"
    blueprint.add_url_rule(callback_rule, view_func=callback, methods=["GET", "POST"])
    blueprint.add_url_rule("/logout", view_func=logout, methods=["GET", "POST"])
    blueprint.add_url_rule("/.well-known/jwks.json", view_func=jwks)
    blueprint.after_request(add_headers)
    return blueprint


def login(provider: str | None = None) -> ResponseReturnValue:
    """``GET /login?next=/path``: sign, push, remember, and send the browser to the provider."""
    if is_speculative():
        return _not_now()
    state = current_state()
    options = _chosen_options()
    name = provider or options.provider
    if name is None and state.settings.named and len(state.providers) > 1:
        next_path = request.args.get("next")
        names = {each: url_for(".login", provider=each, next=next_path) for each in state.providers}
        return render_template("parjar/choose.html", providers=names)
    return start_login(name, options, next=request.args.get("next"))


def start_login(
    name: str | None, options: LoginOptions, *, next: str | None, started_again: bool = False
) -> ResponseReturnValue:
    """Begin one login and answer with the redirect to the provider.

    :param next: where to go afterwards; anything but a path of this site counts for nothing.
    """
    state = current_state()
    with _failures_told(name):
        provider, now = state.provider(name), int(time.time())
        client = provider.client
        transaction = transactions.start_transaction(
            client,
            options,
            redirect_uri=client.redirect_uri or _callback_url(client.name),
            next=_return_path(next),
            started_again=started_again,
            now=now,
        )
        outgoing = begin_login(provider, transaction, options, now=now)
        transactions.put_transaction(transaction, client)
    _tell_login_started(provider, outgoing)
    return redirect(outgoing.browser.url)


def callback(provider: str | None = None) -> ResponseReturnValue:
    """``/callback``: take the transaction, prove the answer, start the session, go where asked."""
    if is_speculative():
        return _not_now()
    now = int(time.time())
    with _failures_told(provider) as answer:
        counterpart = current_state().provider(provider)
        posted = counterpart.client.response_mode == "form_post"
        if (request.method == "POST") != posted:
            return Response(status=405, headers={"Allow": "POST" if posted else "GET"})
        parameters = ResponseParameters.parse(_response_pairs(posted))
        answer.update(parameters.values)
        slip = transactions.read_state(parameters.state)
        transaction = transactions.pop_transaction(slip, counterpart.client, now=now)
        if transaction is not None:
            completed = complete_login(counterpart, transaction, parameters, now=now)
            identity = browser_session.log_in(completed.identity, now=now)
            _tell_logged_in(completed, identity, parameters)
            return redirect(transaction.next)
    if posted and is_cross_site():
        # A cross-site POST brings no SameSite=Lax cookie: have it posted once more from here.
        return render_template("parjar/form_post.html", parameters=parameters.values)
    return _start_again(slip, parameters, now=now)


def _response_pairs(posted: bool) -> list[tuple[str, str]]:
    """The parameters of the callback, duplicates and all; what is not UTF-8 is not repaired."""
    if posted and (request.content_length is None or request.content_length > _MAX_FORM):
        raise ResponseRejected("response_malformed", f"{request.content_length} bytes of form")
    encoded = request.get_data() if posted else request.query_string
    try:
        return parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as exc:
        raise ResponseRejected("response_malformed", type(exc).__name__) from exc


def _start_again(
    slip: transactions.StateSlip, parameters: ResponseParameters, *, now: int
) -> ResponseReturnValue:
    """Answer to a login that this browser does not have (any more): begin it anew, but once."""
    if browser_session.get_identity():
        return redirect(slip.next)  # back or reload on a used callback: nothing is wrong
    expired = transactions.is_expired(slip, now=now)
    if slip.started_again or "error" in parameters.values:
        with _failures_told(slip.provider):
            raise ResponseRejected("login_expired" if expired else "login_lost")
    log.warning("login %s, starting it once more", "expired" if expired else "lost")
    return start_login(slip.provider, _chosen_options(), next=slip.next, started_again=True)


def logout() -> ResponseReturnValue:
    """``/logout``: end the session here and, where it has a door for that, at the provider.

    Only this site's own pages log anybody out; a link from elsewhere is answered with a question,
    and a form from elsewhere is refused.
    """
    if is_speculative():
        return _not_now()
    state = current_state()
    next_path = parse_return_path(request.values.get("next")) or state.settings.after_logout
    if request.method == "POST" and is_cross_site():
        raise AccessDenied("cross_site")
    if not is_same_origin() or not is_navigation() and request.method == "GET":
        return render_template("parjar/logout.html", next=next_path)
    identity = browser_session.log_out()
    if not identity:
        return redirect(next_path)
    signals.logged_out.send(_app(), identity=identity)
    provider = state.provider(identity.provider)
    elsewhere = begin_logout(
        provider,
        identity,
        post_logout_redirect_uri=provider.client.post_logout_redirect_uri
        or urljoin(request.host_url, state.settings.after_logout),
        now=int(time.time()),
    )
    return redirect(elsewhere or next_path)


def jwks() -> ResponseReturnValue:
    """``GET /.well-known/jwks.json``: our public keys (RFC 7517 section 5)."""
    return jsonify(public_jwks())


def public_jwks() -> dict[str, list[Any]]:
    """The public keys of all our clients, each once."""
    clients = [provider.client for provider in current_state().providers.values()]
    by_kid = {jwk["kid"]: dict(jwk) for client in clients for jwk in client.public_jwks}
    return {"keys": list(by_kid.values())}


def _chosen_options() -> LoginOptions:
    choose = current_state().hooks.login_options
    return (choose() if choose is not None else None) or LoginOptions()


def _callback_url(name: str) -> str:
    named = current_state().settings.named
    return url_for("parjar.callback", provider=name if named else None, _external=True)


def _return_path(next_path: str | None) -> str:
    """Where a login may lead: a path of this site, and none of the routes that began it."""
    path = parse_return_path(next_path)
    own = (url_for("parjar.login"), url_for("parjar.logout"))
    if path is None or path.partition("?")[0].startswith(own):
        return current_state().settings.after_login
    return path


@contextmanager
def _failures_told(provider: str | None) -> Iterator[dict[str, str]]:
    """Log and signal an error that ends a login; it is answered by `show_error`.

    :returns: a place for the callback's parameters, told of cut short.
    """
    answer: dict[str, str] = {}
    try:
        yield answer
    except ParJarError as error:
        log.warning("login failed: %s: %s. %s", error.code, error.detail, error.advice)
        signals.login_failed.send(
            _app(), provider=provider, error=error, response=redact_message(answer)
        )
        raise


def _tell_login_started(provider: Provider, outgoing: OutgoingRequest) -> None:
    if not signals.login_started.receivers:
        return
    signed, browser = outgoing.request_object, outgoing.browser
    signals.login_started.send(
        _app(),
        provider=provider.client.name,
        request_object={"header": signed.header, "claims": redact_claims(signed.claims)}
        if signed
        else None,
        redirect={
            "url": browser.authorization_endpoint,
            "parameters": redact_message(browser.parameters),
        },
    )


def _tell_logged_in(
    completed: CompletedLogin, identity: Any, parameters: ResponseParameters
) -> None:
    log.info("logged in at provider %r", identity.provider)
    if not signals.logged_in.receivers:
        return
    id_token = completed.id_token
    signals.logged_in.send(
        _app(),
        identity=identity,
        response=redact_message(parameters.values),
        id_token={"header": id_token.header, "claims": redact_claims(id_token.claims)},
        checks=id_token.proofs,
    )


def _app() -> Any:
    """The app itself, as the sender of signals (blinker compares by identity)."""
    return current_app._get_current_object()  # type: ignore[attr-defined]


def _not_now() -> Response:
    """Refuse a browser that asks ahead of its user, so that it asks again when they do."""
    return Response(status=200 if request.method == "HEAD" else 503)
