"""Times: interleaved, so that what disturbs the machine disturbs everybody; medians and spread.

A round measures every app, the floor twice, in an order of its own; the first login of a turn warms
the caches that the one before has cooled, and does not count. A ratio is that of one round's
medians; the figure given is the median over all rounds, with the quartiles beside it. The floor
against itself is the noise: no other ratio is known better than that.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from flask import Flask, session

from tests.benchmark.competitors import Entrant
from tests.benchmark.contract import SECRET_KEY
from tests.benchmark.drive import Spent, Visitor

AGAIN = "floor, again"
_BLOCK = 0.03  # seconds of one competitor's turn, about
_MOST_LOGINS = 20


class Figure(NamedTuple):
    """A median, between its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum up some values."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a login takes somebody: milliseconds, and as a multiple of the floor's."""

    name: str
    does_less: str
    cpu: Figure
    wall: Figure
    ratio: Figure


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Have the collector look at what is made from here on alone, as in a site long at work."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def time_logins(entrants: Sequence[Entrant], *, rounds: int, floor: str = "floor") -> list[Timing]:
    """Time whole logins: the request that begins one, and the callback.

    :param entrants: checked, the floor among them.
    """
    apps = {entrant.competitor.name: entrant.app for entrant in entrants}
    apps[AGAIN] = apps[floor]
    less = {entrant.competitor.name: entrant.does_less for entrant in entrants}
    turns = {name: _logins_of_a_block(app) for name, app in apps.items()}
    blocks: dict[str, list[list[Spent]]] = {name: [] for name in apps}
    order, shuffle = list(apps), random.Random(len(apps)).shuffle
    with _little_garbage():
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                logins = [Visitor(apps[name]).log_in() for _ in range(turns[name] + 1)]
                blocks[name].append([login.spent for login in logins[1:]])
    medians = {
        name: [statistics.median(spent.cpu for spent in block) for block in of_one]
        for name, of_one in blocks.items()
    }
    return [
        Timing(
            name=name,
            does_less=less.get(name, "the noise of this run"),
            cpu=Figure.of([spent.cpu * 1000 for block in blocks[name] for spent in block]),
            wall=Figure.of([spent.wall * 1000 for block in blocks[name] for spent in block]),
            ratio=Figure.of(
                [own / least for own, least in zip(medians[name], medians[floor], strict=True)]
            ),
        )
        for name in apps
    ]


def _logins_of_a_block(app: Flask) -> int:
    spent = [Visitor(app).log_in().spent.wall for _ in range(3)]
    return max(1, min(_MOST_LOGINS, round(_BLOCK / statistics.median(spent))))


def bare_site() -> Flask:
    """A page without a guard, one with a guard of one line, and no extension."""
    app = Flask("bare")
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_COOKIE_SAMESITE="Lax")

    @app.get("/open")
    def open_to_all() -> str:
        return "page"

    @app.get("/guarded")
    def guarded() -> str | tuple[str, int]:
        return "page" if session.get("_parjar_user") else ("", 401)

    return app


def time_protected(
    ours: Flask, others: Mapping[str, Flask], *, rounds: int, calls: int = 150
) -> Mapping[str, Figure]:
    """Time one request with the cookie of somebody logged in: microseconds of a processor.

    The rows after the first are what each adds to it, round for round.

    :param others: more apps of ours, by name, for `@login_required`.
    """
    bare = bare_site()
    kinds: dict[str, Callable[[], Spent]] = {}
    for name, app, path, home in (
        ("bare view", bare, "/open", ours),
        ("bare view, again", bare, "/open", ours),
        ("bare view that looks into the session itself", bare, "/guarded", ours),
        ("a view of an app with Flask-ParJar", ours, "/open", ours),
        ("@login_required", ours, "/guarded", ours),
        *((f"@login_required, {each}", app, "/guarded", app) for each, app in others.items()),
    ):
        somebody, visitor = Visitor(home), Visitor(app)
        somebody.log_in()
        visitor.cookies = dict(somebody.cookies)
        answer = visitor.get(path)
        assert (answer.body, answer.cookie_bytes) == (b"page", 0), answer
        kinds[name] = partial(_spent_on, visitor, path)
    blocks: dict[str, list[float]] = {name: [] for name in kinds}
    order, shuffle = list(kinds), random.Random(len(kinds)).shuffle
    with _little_garbage():
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                get = kinds[name]
                times = [get().cpu * 1e6 for _ in range(calls)]
                blocks[name].append(statistics.median(times))
    basis, *rest = kinds
    first = blocks[basis]
    figures = {basis: Figure.of(first)}
    for name in rest:
        added = [own - bare_one for own, bare_one in zip(blocks[name], first, strict=True)]
        figures[name] = Figure.of(added)
    return figures


def _spent_on(visitor: Visitor, path: str) -> Spent:
    return visitor.get(path).spent


class Soak(NamedTuple):
    """What grew while many people logged in: from a tenth of the way to its end."""

    logins: int
    seconds: float
    rss_before: int
    rss_after: int
    files_before: int
    files_after: int


def soak(app: Flask, *, logins: int, look: Callable[[], tuple[int, int]]) -> Soak:
    """Log in many times and look at what the process holds.

    :param look: the resident bytes and the open files of this process.
    """
    began = time.perf_counter()
    seen = []
    for count in range(1, logins + 1):
        Visitor(app).log_in()
        if count in (max(1, logins // 10), logins):
            gc.collect()
            seen.append(look())
    (rss_before, files_before), (rss_after, files_after) = seen[0], seen[-1]
    seconds = time.perf_counter() - began
    return Soak(logins, seconds, rss_before, rss_after, files_before, files_after)
