"""The blueprint, and its routes for login, callback and our public keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from flask import (
    Blueprint,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
)
from flask import session as flask_session
from flask.typing import ResponseReturnValue

from ..errors import LoginError, ParJarError, ResponseRejected, TokenRejected
from ..flows.login import CompletedLogin, begin_login, complete_login, verify_response
from ..flows.refresh import revoke_tokens
from ..protocol.authorization import LoginOptions
from ..protocol.claims_parameter import merge_claims
from ..protocol.client import ClientConfig, merge_public_keys
from ..protocol.identity import ANONYMOUS, Identity
from ..protocol.response import AuthorizationResponse, ResponseParameters
from ..protocol.transaction import Transaction
from ..provider import Provider
from ..runtime import current_runtime
from ..signals import (
    report_failure,
    reporting_failures,
    send_logged_in,
    send_login_started,
    this_app,
)
from . import session as browser_session
from . import transactions
from .cookie_diagnosis import (
    cookie_faults,
    is_sent_in_clear_text,
    probable_cause,
    why_dropped,
)
from .error_page import add_headers, page_of_login, remember_page
from .errors import LoginRequired
from .initiated_login import InitiatedLogin, ask_again_by_get
from .logout import backchannel_logout, frontchannel_logout, logout
from .own_urls import OTHER_ACCOUNT, callback_url, return_path, url_of_login
from .request_kind import (
    MAX_FORM,
    decline_prefetch,
    is_cross_site,
    is_navigation,
    is_of_unknown_site,
    is_speculative,
)
from .step_up import (
    StepUp,
    forget_attempts,
    read_step_up,
    remember_attempt,
    remember_other_person,
    was_other_person,
)
from .tokens import keep_tokens, take_tokens

log: logging.Logger = logging.getLogger("flask_parjar")

_RESTART_LIFETIME = 24 * 3600  # seconds for which a ``state`` may begin a lost login again
_POSTED_AGAIN = "parjar_posted_again"  # a field of the form that our own page posts
_KEYS_MAX_AGE = 300  # seconds: a provider need not fetch our keys for each signature
_PLAIN = LoginOptions()  # a login that asks for nothing beyond the configuration


def make_blueprint(*, url_prefix: str | None, named: bool) -> Blueprint:
    """Make the routes; each named provider has its own login and callback."""
    blueprint = Blueprint("parjar", __name__, url_prefix=url_prefix, template_folder="../templates")
    blueprint.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    of_provider = "/<provider>" if named else ""
    if named:
        blueprint.add_url_rule("/login/<provider>", view_func=login, methods=["GET", "POST"])
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
    """``GET /login?next=/path``: begin a login and redirect the browser to the provider.

    Another site begins one with ``iss``, by GET or POST: see `InitiatedLogin`.

    :raises LoginRequired: the request is not a navigation.
    """
    if not is_navigation():
        raise LoginRequired  # a script cannot follow to the provider, and no image begins a login
    if request.method == "POST":
        return ask_again_by_get(provider)
    if "iss" in request.args:
        return _login_of_another_site(provider)
    options, person = _chosen_options(), ANONYMOUS
    if request.args.get("prompt") == OTHER_ACCOUNT:
        options = replace(options, other_account=True)
    if not is_speculative():
        step_up, other_before = _begin_step_up(now=int(time.time()))
        if step_up is not None:
            options, person = _stepped_up(options, step_up, ask_who=other_before)
            provider = options.provider  # a step-up is at the provider of the person's session
    name, next_path = provider or options.provider, request.args.get("next")
    names, other = current_runtime().providers, options.other_account
    if name is None and len(names) > 1:
        return _choice(
            {each: url_of_login(each, next=next_path, other_account=other) for each in names}
        )
    return start_login(name, options, next=next_path, person=person)


def _login_of_another_site(provider: str | None) -> ResponseReturnValue:
    """Begin a login that another site asks for. A page that is not of this site is ignored."""
    with reporting_failures(provider):
        asked = InitiatedLogin.parse(request.args)
        names = asked.find_providers(provider)
    options = _chosen_options()
    if asked.login_hint:
        options = replace(options, login_hint=asked.login_hint)
    if options.provider in names:
        names = [options.provider]
    if len(names) > 1:
        return _choice({each: asked.url_at(each) for each in names})
    if not is_speculative():
        forget_attempts()
    return start_login(names[0], options, next=asked.target_link_uri or None)


def _choice(urls: Mapping[str, str]) -> ResponseReturnValue:
    """The page where a person chooses a provider.

    :param urls: of the login at each provider, by its name.
    """
    providers = current_runtime().providers
    labels = {name: providers[name].client.label or name for name in urls}
    return render_template("parjar/choose.html", providers=urls, labels=labels)


def start_login(
    name: str | None,
    options: LoginOptions,
    *,
    next: str | None,
    person: Identity = ANONYMOUS,
    started_again: bool = False,
) -> ResponseReturnValue:
    """Begin one login and answer with the redirect to the provider.

    :param next: where to go afterwards; anything but a path of this site is ignored.
    :param person: who must come back; `ANONYMOUS` where any person may.
    :param started_again: whether this login replaces one that was lost.
    """
    if is_speculative():
        return decline_prefetch()
    with reporting_failures(name):
        provider, now = current_runtime().provider(name), int(time.time())
        client = provider.client
        plain = options is _PLAIN or replace(options, provider=None) == _PLAIN
        options = _asking_who_is_there(options, now=now)
        transaction = transactions.start_transaction(
            client,
            options,
            redirect_uri=callback_url(client),
            next=return_path(next),
            may_start_again=plain and not started_again,
            now=now,
            person=person,
        )
        authorization = begin_login(provider, transaction, options, now=now)
        transactions.put_transaction(transaction, client)
    _warn_of_cookie(callback_url=transaction.redirect_uri, provider_url=client.issuer)
    send_login_started(provider, authorization)
    return redirect(authorization.url)


def _asking_who_is_there(options: LoginOptions, *, now: int) -> LoginOptions:
    """After an idle end, let the provider ask who is there, unless it did so a short time ago.

    Otherwise the provider's own session would log in any person who finds the browser open.
    """
    runtime = current_runtime()
    idle_timeout = runtime.settings.idle_timeout
    if idle_timeout is None or not browser_session.ended_idle(runtime, now=now):
        return options
    wanted = idle_timeout if options.max_age is None else min(options.max_age, idle_timeout)
    return replace(options, max_age=wanted)


def _warn_of_cookie(*, callback_url: str, provider_url: str) -> None:
    """Log what is wrong with the attributes of the session cookie, as far as a login shows it."""
    config, known = current_app.config, current_runtime().process_cache
    for fault in cookie_faults(config, callback_url=callback_url, provider_url=provider_url):
        log.warning("this login will be lost: %s", fault)
    if is_sent_in_clear_text(config, callback_url=callback_url) and known.add(
        "warned of SESSION_COOKIE_SECURE", "", ttl=24 * 3600
    ):
        log.warning(
            "this site is on https, and its session cookie is sent over plain http too: set "
            "SESSION_COOKIE_SECURE to True (or to None, if that is what you want)"
        )


def callback(provider: str | None = None) -> ResponseReturnValue:
    """``/callback``: complete the login that ``state`` names, and start the session."""
    if is_speculative():
        return decline_prefetch()
    now = int(time.time())
    with reporting_failures(provider):
        chosen = current_runtime().provider(provider)
        posted = chosen.posts_responses
        if (request.method == "POST") != posted:
            raise ResponseRejected("response_method", f"it came by {request.method}")
        pairs = _response_pairs(posted)
        received = ResponseParameters.parse(pairs)
        must_be_posted_again = (
            posted and not transactions.get_pending_logins() and _must_be_posted_again(pairs)
        )
    if must_be_posted_again:
        form = {**received.values, _POSTED_AGAIN: "1"}
        return render_template("parjar/form_post.html", parameters=form)
    with reporting_failures(provider, response=received.values) as attempt:
        state, parameters, transaction = _find_login(chosen, received, now=now)
        if state is not None and transaction is not None:
            response = _verify_response(chosen, transaction, parameters, now=now)
            if not transactions.claim(state):
                return redirect(transaction.next)  # another request completes this login
            transactions.remove_transaction(transaction.seed)
            completed = _complete(chosen, transaction, response)
            attempt.identity = completed.identity
            _start_session(chosen, completed, parameters, now=now)
            return redirect(transaction.next)
        _remove_outdated(state)
    return _start_again(state, parameters, chosen.client, now=now)


class _Found(NamedTuple):
    """Which login a response is for.

    :param state: None if it is inside of what nothing was opened for.
    :param parameters: verified as the response mode says if there is a transaction; otherwise not.
    :param transaction: None if this browser has no such login under way.
    """

    state: transactions.SignedState | None
    parameters: ResponseParameters
    transaction: Transaction | None


def _find_login(provider: Provider, received: ResponseParameters, *, now: int) -> _Found:
    """Find the login that a response is for, and open the response if there is one.

    Nothing is opened for a browser without a login under way: otherwise anybody could make us
    decrypt tokens and fetch keys. To find the login, a ``state`` that is not verified yet is
    enough: we signed it, and it names nothing outside of this browser's session.
    """
    client, unverified = provider.client, provider.peek(received)
    state, transaction = None, None
    if unverified is not None:
        state = transactions.read_state(unverified.state)
        transaction = transactions.find_transaction(state, client, now=now)
        if transaction is None:
            return _Found(state, unverified, None)
        remember_page(transaction.next)
    elif not transactions.is_login_under_way(client, now=now):
        return _Found(None, received, None)
    parameters = provider.unwrap(received, now=now)
    if parameters is not unverified:  # it was inside of something, so nothing above counts
        state = transactions.read_state(parameters.state)
        transaction = transactions.find_transaction(state, client, now=now)
    return _Found(state, parameters, transaction)


def _must_be_posted_again(pairs: list[tuple[str, str]]) -> bool:
    """Whether a form came without our cookies, because another site's page has posted it.

    A cross-site POST brings no SameSite=Lax cookie, so our own page posts the form once more. Any
    site can send the mark of that page. So a form with the mark goes on only where our page may
    have sent it: otherwise the login that begins here would replace the visitor's session.

    :raises ResponseRejected: ``login_lost``: it has the mark, and is still from another site.
    """
    if not is_cross_site():
        return False
    if (_POSTED_AGAIN, "1") not in pairs:
        return True
    if is_of_unknown_site():
        return False
    origin = request.headers.get("Origin")
    raise ResponseRejected(
        "login_lost",
        f"a form that says it was posted again by our page came from Origin {origin!r:.200}: "
        "if that is this site, set PARJAR_REDIRECT_URI",
    )


def _start_session(
    provider: Provider, completed: CompletedLogin, parameters: ResponseParameters, *, now: int
) -> None:
    """Log the person in and store their tokens; if that fails, undo it and revoke the tokens."""
    session: browser_session.NewSession | None = None
    try:
        session = browser_session.log_in(completed.identity, id_token=completed.id_token, now=now)
        keep_tokens(session.record, completed.tokens, replaced=session.replaced)
        send_logged_in(completed, session.identity, parameters.values, session=session.record.id)
        dropped = why_dropped(this_app(), flask_session)
        if dropped is not None:  # otherwise the browser would go from one login to the next
            raise LoginError("session_too_large", dropped)
    except Exception:
        stored = None
        if session is not None:  # otherwise the session is still the one before
            stored = take_tokens()
            browser_session.log_out()
        revoke_tokens(provider, stored or completed.tokens, now=now)
        raise


def _verify_response(
    provider: Provider,
    transaction: Transaction,
    parameters: ResponseParameters,
    *,
    now: int,
) -> AuthorizationResponse:
    """Verify the response. A login whose response is refused is removed from the session."""
    remember_page(transaction.next)
    try:
        return verify_response(provider, transaction, parameters, now=now)
    except ParJarError:
        transactions.remove_transaction(transaction.seed)
        raise


def _complete(
    provider: Provider, transaction: Transaction, response: AuthorizationResponse
) -> CompletedLogin:
    """Complete a login; remember if another person came back than was asked for."""
    try:
        return complete_login(provider, transaction, response, clock=lambda: int(time.time()))
    except TokenRejected as exc:
        if exc.error_code == "other_person":
            remember_other_person(now=int(time.time()))
        raise


def _response_pairs(posted: bool) -> list[tuple[str, str]]:
    """The parameters of the callback, with duplicates.

    :raises ResponseRejected: ``response_malformed``: too large, or not valid UTF-8.
    """
    if posted and (request.content_length is None or request.content_length > MAX_FORM):
        raise ResponseRejected("response_malformed", f"{request.content_length} bytes of form")
    encoded = request.get_data() if posted else request.query_string
    try:
        return parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="replace")
    except ValueError as exc:
        raise ResponseRejected("response_malformed", type(exc).__name__) from exc


def _remove_outdated(state: transactions.SignedState | None) -> None:
    """Remove a login that cannot be completed any more, and remember where it leads."""
    outdated = None if state is None else transactions.remove_outdated(state)
    if outdated is not None and outdated.next is not None:
        remember_page(outdated.next)


def _start_again(
    state: transactions.SignedState | None,
    parameters: ResponseParameters,
    client: ClientConfig,
    *,
    now: int,
) -> ResponseReturnValue:
    """Answer a callback whose login is not in this browser: begin the login again, but only once.

    :param state: None if the response is encrypted: then it is not known whether this is the first
        time.
    :raises ResponseRejected: ``login_expired``, ``login_lost``.
    :raises LoginRequired: the request is not a navigation.
    """
    if browser_session.get_identity():
        return redirect(return_path(None))  # back or reload on a used callback: nothing is wrong
    if not is_navigation():
        raise LoginRequired  # as at /login: a state of ours is easy to get, so it permits no more
    if state is None:
        raise report_failure(
            ResponseRejected("login_lost", _why_lost(client)), provider=client.name
        )
    code, cause = "login_expired", f"begun {now - state.signed_at} s ago"
    if not transactions.is_expired(state, now=now):
        code, cause = "login_lost", _why_lost(client)
    outdated = now - state.signed_at > _RESTART_LIFETIME
    if outdated or not state.may_start_again or "error" in parameters.values:
        raise report_failure(ResponseRejected(code, cause), provider=state.provider)
    log.warning("%s, starting it once more: %s", code, cause)
    return start_login(state.provider, _PLAIN, next=page_of_login(), started_again=True)


def jwks() -> ResponseReturnValue:
    """``GET /.well-known/jwks.json``: our public keys (RFC 7517 section 5)."""
    response = jsonify(public_jwks())
    # They are the same for everyone, and a provider may need them for each client assertion.
    response.headers["Cache-Control"] = f"public, max-age={_KEYS_MAX_AGE}"
    return response


def public_jwks() -> dict[str, list[Any]]:
    """The public keys of all our clients, each key once."""
    providers = current_runtime().providers.values()
    keys = (key for provider in providers for key in provider.own_keys)
    return {"keys": merge_public_keys(keys)}


def _why_lost(client: ClientConfig) -> str:
    return probable_cause(
        current_app.config,
        request,
        flask_session,
        callback_url=callback_url(client),
        provider_url=client.issuer,
    )


def _stepped_up(
    options: LoginOptions, step_up: StepUp, *, ask_who: bool
) -> tuple[LoginOptions, Identity]:
    """Combine the options that the app chooses for every login with those of a step-up.

    :param ask_who: whether the provider must ask who is there (``prompt=login``).
    :returns: the options, and who must come back; `ANONYMOUS` where any person may.
    """
    wanted = step_up.options
    person = browser_session.get_identity() if step_up.same_person else ANONYMOUS
    stepped_up = replace(
        options,
        provider=person.provider or wanted.provider,
        prompt="login" if ask_who else options.prompt,
        other_account=False,
        acr_values=wanted.acr_values or options.acr_values,
        essential_acr=wanted.essential_acr or options.essential_acr,
        max_age=options.max_age if wanted.max_age is None else wanted.max_age,
        claims=merge_claims(options.claims, wanted.claims) or None,
    )
    return stepped_up, person


def _begin_step_up(*, now: int) -> tuple[StepUp | None, bool]:
    """Read the step-up of a login that begins, and remember the attempt.

    :returns: the step-up, or None for a plain login; and, with a step-up, whether another person
        came back from the one before.
    """
    signed = request.args.get("step_up")
    if signed is None:
        forget_attempts()
        return None, False
    other_before = was_other_person(now=now)
    step_up = read_step_up(signed, now=now)
    if step_up is not None:
        remember_attempt(step_up, now=now)
    return step_up, other_before


def _chosen_options() -> LoginOptions:
    choose = current_runtime().hooks.login_options
    return (choose() if choose is not None else None) or _PLAIN
