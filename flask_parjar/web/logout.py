"""The routes for logout: ``/logout``, back-channel logout and front-channel logout."""

from __future__ import annotations

import logging
import time
from urllib.parse import parse_qs, urljoin, urlsplit

from flask import Response, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..errors import LoginError, ParJarError, ProviderUnavailable, StoreUnavailable
from ..flows.logout import accept_logout_token, begin_logout
from ..flows.refresh import revoke_tokens
from ..protocol.client import ClientConfig
from ..protocol.identity import Identity
from ..protocol.logout import LogoutToken
from ..protocol.urls import parse_return_path
from ..runtime import current_runtime, require_shared_store
from ..signals import log_failure, send_logged_out, send_logout_token_refused
from . import session as browser_session
from .errors import AccessDenied
from .own_urls import check_own_url, with_script_root, without_own_origin
from .request_kind import (
    MAX_FORM,
    decline_prefetch,
    is_cross_site,
    is_navigation,
    is_same_origin,
    is_small_form,
    is_speculative,
)
from .tokens import take_tokens

log: logging.Logger = logging.getLogger("flask_parjar")


def logout() -> ResponseReturnValue:
    """``/logout``: end the session here and, if the provider supports it, there too.

    Only a page of this site can log a person out. A link on another site leads to a page that asks
    for confirmation, and a form on another site is refused.

    :raises AccessDenied: ``cross_site``.
    """
    if is_speculative():
        return decline_prefetch()
    if request.method == "POST" and is_cross_site():
        raise browser_session.report_refusal(AccessDenied("cross_site"))
    runtime = current_runtime()
    after_logout = runtime.settings.after_logout
    home = with_script_root(after_logout or "/")
    next_path = _next_after_logout() or (after_logout and home)
    is_from_elsewhere = not is_same_origin()
    is_part_of_a_page = request.method == "GET" and not is_navigation()  # an image, or a script
    if is_from_elsewhere or is_part_of_a_page:
        return render_template("parjar/logout.html", next=next_path or home)
    tokens = take_tokens()
    ended = browser_session.log_out()
    if ended is None:
        return _leave(next_path, home)
    identity = ended.identity
    send_logged_out(identity, session=ended.id)
    provider, now = runtime.provider(identity.provider), int(time.time())
    if tokens is not None:
        revoke_tokens(provider, tokens, now=now)
    elsewhere = begin_logout(
        provider,
        identity,
        tokens,
        post_logout_redirect_uri=provider.client.post_logout_redirect_uri
        or check_own_url(urljoin(request.root_url, home)),
        now=now,
    )
    return redirect(elsewhere) if elsewhere else _leave(next_path, home)


def _leave(next_path: str | None, home: str) -> ResponseReturnValue:
    """Show the page after a logout.

    Without one in the configuration it is a page of ours. The first page of the site may need a
    login, and a provider where the person is still signed in would log them in again at once.
    """
    if next_path:
        return redirect(next_path)
    return render_template("parjar/logged_out.html", home_url=home)


def backchannel_logout(provider: str | None = None) -> ResponseReturnValue:
    """``POST /backchannel-logout``: the provider ends sessions, in whatever browser they are.

    OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8.
    """
    runtime = current_runtime()
    try:
        require_shared_store(runtime)
        if runtime.sessions is None or runtime.replays is None:
            raise LoginError("logout_tokens_unsupported")
        chosen, now = runtime.provider(provider), int(time.time())
        logout_token = accept_logout_token(
            chosen,
            _posted_logout_token(),
            sessions=runtime.sessions,
            replays=runtime.replays,
            now=now,
        )
    except ParJarError as error:
        log_failure("logout token refused", error)
        send_logout_token_refused(provider, error)
        away = isinstance(error, ProviderUnavailable | StoreUnavailable)
        body = {
            "error": error.error_code if away else "invalid_request",
            "error_description": str(error),
        }
        return jsonify(body | {"code": error.error_code}), error.status_hint if away else 400
    if logout_token is None:
        log.debug("logout token from provider %r came again", chosen.client.name)
    else:
        log.info("logout token accepted from provider %r", chosen.client.name)
        send_logged_out(_named_by(logout_token, chosen.client), session=None)
    return Response(status=200)


def _named_by(token: LogoutToken, client: ClientConfig) -> Identity:
    """What a logout token says of the person: the subject, or only the name of the session."""
    return Identity(
        issuer=token.issuer,
        subject=token.subject or "",
        provider=client.name,
        claims={} if token.sid is None else {"sid": token.sid},
    )


def _posted_logout_token() -> str:
    if request.content_length is None:
        tokens = _tokens_in_chunks()
    elif is_small_form():
        tokens = request.form.getlist("logout_token")
    else:
        raise LoginError("logout_token_missing", f"{request.content_length} bytes of form")
    if len(tokens) != 1 or not tokens[0]:
        raise LoginError("logout_token_missing", f"{len(tokens)} of them")
    return tokens[0]


def _tokens_in_chunks() -> list[str]:
    """Read a form whose length is not announced (RFC 9112 section 7.1), but only a small one.

    Werkzeug would read all of it, and has a limit for the whole app only.
    """
    body = b""
    while len(body) <= MAX_FORM and (piece := request.stream.read(MAX_FORM + 1 - len(body))):
        body += piece
    if len(body) > MAX_FORM:
        raise LoginError("logout_token_missing", f"more than {MAX_FORM} bytes of form")
    if not body:  # nothing, or the app has read the form before
        return request.form.getlist("logout_token")
    if request.mimetype != "application/x-www-form-urlencoded":
        return []
    return parse_qs(body.decode("ascii", "replace")).get("logout_token", [])


def frontchannel_logout(provider: str | None = None) -> ResponseReturnValue:
    """``GET /frontchannel-logout``: a frame in the provider's page ends this browser's session.

    It does so only if ``iss`` and ``sid`` are those of the session. Other sites do not know them,
    so a frame in their pages cannot log anyone out. The session cookie is needed, and browsers send
    it in a cross-site frame only with SameSite=None, if at all.

    OpenID Connect Front-Channel Logout 1.0 section 2.
    """
    if is_speculative():
        return decline_prefetch()
    chosen, now = current_runtime().provider(provider), int(time.time())
    client = chosen.client
    record, given = browser_session.peek_session(), request.args
    is_meant = (
        record is not None
        and given.get("iss") == record.issuer
        and client.accepted_issuer.includes(record.issuer)
        and isinstance(record.claims.get("sid"), str)
        and given.get("sid") == record.claims["sid"]
    )
    if record is not None and is_meant:
        tokens = take_tokens()
        browser_session.log_out()
        send_logged_out(record.identity, session=record.id)
        if tokens is not None:
            revoke_tokens(chosen, tokens, now=now)
    response = Response("<!doctype html><title>Logged out</title>")
    issuer = urlsplit(client.issuer)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; base-uri 'none'; frame-ancestors {issuer.scheme}://{issuer.netloc}"
    )
    return response


def _next_after_logout() -> str | None:
    """The ``next`` of the query, or of the form if that is small enough to read."""
    asked = request.args.get("next")
    if request.method == "POST" and is_small_form():
        asked = request.form.get("next", asked)
    return None if asked is None else parse_return_path(without_own_origin(asked))
