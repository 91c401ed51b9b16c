"""The blueprint: login, callback, logout, jwks, and how an error is shown."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

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
from .announcements import failures_told, tell_logged_in, tell_logged_out, tell_login_started
from .error_page import add_headers
from .errors import (
    AccessDenied,
    LoginError,
    LoginRequired,
    ParJarError,
    ProviderUnavailable,
    ResponseRejected,
    StoreUnavailable,
)
from .flows.login import begin_login, complete_login
from .flows.logout import accept_logout_token, begin_logout
from .flows.refresh import revoke_tokens
from .lost_login import cookie_faults, probable_cause
from .protocol.authorization import LoginOptions
from .protocol.client import ClientConfig
from .protocol.identity import Identity
from .protocol.response import ResponseParameters
from .protocol.tokens import TokenSet
from .protocol.urls import check_endpoint, parse_return_path
from .state import check_shared, current_state
from .step_up import StepUp, begin_step_up
from .tokens import keep_tokens, take_tokens
from .visit import in_this_app, is_cross_site, is_navigation, is_same_origin, is_speculative

log: logging.Logger = logging.getLogger("flask_parjar")

_PLAIN = LoginOptions()  # what a login asks for where nobody asks for more
_MAX_FORM = 32 * 1024  # bytes of a form_post answer, before anything of it is read


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
        return _not_now()
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
        return _not_now()
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
                _tokens_left()
                browser_session.log_out()
                raise
            return redirect(transaction.next)
    if posted and is_cross_site():
        # A cross-site POST brings no SameSite=Lax cookie: have it posted once more from here.
        return render_template("parjar/form_post.html", parameters=parameters.values)
    return _start_again(slip, parameters, counterpart.client, now=now)


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


def logout() -> ResponseReturnValue:
    """``/logout``: end the session here and, where it has a door for that, at the provider.

    Only this site's own pages log anybody out; a link from elsewhere is answered with a question,
    and a form from elsewhere is refused.
    """
    if is_speculative():
        return _not_now()
    if request.method == "POST" and is_cross_site():
        raise AccessDenied("cross_site")
    state = current_state()
    home = in_this_app(state.settings.after_logout)
    next_path = _next_after_logout() or home
    if not is_same_origin() or not is_navigation() and request.method == "GET":
        return render_template("parjar/logout.html", next=next_path)
    tokens = _tokens_left()
    identity = browser_session.log_out()
    if not identity:
        return redirect(next_path)
    tell_logged_out(identity)
    provider, now = state.provider(identity.provider), int(time.time())
    if tokens is not None:
        revoke_tokens(provider, tokens, now=now)
    elsewhere = begin_logout(
        provider,
        identity,
        tokens,
        post_logout_redirect_uri=provider.client.post_logout_redirect_uri
        or _usable(urljoin(request.root_url, home)),
        now=now,
    )
    return redirect(elsewhere or next_path)


def _tokens_left() -> TokenSet | None:
    """The tokens of who is leaving: a store that does not answer keeps nobody logged in."""
    try:
        return take_tokens()
    except StoreUnavailable as exc:
        log.warning("tokens were left to expire: %s", exc.detail)
        return None


def backchannel_logout(provider: str | None = None) -> ResponseReturnValue:
    """``POST /backchannel-logout``: the provider ends sessions, wherever they are.

    OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8.
    """
    state = current_state()
    try:
        check_shared(state)
        if state.sessions is None:
            raise LoginError("notices_unsupported")
        counterpart, now = state.provider(provider), int(time.time())
        notice = accept_logout_token(counterpart, state.sessions, _notice_posted(), now=now)
    except ParJarError as error:
        log.warning("logout notice not taken: %s: %s. %s", error.code, error.detail, error.advice)
        away = isinstance(error, ProviderUnavailable | StoreUnavailable)
        body = {"error": error.code if away else "invalid_request", "error_description": str(error)}
        return jsonify(body | {"code": error.code}), error.status_hint if away else 400
    log.info("logout notice taken from provider %r", counterpart.client.name)
    tell_logged_out(
        Identity(
            issuer=counterpart.client.issuer,
            subject=notice.subject or "",
            provider=counterpart.client.name,
            claims={} if notice.sid is None else {"sid": notice.sid},
        )
    )
    return Response(status=200)


def _notice_posted() -> str:
    if (request.content_length or _MAX_FORM) >= _MAX_FORM:
        raise LoginError("notice_missing", f"{request.content_length} bytes of form")
    tokens = request.form.getlist("logout_token")
    if len(tokens) != 1 or not tokens[0]:
        raise LoginError("notice_missing", f"{len(tokens)} of them")
    return tokens[0]


def frontchannel_logout(provider: str | None = None) -> ResponseReturnValue:
    """``GET /frontchannel-logout``: a frame of the provider ends the session of this browser.

    Only where ``iss`` and ``sid`` are those of the session, which nobody else knows: so the frame
    of another site harms nobody. (It needs the session's cookie, which browsers send into a frame
    of another site only with SameSite=None, if at all.)

    OpenID Connect Front-Channel Logout 1.0 section 2.
    """
    if is_speculative():
        return _not_now()
    client = current_state().provider(provider).client
    identity, given = browser_session.get_identity(), request.args
    sid = identity.claims.get("sid")
    if (given.get("iss"), identity.issuer) == (client.issuer, client.issuer) and (
        isinstance(sid, str) and given.get("sid") == sid
    ):
        _tokens_left()
        tell_logged_out(browser_session.log_out())
    response = Response("<!doctype html><title>Logged out</title>")
    issuer = urlsplit(client.issuer)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; base-uri 'none'; frame-ancestors {issuer.scheme}://{issuer.netloc}"
    )
    return response


def _next_after_logout() -> str | None:
    """The page asked for; a form is looked at only if it is a small one."""
    asked = request.args.get("next")
    if request.method == "POST" and (request.content_length or _MAX_FORM) < _MAX_FORM:
        asked = request.form.get("next", asked)
    return parse_return_path(asked)


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
    return _usable(
        url_for("parjar.callback", provider=client.name if named else None, _external=True)
    )


def _usable(callback_url: str) -> str:
    """A ``redirect_uri`` is made of the Host header: refuse one that is no URL.

    :raises ResponseRejected: ``redirect_uri_unusable``.
    """
    try:
        return check_endpoint(callback_url, allow_http=True)
    except ValueError as exc:
        raise ResponseRejected("redirect_uri_unusable", f"{callback_url!r:.200}: {exc}") from exc


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


def _not_now() -> Response:
    """Refuse a browser that asks ahead of its user, so that it asks again when they do."""
    return Response(status=200 if request.method == "HEAD" else 503)


def _wrong_method(allowed: str) -> Response:
    text = f"The provider's answer comes by {allowed}: see PARJAR_RESPONSE_MODE.\n"
    return Response(text, status=405, headers={"Allow": allowed}, content_type="text/plain")
