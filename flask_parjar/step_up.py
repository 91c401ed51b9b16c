"""A stronger or a fresher login, asked for by a view or an API: its way through the browser.

What is asked travels to ``/login`` in a slip that is signed, so that nobody but this site can ask
for it; and the session remembers it, so that a provider that cannot comply is not asked for ever.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from flask import session

from .errors import AccessDenied, LoginRequired
from .protocol.authorization import LoginOptions
from .slips import read_slip, sign_slip

SESSION_KEY = "_parjar_step_up"
_SLIP_LIFETIME = 600  # seconds
_MAX_TRIED = 6
_HELPS_FOR = 60  # seconds after a login in which the same wish again means that it did not help


class StepUp(NamedTuple):
    """What a view or an API wants of a login.

    :param essential: whether the login itself is to fail where the provider gives another ``acr``.
    """

    provider: str
    acr_values: tuple[str, ...]
    max_age: int | None
    essential: bool

    @property
    def options(self) -> LoginOptions:
        """The login that may help."""
        return LoginOptions(
            provider=self.provider,
            acr_values=self.acr_values,
            essential_acr=self.essential and bool(self.acr_values),
            max_age=self.max_age,
        )


def demand_step_up(step_up: StepUp, *, logged_in_at: int, now: int) -> LoginRequired | AccessDenied:
    """The error that leads to a better login; or that ends it, where such a login is just over.

    Two wishes that contradict each other, as of a view and of the API behind it, have two tries.
    """
    asked = f"acr_values={' '.join(step_up.acr_values)!r} max_age={step_up.max_age}"
    wish, tried = _digest(step_up), _tried(now)
    # Only a login that was finished after the wish was brought forward has tried it.
    mine = [began for digest, began in tried if digest == wish and began <= logged_in_at]
    if mine and (tried[-1][0] == wish or len(mine) > 1) and now - logged_in_at < _HELPS_FOR:
        return AccessDenied("step_up_failed", asked)
    slip = sign_slip(step_up, purpose="step_up")
    return LoginRequired(asked, code="step_up_required", step_up=slip)


def begin_step_up(slip: str | None, *, now: int) -> StepUp | None:
    """Read the slip of a login that begins, and remember that it is being tried.

    :returns: None where there is none, or it is not ours or too old: then the login is a plain one.
    """
    if slip is None:
        session.pop(SESSION_KEY, None)
        return None
    try:
        (provider, acr_values, max_age, essential), signed_at = read_slip(slip, purpose="step_up")
    except ValueError:
        return None
    if now - signed_at > _SLIP_LIFETIME:
        return None
    step_up = StepUp(provider, tuple(acr_values), max_age, essential)
    session[SESSION_KEY] = [*_tried(now), [_digest(step_up), now]][-_MAX_TRIED:]
    return step_up


def _tried(now: int) -> list[Any]:
    """The wishes that were brought forward in this session lately, oldest first."""
    entries: Any = session.get(SESSION_KEY)
    return [
        entry
        for entry in (entries if isinstance(entries, (list, tuple)) else [])
        if isinstance(entry, (list, tuple)) and len(entry) == 2 and now - entry[1] < _SLIP_LIFETIME
    ]


def _digest(step_up: StepUp) -> str:
    return hashlib.sha256(repr(tuple(step_up)).encode("utf-8")).hexdigest()[:16]
