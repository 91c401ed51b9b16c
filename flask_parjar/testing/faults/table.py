"""How a fault is written down, and how those that are on act. What each does is elsewhere here.

A fault is a small function at a *seam*: a place where something is about to leave the provider and
may still be changed. Its name begins with the place, its docstring is the one sentence that the
documentation shows.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, TypeVar

#: The places where something leaves: an ``IDTokenDraft`` at ``id_token`` and ``refresh_id_token``,
#: an ``AuthorizationAnswer`` at ``response``, an ``Answer`` at the others. What is refreshed leaves
#: by ``token`` and ``id_token`` too.
Seam = Literal[
    "metadata", "jwks", "par", "response", "token", "id_token", "userinfo",
    "refresh", "refresh_id_token", "revocation",
]  # fmt: skip
Act = Callable[[Any], None]
A = TypeVar("A", bound=Act)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave.

    :param summary: a sentence, for tables and documentation
    :param acts: what it does, and at which seam; most faults act at one
    :param oidf: the OpenID Foundation's client test module for it, if there is one
    :param times: how often it acts before it heals by itself; nothing means always
    """

    name: str
    summary: str
    acts: tuple[tuple[Seam, Act], ...]
    oidf: str | None = None
    times: int | None = None


class FaultTable:
    """Faults by name, filled by decorators while a module is read."""

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}

    def at(
        self, seam: Seam, *, oidf: str | None = None, times: int | None = None
    ) -> Callable[[A], A]:
        """Make the decorated function a fault with the function's name."""

        def write_down(act: A) -> A:
            name, summary = act.__name__, (act.__doc__ or "").strip()
            self.faults[name] = Fault(
                name=name, summary=summary, acts=((seam, act),), oidf=oidf, times=times
            )
            return act

        return write_down

    def also(self, name: str, seam: Seam) -> Callable[[A], A]:
        """Let a fault act at a second seam too."""

        def write_down(act: A) -> A:
            fault = self.faults[name]
            self.faults[name] = replace(fault, acts=(*fault.acts, (seam, act)))
            return act

        return write_down


class ActiveFault:
    """A fault that is on. As a context manager it heals at the end of the block.

    :param times: how often it still acts; nothing means always
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

    def acts_at(self, seam: Seam) -> list[Act]:
        """What there is to do at a seam now; counts as one time if there is anything."""
        acts = [act for place, act in self.fault.acts if place == seam]
        if not acts or (self._times is not None and self.acted >= self._times):
            return []
        self.acted += 1
        return acts


class ActiveFaults:
    """The faults of one provider that are on.

    :param table: those there are
    """

    def __init__(self, table: Mapping[str, Fault]) -> None:
        self._table = table
        self._active: list[ActiveFault] = []
        self._lock = threading.Lock()

    def start(self, name: str, *, times: int | None = None) -> ActiveFault:
        """Misbehave in this way from now on.

        :raises ValueError: no fault has that name; the message lists them all
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
        """Behave again: in this respect, or in all."""
        with self._lock:
            self._active = [
                active for active in self._active if name not in (None, active.fault.name)
            ]

    def act(self, seam: Seam, subject: object) -> None:
        """Let the faults that are on spoil what is about to leave."""
        with self._lock:
            acts = [act for active in self._active for act in active.acts_at(seam)]
        for act in acts:
            act(subject)

    def _stop(self, fault: ActiveFault) -> None:
        with self._lock:
            self._active = [active for active in self._active if active is not fault]
