"""Decorators that let only the right people through.

They go on views, on ``MethodView.decorators``, and on a blueprint's ``before_request`` function.
Where somebody must log in they raise `LoginRequired`, which the extension answers with a redirect
to the login, or with 401 and JSON where the caller is no navigation.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from flask import current_app, request

from .errors import AccessDenied, LoginRequired
from .protocol.identity import Identity
from .session import get_identity, logged_in_at
from .state import current_state
from .step_up import StepUp, demand_step_up

P = ParamSpec("P")
R = TypeVar("R")
View = Callable[P, R]


def _guarded_by(check: Callable[[Identity], None]) -> Callable[[View[P, R]], View[P, R]]:
    def decorate(view: View[P, R]) -> View[P, R]:
        is_async = inspect.iscoroutinefunction(view)

        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            # A guard before every request of an app must not stand before its own login.
            if request.blueprint != "parjar":
                check(get_identity())
            if is_async:
                return cast(R, current_app.ensure_sync(view)(*args, **kwargs))
            return view(*args, **kwargs)

        return guarded

    return decorate


def _require_login(identity: Identity) -> None:
    if not identity:
        raise LoginRequired


@overload
def login_required(view: View[P, R], /) -> View[P, R]: ...
@overload
def login_required() -> Callable[[View[P, R]], View[P, R]]: ...
def login_required(view: Any = None, /) -> Any:
    """Let only those in who are logged in; bare, or with parentheses.

    :raises LoginRequired: in the view's place.
    """
    guard: Any = _guarded_by(_require_login)
    return guard if view is None else guard(view)


def scopes_required(*scopes: str) -> Callable[[View[P, R]], View[P, R]]:
    """Let only those in whose login was granted every one of these scopes (RFC 6749 section 3.3).

    :raises LoginRequired: nobody is logged in.
    :raises AccessDenied: ``insufficient_scope``.
    """
    if not scopes or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError('name the scopes: @scopes_required("reports:read")')
    wanted = frozenset(scopes)

    def check(identity: Identity) -> None:
        _require_login(identity)
        missing = wanted - identity.scopes
        if missing:
            raise AccessDenied("insufficient_scope", f"missing: {' '.join(sorted(missing))}")

    return _guarded_by(check)


def claims_required(**claims: Any) -> Callable[[View[P, R]], View[P, R]]:
    """Let only those in who have every one of these claims, with this value or with it in a list.

    :raises LoginRequired: nobody is logged in.
    :raises AccessDenied: ``insufficient_claims``.
    """
    if not claims:
        raise TypeError('name the claims: @claims_required(org="acme")')

    def check(identity: Identity) -> None:
        _require_login(identity)
        missing = [name for name, value in claims.items() if not _has(identity, name, value)]
        if missing:
            raise AccessDenied("insufficient_claims", f"missing: {', '.join(missing)}")

    return _guarded_by(check)


def step_up_required(
    *, acr: str | Sequence[str] | None = None, max_age: int | None = None
) -> Callable[[View[P, R]], View[P, R]]:
    """Let only those in whose login was strong, or fresh, enough; others are sent to a better one.

    Where the provider cannot comply the login fails with a sentence, and is not tried for ever.

    :param acr: the authentication context that is wanted, or several of which any will do.
    :param max_age: seconds since the person last proved who they are (PARJAR_CLOCK_SKEW is added).
    :raises LoginRequired: nobody is logged in; ``step_up_required``.
    :raises AccessDenied: ``step_up_failed``.

    RFC 9470, OpenID Connect Core 3.1.2.1.
    """
    wanted = (acr,) if isinstance(acr, str) else tuple(acr or ())
    if not all(wanted) or (not wanted and max_age is None):
        raise TypeError('say what is wanted: @step_up_required(acr="mfa") or (max_age=300)')

    def check(identity: Identity) -> None:
        _require_login(identity)
        now = int(time.time())
        oldest = float("inf")
        if max_age is not None:
            skew = current_state().provider(identity.provider).client.clock_skew
            oldest = max_age + skew  # as at the login itself, which this must not undo
        fresh = max_age is None or now - (identity.auth_time or 0) <= oldest
        if fresh and (not wanted or identity.acr in wanted):
            return
        step_up = StepUp(identity.provider, wanted, max_age, essential=True)
        raise demand_step_up(step_up, logged_in_at=logged_in_at(), now=now)

    return _guarded_by(check)


def _has(identity: Identity, name: str, value: object) -> bool:
    if name not in identity.claims:
        return False
    found = identity.claims[name]
    if isinstance(found, list) and not isinstance(value, list):
        return any(type(each) is type(value) and each == value for each in found)
    return type(found) is type(value) and bool(found == value)
