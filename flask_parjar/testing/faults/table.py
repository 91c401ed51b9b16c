"""How a fault is declared and activated, and the changes that several faults make.

A fault is a small function at a *hook*: a place where something is about to leave the provider and
can still be changed. Its name begins with the hook. Its docstring is the one sentence that the
documentation shows.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, TypeVar

from ..answers import Answer

#: The places where something leaves: an ``IDTokenDraft`` at ``id_token`` and ``refresh_id_token``,
#: and at ``jarm`` (an authorization response before it is signed); an ``EncryptedDraft`` at ``jwe``
#: (any token that is encrypted for the client); an ``AuthorizationAnswer`` at ``response``, and at
#: ``jarm_answer`` (after it was signed); a ``DPoPNonceDraft`` at ``dpop_nonce``; a
#: ``DPoPBindingDraft`` at ``dpop_binding``; a ``DPoPChallengeDraft`` at ``dpop_challenge`` (where
#: userinfo refuses a proof); a ``CertificateBindingDraft`` at ``certificate_binding``; an
#: ``Answer`` at the others. Refreshed tokens pass ``token`` and ``id_token`` too, before
#: ``refresh`` and ``refresh_id_token``.
Hook = Literal[
    "metadata", "jwks", "par", "response", "token", "id_token", "userinfo",
    "refresh", "refresh_id_token", "revocation", "dpop_nonce", "dpop_binding",
    "dpop_challenge", "jwe", "jarm", "jarm_answer", "certificate_binding",
]  # fmt: skip
Act = Callable[[Any], None]
A = TypeVar("A", bound=Act)

PAGE = "<!doctype html><title>Welcome</title><p>Please log in to the hotel's network.</p>"
#: An address of the provider's internal network, to which no client may be redirected.
INTERNAL_URL = "http://169.254.169.254/latest/meta-data/"
OVERSIZED_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave.

    :param summary: one sentence, for the documentation
    :param acts: functions, each with its hook; most faults have one
    :param oidf: the OpenID Foundation's client test module for it, if there is one
    :param times: how often it acts before it heals by itself; None means always
    """

    name: str
    summary: str
    acts: tuple[tuple[Hook, Act], ...]
    oidf: str | None = None
    times: int | None = None


class FaultTable:
    """Faults by name; decorators add them when a module is imported."""

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}

    def at(
        self, hook: Hook, *, oidf: str | None = None, times: int | None = None
    ) -> Callable[[A], A]:
        """Make the decorated function a fault, with the function's name."""

        def declare(act: A) -> A:
            name, summary = act.__name__, (act.__doc__ or "").strip()
            self.faults[name] = Fault(
                name=name, summary=summary, acts=((hook, act),), oidf=oidf, times=times
            )
            return act

        return declare

    def also(self, name: str, hook: Hook) -> Callable[[A], A]:
        """Let a fault act at a second hook too."""

        def declare(act: A) -> A:
            fault = self.faults[name]
            self.faults[name] = replace(fault, acts=(*fault.acts, (hook, act)))
            return act

        return declare


class ActiveFault:
    """An active fault. As a context manager it heals at the end of the block.

    :param times: how often it may act; None means always
    """

    def __init__(
        self, fault: Fault, times: int | None, heal: Callable[[ActiveFault], None]
    ) -> None:
        self.fault: Fault = fault
        self.acted: int = 0
        self._times = times
        self._heal = heal

    def __enter__(self) -> ActiveFault:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._heal(self)

    def acts_at(self, hook: Hook) -> list[Act]:
        """The functions to call at a hook now. If there are any, this counts as one time."""
        acts = [act for at, act in self.fault.acts if at == hook]
        if not acts or (self._times is not None and self.acted >= self._times):
            return []
        self.acted += 1
        return acts


class ActiveFaults:
    """The active faults of one provider.

    :param table: all faults, by name
    """

    def __init__(self, table: Mapping[str, Fault]) -> None:
        self._table = table
        self._active: list[ActiveFault] = []
        self._lock = threading.Lock()

    def start(self, name: str, *, times: int | None = None) -> ActiveFault:
        """Activate a fault.

        :raises ValueError: no fault has that name; the message lists all names
        """
        fault = self._table.get(name)
        if fault is None:
            near = difflib.get_close_matches(name, self._table, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"no fault is called {name!r}.{hint} There are: {', '.join(sorted(self._table))}"
            )
        active = ActiveFault(fault, fault.times if times is None else times, self._stop)
        with self._lock:
            self._active.append(active)
        return active

    def heal(self, name: str | None = None) -> None:
        """End one fault, or all."""
        with self._lock:
            self._active = [
                active for active in self._active if name not in (None, active.fault.name)
            ]

    def act(self, hook: Hook, subject: object) -> None:
        """Let the active faults change what is about to leave."""
        with self._lock:
            acts = [act for active in self._active for act in active.acts_at(hook)]
        for act in acts:
            act(subject)

    def _stop(self, fault: ActiveFault) -> None:
        with self._lock:
            self._active = [active for active in self._active if active is not fault]


def page(answer: Answer, status: int) -> None:
    """Answer with an HTML page."""
    answer.status, answer.content_type, answer.body = status, "text/html; charset=utf-8", PAGE


def redirect(answer: Answer) -> None:
    """Redirect the client, with the form that it posted, to an internal address."""
    page(answer, 307)
    answer.headers["Location"] = INTERNAL_URL


def oversized(answer: Answer) -> None:
    """Send 50 MB of JSON, a megabyte at a time."""
    megabyte = b" " * 1_000_000
    pieces = [b'{"padding":"', *[megabyte] * (OVERSIZED_BYTES // len(megabyte)), b'"}']
    answer.body = iter(pieces)


def error(answer: Answer, code: str, *, status: int = 400) -> None:
    """Answer with an OAuth error."""
    answer.status, answer.body = status, None
    answer.members = {"error": code, "error_description": f"A fault of the provider: {code}."}


def busy(answer: Answer, status: int, *, retry_after: str | None) -> None:
    """Answer that the provider is busy.

    :param retry_after: the Retry-After header, in seconds; None leaves it out
    """
    page(answer, status)
    if retry_after is not None:
        answer.headers["Retry-After"] = retry_after
