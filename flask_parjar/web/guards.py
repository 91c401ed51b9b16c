"""Decorators that protect views.

They work on views, in ``MethodView.decorators``, and on a blueprint's ``before_request`` function.
If a login is needed they raise `LoginRequired`. The extension answers it with a redirect to the
login, or with 401 and JSON if the request is not a navigation.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from flask import current_app, request

from ..protocol.authorization import LoginOptions
from ..protocol.authorization_details import types_of
from ..protocol.id_token import is_fresh
from ..protocol.identity import Identity
from ..runtime import current_runtime
from .errors import AccessDenied, LoginRequired
from .own_urls import OWN_ENDPOINTS
from .session import current_session, get_identity, logged_in_at, report_refusal
from .session_record import SessionRecord
from .step_up import StepUp, demand_step_up
from .tokens import granted_details
from .unguarded import mark_guard

P = ParamSpec("P")
R = TypeVar("R")
View = Callable[P, R]

_NAME_THE_CLAIMS = (
    'name the claims with their values: @claims_required(org="acme") or '
    '@claims_required({("realm_access", "roles"): "admin"})'
)


def _guarded_by(
    check: Callable[[Identity], None] | None, *, provider: str | None, needs_store: bool = False
) -> Callable[[View[P, R]], View[P, R]]:
    """Make a guard.

    :param check: raises if a person who is logged in may not do this; None if all may.
    :param provider: where the login must be; None where any provider will do.
    :param needs_store: whether the check reads the tokens.
    """
    given: object = provider
    if given is not None and not (isinstance(given, str) and given):
        raise TypeError(f"provider={given!r:.80}: write a name in PARJAR_PROVIDERS")

    def decorate(view: View[P, R]) -> View[P, R]:
        is_async = inspect.iscoroutinefunction(view)

        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if _is_answered_by_flask():
                return cast(R, None)
            # A guard in app.before_request must not protect the login itself.
            if request.endpoint not in OWN_ENDPOINTS:
                _require(check, provider)
            if is_async:
                return cast(R, current_app.ensure_sync(view)(*args, **kwargs))
            return view(*args, **kwargs)

        mark_guard(guarded, view, needs_store=needs_store)
        return guarded

    return decorate


def _require(check: Callable[[Identity], None] | None, provider: str | None) -> None:
    """Require what a guard wants of the person who is logged in."""
    session = current_session()
    try:
        _require_login(session, provider)
        if check is not None:
            check(get_identity())
    except AccessDenied as denied:
        report_refusal(denied)
        raise


def _is_answered_by_flask() -> bool:
    """Whether this is a CORS preflight that Flask answers without calling the view.

    Browsers send no cookie with it. The answer names the allowed methods, and nothing else.
    """
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
        and getattr(request.url_rule, "provide_automatic_options", None) is True
    )


def _require_login(session: SessionRecord | None, provider: str | None) -> None:
    """Require a login, at one provider if a guard names it.

    :raises LoginRequired: no one is logged in.
    :raises AccessDenied: ``other_provider``.
    :raises RuntimeError: there is no such provider.
    """
    if provider is not None and provider not in (names := current_runtime().providers):
        raise RuntimeError(
            f"A guard has provider={provider!r}. The names in PARJAR_PROVIDERS are: "
            + ", ".join(names)
        )
    if session is None:
        raise LoginRequired(provider=provider)
    if provider is not None and session.provider != provider:
        found = f"the login was at {session.provider!r}, and the view requires {provider!r}"
        raise AccessDenied("other_provider", found, provider=provider)


@overload
def login_required(view: View[P, R], /, *, provider: str | None = None) -> View[P, R]: ...
@overload
def login_required(*, provider: str | None = None) -> Callable[[View[P, R]], View[P, R]]: ...
def login_required(view: Any = None, /, *, provider: str | None = None) -> Any:
    """Require a login. Written as ``@login_required`` or ``@login_required()``.

    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    :raises LoginRequired: no one is logged in.
    :raises AccessDenied: ``other_provider``.
    """
    guard: Any = _guarded_by(None, provider=provider)
    return guard if view is None else guard(view)


def scopes_required(
    *scopes: str, provider: str | None = None
) -> Callable[[View[P, R]], View[P, R]]:
    """Require that the login was granted all of these scopes.

    A string with spaces names several, as in PARJAR_SCOPES.

    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    :raises LoginRequired: no one is logged in.
    :raises AccessDenied: ``other_provider``, ``insufficient_scope``.

    RFC 6749 section 3.3.
    """
    given = cast(tuple[object, ...], scopes)  # without parentheses, this is the view itself
    words = [each.split() if isinstance(each, str) else [] for each in given]
    if not words or not all(words):
        raise TypeError('name the scopes: @scopes_required("reports:read")')
    wanted = frozenset(word for each in words for word in each)

    def check(identity: Identity) -> None:
        missing = wanted - identity.scopes
        if missing:
            raise AccessDenied("insufficient_scope", f"missing: {' '.join(sorted(missing))}")

    return _guarded_by(check, provider=provider)


def claims_required(
    named: Mapping[Any, Any] | None = None, /, *, provider: str | None = None, **claims: Any
) -> Callable[[View[P, R]], View[P, R]]:
    """Require all of these claims, each with this value or with a list that contains it.

    :param named: claims whose name is no Python name (``{"https://my.site/roles": "admin"}``), and
        claims inside claims, by their path (``{("realm_access", "roles"): "admin"}``).
    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider. (A
        claim of this name is written into the dict.)
    :raises LoginRequired: no one is logged in.
    :raises AccessDenied: ``other_provider``, ``insufficient_claims``.
    """
    wanted = [*_paths({} if named is None else named), *_paths(claims)]
    if not wanted:
        raise TypeError(_NAME_THE_CLAIMS)

    def check(identity: Identity) -> None:
        missing = [path for path, value in wanted if not _has(identity, path, value)]
        if missing:
            raise AccessDenied("insufficient_claims", _why_missing(missing, identity))

    return _guarded_by(check, provider=provider)


def authorization_details_required(
    *, type: str, provider: str | None = None
) -> Callable[[View[P, R]], View[P, R]]:
    """Require that the login was granted ``authorization_details`` of this type.

    They are stored with the tokens, so PARJAR_STORE must be set. What is inside of them, such as an
    amount, the view itself compares: ``parjar.tokens().authorization_details``.

    :param type: for example ``payment_initiation``.
    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    :raises LoginRequired: no one is logged in, or the tokens have ended.
    :raises AccessDenied: ``other_provider``, ``insufficient_authorization_details``.
    :raises RuntimeError: PARJAR_STORE is not set.

    RFC 9396 section 7.
    """
    given: object = type
    if not isinstance(given, str) or not given:
        raise TypeError('name the type: @authorization_details_required(type="payment_initiation")')

    def check(identity: Identity) -> None:
        granted = types_of(granted_details())
        if type not in granted:
            found = ", ".join(sorted({*granted})) or "none"
            raise AccessDenied(
                "insufficient_authorization_details", f"missing: {type}; granted: {found:.200}"
            )

    return _guarded_by(check, provider=provider, needs_store=True)


def step_up_required(
    *,
    acr: str | Sequence[str] | None = None,
    max_age: int | None = None,
    same_person: bool = True,
    provider: str | None = None,
) -> Callable[[View[P, R]], View[P, R]]:
    """Require a strong or recent login; a person without one is sent to log in again.

    If the provider cannot comply, the login fails with an error and is not tried for ever.

    :param acr: the authentication context that is wanted, or several of which any will do.
    :param max_age: seconds since the person last proved who they are (PARJAR_CLOCK_SKEW is added).
    :param same_person: whether a login of another person is refused, so that the first person
        stays logged in.
    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    :raises ValueError: for a value that makes no sense, where the view is defined.
    :raises LoginRequired: no one is logged in; ``step_up_required``.
    :raises AccessDenied: ``other_provider``, ``step_up_failed``.

    RFC 9470, OpenID Connect Core 3.1.2.1.
    """
    wanted = (acr,) if isinstance(acr, str) else tuple(acr or ())
    if not all(wanted) or (not wanted and max_age is None):
        raise TypeError('say what is wanted: @step_up_required(acr="mfa") or (max_age=300)')
    LoginOptions(acr_values=wanted, max_age=max_age)  # raises now and not at the first login

    def check(identity: Identity) -> None:
        now = int(time.time())
        fresh = max_age is None or _is_fresh(identity, max_age, now)
        if fresh and (not wanted or identity.acr in wanted):
            return
        step_up = StepUp(
            identity.provider, wanted, max_age, essential=True, same_person=same_person
        )
        raise demand_step_up(step_up, logged_in_at=logged_in_at(), now=now)

    return _guarded_by(check, provider=provider)


def _is_fresh(identity: Identity, max_age: int, now: int) -> bool:
    """Apply the same rule as the login does: otherwise a guard could refuse each new login."""
    skew = current_runtime().provider(identity.provider).client.clock_skew
    return is_fresh(identity.claims.get("auth_time"), max_age=max_age, now=now, skew=skew)


def _paths(claims: object) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each claim as a path of names, from the outer claim to the inner one, with its value."""
    if not isinstance(claims, Mapping):
        raise TypeError(_NAME_THE_CLAIMS)
    for name, value in claims.items():
        path = name if isinstance(name, tuple) else (name,)
        if not path or not all(isinstance(each, str) and each for each in path):
            raise TypeError(f"{name!r:.80} names no claim: write a string, or a tuple of strings")
        yield path, value


def _why_missing(paths: Sequence[tuple[str, ...]], identity: Identity) -> str:
    """What the operator must know of claims that a guard did not find."""
    detail = f"missing: {', '.join('.'.join(path) for path in paths)}"
    unknown = sorted({path[0] for path in paths} & identity.claims_left_out)
    if unknown:
        detail += (
            f"; did not fit into the session cookie: {', '.join(unknown)}: ask for fewer scopes, "
            "or keep sessions on the server with Flask-Session"
        )
    return detail


def _has(identity: Identity, path: Sequence[str], value: object) -> bool:
    found: Any = identity.claims
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    if isinstance(found, list) and not isinstance(value, list):
        return any(type(each) is type(value) and each == value for each in found)
    return type(found) is type(value) and bool(found == value)
