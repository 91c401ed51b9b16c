"""The routes by which somebody leaves: their own wish, and the provider's two ways to tell us."""

from __future__ import annotations

import logging
import time
from urllib.parse import urljoin, urlsplit

from flask import Response, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from . import session as browser_session
from .announcements import tell_logged_out
from .errors import (
    AccessDenied,
    LoginError,
    ParJarError,
    ProviderUnavailable,
    StoreUnavailable,
)
from .flows.logout import accept_logout_token, begin_logout
from .flows.refresh import revoke_tokens
from .protocol.identity import Identity
from .protocol.urls import parse_return_path
from .state import check_shared, current_state
from .tokens import take_tokens
from .visit import (
    MAX_FORM,
    in_this_app,
    is_cross_site,
    is_navigation,
    is_same_origin,
    is_speculative,
    not_now,
    usable_url,
)

log: logging.Logger = logging.getLogger("flask_parjar")


def logout() -> ResponseReturnValue:
    """``/logout``: end the session here and, where it has a door for that, at the provider.

    Only this site's own pages log anybody out; a link from elsewhere is answered with a question,
    and a form from elsewhere is refused.
    """
    if is_speculative():
        return not_now()
    if request.method == "POST" and is_cross_site():
        raise AccessDenied("cross_site")
    state = current_state()
    home = in_this_app(state.settings.after_logout)
    next_path = _next_after_logout() or home
    if not is_same_origin() or not is_navigation() and request.method == "GET":
        return render_template("parjar/logout.html", next=next_path)
    tokens = take_tokens()
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
        or usable_url(urljoin(request.root_url, home)),
        now=now,
    )
    return redirect(elsewhere or next_path)


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
    if not _is_small_form():
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
        return not_now()
    client = current_state().provider(provider).client
    (identity, _), given = browser_session.named_in_session(), request.args
    sid = identity.claims.get("sid")
    if (given.get("iss"), identity.issuer) == (client.issuer, client.issuer) and (
        isinstance(sid, str) and given.get("sid") == sid
    ):
        take_tokens()
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
    if request.method == "POST" and _is_small_form():
        asked = request.form.get("next", asked)
    return parse_return_path(asked)


def _is_small_form() -> bool:
    """Whether the body says how long it is, before anything of it is read, and is short."""
    return (request.content_length or MAX_FORM) < MAX_FORM
