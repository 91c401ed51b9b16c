"""Step-up: a view or an API asks for a stronger or a more recent login (RFC 9470).

The request travels through the browser to ``/login`` as a signed value, so that only this site can
make one. The session remembers each attempt, so that a provider that cannot comply is not asked
again and again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from flask import session as flask_session

from ..protocol.authorization import LoginOptions
from .errors import AccessDenied, LoginRequired
from .shape import read_each, read_text_and_time
from .signing import dumps_signed, loads_signed

SESSION_KEY = "_parjar_step_up"
_SIGNED_LIFETIME = 600  # seconds
_MAX_ATTEMPTS = 6
_MAX_DIFFERENT = 4  # step-ups in ten minutes; a fifth one right after a login is in vain
_OTHER_PERSON = "other_person"  # a mark in place of a digest
_JUST_LOGGED_IN = 60  # seconds after a login in which a failed step-up ends in an error


class StepUp(NamedTuple):
    """What a view or an API wants of a login.

    :param acr_values: any of these will do, best first; empty where only the age counts.
    :param max_age: seconds since the person last proved who they are.
    :param essential: whether the login fails if the provider gives another ``acr``.
    :param same_person: whether the login fails if another person comes back.
    :param claims: the JSON of a ``claims`` parameter for the login; empty for none.
    """

    provider: str
    acr_values: tuple[str, ...]
    max_age: int | None
    essential: bool
    same_person: bool = True
    claims: str = ""

    @property
    def options(self) -> LoginOptions:
        """The options of the login that may satisfy it."""
        return LoginOptions(
            provider=self.provider,
            acr_values=self.acr_values,
            essential_acr=self.essential and bool(self.acr_values),
            max_age=self.max_age,
            claims=json.loads(self.claims) if self.claims else None,
        )

    @property
    def digest(self) -> str:
        """A short name for this step-up in the session, where there is little room."""
        return hashlib.sha256(repr(self.to_signed()).encode("utf-8")).hexdigest()[:16]

    def to_signed(self) -> tuple[Any, ...]:
        """What is signed for the way through the browser: without claims, where there are none."""
        return tuple(self) if self.claims else tuple(self)[:-1]


class StepUpAttempt(NamedTuple):
    """A login that was begun for a step-up.

    :param digest: `StepUp.digest`, or a mark that another person came back from a step-up.
    :param began_at: seconds since 1970.
    """

    digest: str
    began_at: int

    @classmethod
    def from_cookie(cls, value: object) -> StepUpAttempt | None:
        """Read what `to_cookie` wrote; None for anything else."""
        found = read_text_and_time(value)
        return None if found is None else cls(*found)

    def to_cookie(self) -> list[Any]:
        """Write a list without member names."""
        return list(self)


def demand_step_up(step_up: StepUp, *, logged_in_at: int, now: int) -> LoginRequired | AccessDenied:
    """Make the error to raise for a step-up that is not satisfied.

    :param logged_in_at: when the current login was, in seconds since 1970.
    :returns: `LoginRequired` (``step_up_required``) with the signed step-up; or `AccessDenied`
        (``step_up_failed``) if a login for the same step-up was just completed in vain.
    """
    asked = f"acr_values={' '.join(step_up.acr_values)!r} max_age={step_up.max_age}"
    if step_up.claims:
        asked = f"claims={step_up.claims:.200}"
    digest, attempts = step_up.digest, _recent_attempts(now)
    # Count only attempts that began before the current login: a later one is still under way, for
    # example in another tab, and has not failed.
    ended = [each.digest for each in attempts if each.began_at <= logged_in_at]
    same = ended.count(digest)
    # A view and the API behind it may ask for two different step-ups, and the login for one can
    # undo the other. So if the latest attempt was for another step-up, allow this one a second try.
    in_vain = same > 0 and (attempts[-1].digest == digest or same > 1)
    # An API that asks for something else each time is never satisfied either.
    in_vain = in_vain or len({*ended} - {_OTHER_PERSON}) >= _MAX_DIFFERENT
    # Some time after the login the person may try again: the provider may be able to comply by now.
    if in_vain and now - logged_in_at < _JUST_LOGGED_IN:
        return AccessDenied("step_up_failed", asked)
    signed = dumps_signed(step_up.to_signed(), purpose="step_up")
    return LoginRequired(asked, error_code="step_up_required", step_up=signed)


def read_step_up(signed: str, *, now: int) -> StepUp | None:
    """Verify that we signed a step-up, and read it.

    :returns: None where it is not ours or is too old; the login is then a plain one.
    """
    try:
        content, signed_at = loads_signed(signed, purpose="step_up")
        provider, acr_values, max_age, essential, same_person, *claims = content
    except ValueError:
        return None
    if now - signed_at > _SIGNED_LIFETIME:
        return None
    return StepUp(provider, tuple(acr_values), max_age, essential, same_person, *claims)


def remember_attempt(step_up: StepUp, *, now: int) -> None:
    """Remember that a login for this step-up begins."""
    _remember(StepUpAttempt(step_up.digest, now), now)


def forget_attempts() -> None:
    """Forget all attempts, because a plain login begins."""
    flask_session.pop(SESSION_KEY, None)


def remember_other_person(*, now: int) -> None:
    """Remember that another person came back from the step-up that just ended."""
    _remember(StepUpAttempt(_OTHER_PERSON, now), now)


def was_other_person(*, now: int) -> bool:
    """Whether another person came back from the last step-up of this session.

    That person is signed in at the provider now. Unless the next request asks for ``prompt=login``,
    the same person comes back each time.
    """
    return [each.digest for each in _recent_attempts(now)][-1:] == [_OTHER_PERSON]


def _recent_attempts(now: int) -> list[StepUpAttempt]:
    """The attempts of the last ten minutes in this session, oldest first."""
    attempts = read_each(flask_session.get(SESSION_KEY), StepUpAttempt.from_cookie)
    return [each for each in attempts if now - each.began_at < _SIGNED_LIFETIME]


def _remember(attempt: StepUpAttempt, now: int) -> None:
    """Add an attempt, and drop those that are too old or too many."""
    attempts = [*_recent_attempts(now), attempt][-_MAX_ATTEMPTS:]
    flask_session[SESSION_KEY] = [each.to_cookie() for each in attempts]
