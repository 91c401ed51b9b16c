"""The blueprint, and what it leads to: login, callback, our public keys."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

from . import session as browser_session
from . import transactions
from .announcements import failures_told, tell_logged_in, tell_login_started
from .error_page import add_headers
from .errors import LoginRequired, ResponseRejected
from .flows.login import begin_login, complete_login
from .logout import backchannel_logout, frontchannel_logout, logout
from .lost_login import cookie_faults, probable_cause
from .protocol.authorization import LoginOptions
from .protocol.client import ClientConfig
from .protocol.response import ResponseParameters
from .protocol.urls import parse_return_path
from .state import current_state
from .step_up import StepUp, begin_step_up
from .tokens import keep_tokens, take_tokens
from .visit import (
    MAX_FORM,
    in_this_app,
    is_cross_site,
    is_navigation,
    is_speculative,
    not_now,
    usable_url,
)

log: logging.Logger = logging.getLogger("flask_parjar")

_PLAIN = LoginOptions()  # what a login asks for where nobody asks for more


def make_blueprint(*, url_prefix: str | None, named: bool) -> Blueprint:
    """Make the routes; with named providers each has a login and a callback of its own."""
    blueprint = Blueprint("parjar", __name__, url_prefix=url_prefix, template_folder="templates")
    blueprint.add_url_rule("/login", view_func=login)
    of_provider = "/<provider>" if named else ""
    if named:
        blueprint.add_url_rule("/login/<provider>", view_func=login)
    blueprint.add_url_rule(f"/callback{of_provider}", view_func=callback, methods=["GET", "POST"])
    blueprint.add_url_rule("/logout", view_func=logout, methods=["GET", "POST"])
    blueprint.add_url_rule(
        f"/backchannel-logout{of_provider}", view_func=backchannel_logout, methods=["POST"]
    )
    blueprint.add_url_rule(f"/frontchannel-logout{of_provider}", view_func=frontchannel_logout)
    blueprint.add_url_rule("/.well-known/jwks.json", view_func=jwks)
    blueprint.after_request(add_headers)
    return blueprint


def login(provider: str | None = None) -> ResponseReturnValue:
    """``GET /login?next=/path``: sign, push, remember, and send the browser to the provider."""
    if not is_navigation():
        raise LoginRequired  # a script cannot follow to the provider, and no image begins a login
    options = _chosen_options()
    if not is_speculative():
        step_up = begin_step_up(request.args.get("step_up"), now=int(time.time()))
        options = _stepped_up(options, step_up)
    name = provider or options.provider
    providers = current_state().providers
    if name is None and len(providers) > 1:
        next_path = request.args.get("next")
        names = {each: url_for(".login", provider=each, next=next_path) for each in providers}
        return render_template("parjar/choose.html", providers=names)
    return start_login(name, options, next=request.args.get("next"))


def start_login(
    name: str | None, options: LoginOptions, *, next: str | None, started_again: bool = False
) -> ResponseReturnValue:
    """Begin one login and answer with the redirect to the provider.

    :param next: where to go afterwards; anything but a path of this site counts for nothing.
    :param started_again: whether this login stands in for one that was lost.
    """
    if is_speculative():
        return not_now()
    with failures_told(name):
        provider, now = current_state().provider(name), int(time.time())
        client = provider.client
        plain = options is _PLAIN or replace(options, provider=None) == _PLAIN
        transaction = transactions.start_transaction(
            client,
            options,
            redirect_uri=_callback_url(client),
            next=_return_path(next),
            may_start_again=plain and not started_again,
            now=now,
        )
        outgoing = begin_login(provider, transaction, options, now=now)
        transactions.put_transaction(transaction, client)
    for fault in cookie_faults(
        current_app.config, callback_url=transaction.redirect_uri, provider_url=client.issuer
    ):
        log.warning("this login will be lost: %s", fault)
    tell_login_started(provider, outgoing)
    return redirect(outgoing.browser.url)


def callback(provider: str | None = None) -> ResponseReturnValue:
    """``/callback``: take the transaction, prove the answer, start the session, go where asked."""
    if is_speculative():
        return not_now()
    now = int(time.time())
    with failures_told(provider) as answer:
        counterpart = current_state().provider(provider)
        posted = counterpart.client.response_mode == "form_post"
        if (request.method == "POST") != posted:
            return _wrong_method("POST" if posted else "GET")
        parameters = ResponseParameters.parse(_response_pairs(posted))
        answer.update(parameters.values)
        slip = transactions.read_state(parameters.state)
        transaction = transactions.pop_transaction(slip, counterpart.client, now=now)
        if transaction is not None:
            completed = complete_login(counterpart, transaction, parameters, now=now)
            identity = browser_session.log_in(completed.identity, now=now)
            try:
                keep_tokens(completed.tokens)
                tell_logged_in(completed, identity, parameters.values)
            except Exception:
                take_tokens()
                browser_session.log_out()
                raise
            return redirect(transaction.next)
    if posted and is_cross_site():
        # A cross-site POST brings no SameSite=Lax cookie: have it posted once more from here.
        return render_template("parjar/form_post.html", parameters=parameters.values)
    return _start_again(slip, parameters, counterpart.client, now=now)


def _response_pairs(posted: bool) -> list[tuple[str, str]]:
    """The parameters of the callback, duplicates and all; what is not UTF-8 is not repaired."""
    if posted and (request.content_length is None or request.content_length > MAX_FORM):
        raise ResponseRejected("response_malformed", f"{request.content_length} bytes of form")
    encoded = request.get_data() if posted else request.query_string
    try:
        return parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as exc:
        raise ResponseRejected("response_malformed", type(exc).__name__) from exc


def _start_again(
    slip: transactions.StateSlip,
    parameters: ResponseParameters,
    client: ClientConfig,
    *,
    now: int,
) -> ResponseReturnValue:
    """Answer to a login that this browser does not have (any more): begin it anew, but once."""
    if browser_session.get_identity():
        return redirect(slip.next)  # back or reload on a used callback: nothing is wrong
    code, cause = "login_expired", f"begun {now - slip.signed_at} s ago"
    if not transactions.is_expired(slip, now=now):
        code, cause = "login_lost", _why_lost(client)
    if not slip.may_start_again or "error" in parameters.values:
        with failures_told(slip.provider):
            raise ResponseRejected(code, cause)
    log.warning("%s, starting it once more: %s", code, cause)
    return start_login(slip.provider, _PLAIN, next=slip.next, started_again=True)


def jwks() -> ResponseReturnValue:
    """``GET /.well-known/jwks.json``: our public keys (RFC 7517 section 5)."""
    return jsonify(public_jwks())


def public_jwks() -> dict[str, list[Any]]:
    """The public keys of all our clients, each once."""
    clients = [provider.client for provider in current_state().providers.values()]
    by_kid = {jwk["kid"]: dict(jwk) for client in clients for jwk in client.public_jwks}
    return {"keys": list(by_kid.values())}


def _why_lost(client: ClientConfig) -> str:
    return probable_cause(
        current_app.config,
        request,
        session,
        callback_url=_callback_url(client),
        provider_url=client.issuer,
    )


def _stepped_up(options: LoginOptions, step_up: StepUp | None) -> LoginOptions:
    """What the app chooses for every login, and what a view or an API wants of this one."""
    if step_up is None:
        return options
    wanted = step_up.options
    return replace(
        options,
        provider=wanted.provider,
        acr_values=wanted.acr_values or options.acr_values,
        essential_acr=wanted.essential_acr or options.essential_acr,
        max_age=options.max_age if wanted.max_age is None else wanted.max_age,
    )


def _chosen_options() -> LoginOptions:
    choose = current_state().hooks.login_options
    return (choose() if choose is not None else None) or _PLAIN


def _callback_url(client: ClientConfig) -> str:
    """The ``redirect_uri``: the configured one, or that of the host this request was made to.

    :raises ResponseRejected: ``redirect_uri_unusable``.
    """
    if client.redirect_uri is not None:
        return client.redirect_uri
    named = current_state().settings.named
    return usable_url(
        url_for("parjar.callback", provider=client.name if named else None, _external=True)
    )


def _return_path(next_path: str | None) -> str:
    """Where a login may lead: a path of this site, and none of the routes that began it."""
    path = parse_return_path(next_path)
    if path is None or _is_our_own(unquote(path.partition("?")[0])):
        return in_this_app(current_state().settings.after_login)
    return path


def _is_our_own(path: str) -> bool:
    login_path = url_for("parjar.login")
    own = [login_path, url_for("parjar.logout"), login_path.removesuffix("login") + "callback"]
    return any(f"{path}/".startswith(f"{each}/") for each in own)


def _wrong_method(allowed: str) -> Response:
    text = f"The provider's answer comes by {allowed}: see PARJAR_RESPONSE_MODE.\n"
    return Response(text, status=405, headers={"Allow": allowed}, content_type="text/plain")
