"""The results of a run: tables for the terminal and for a file, and the machine they are of.

A table says what was measured; the last one compares it with the goals.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from tests.benchmark.competitors import Entrant
from tests.benchmark.counts import Cookies, Fetches, Work
from tests.benchmark.footprint import BARE_APP, BASIS, OURS, Footprint
from tests.benchmark.measure import AGAIN, Figure, Soak, Timing
from tests.benchmark.scale import Throughput

_VERSIONS = (
    *("Flask", "Werkzeug", "requests", "urllib3", "joserfc", "cryptography", "Authlib"),
    *("requests_oauth2client", "Flask-pyoidc", "gunicorn", "uvloop"),
)
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Table:
    """Words in rows: the first column is a name, the others are mostly numbers."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """Plain text, for a terminal or a file."""
        lines = [list(self.header), *map(list, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        last = len(widths) - 1

        def align(line: Sequence[str]) -> str:
            cells = [
                cell.ljust(width) if column in (0, last) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            return "  ".join(cells).rstrip()

        rule = "  ".join("-" * width for width in widths)
        body = [align(self.header), rule, *(align(row) for row in self.rows)]
        return "\n".join([f"\n## {self.title}", *([self.note] if self.note else []), *body])


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One promise, and what was found."""

    what: str
    allowed: str
    found: str
    holds: bool


@dataclass
class Results:
    """All that a run found, in the order in which it was found."""

    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    picture: list[Timing] = field(default_factory=list)

    def goal(self, what: str, value: float, allowed: float, form: str = "{:.2f}") -> None:
        """Hold a figure against what is allowed at most."""
        found, most = form.format(value), form.format(allowed)
        self.goals.append(Goal(what=what, allowed=most, found=found, holds=value <= allowed))

    def goals_table(self) -> Table:
        """What was promised, and what holds."""
        return Table(
            title="The goals",
            note="",
            header=("what", "at most", "found", "holds"),
            rows=[
                (each.what, each.allowed, each.found, "yes" if each.holds else "NO")
                for each in self.goals
            ],
        )


def machine() -> list[str]:
    """Where and with what this was measured."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    versions = []
    for name in _VERSIONS:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    return [
        f"{time.strftime('%Y-%m-%d')}, {model}, {os.cpu_count()} processors, "
        f"{platform.system()}, Python {platform.python_version()}",
        ", ".join(versions),
    ]


def _spread(figure: Figure, form: str = "{:.2f}") -> str:
    median, low, high = (form.format(value) for value in figure)
    return f"{median} ({low} to {high})"


def logins_table(title: str, timings: Sequence[Timing]) -> Table:
    """Whole logins, timed."""
    return Table(
        title=title,
        note="Milliseconds of a whole login (login and callback), and its processor time as a "
        "multiple of the floor's: medians, between their quartiles.",
        header=("", "CPU ms", "wall ms", "times the floor", "does less"),
        rows=[
            (
                each.name,
                f"{each.cpu.median:.2f}",
                f"{each.wall.median:.2f}",
                _spread(each.ratio),
                each.does_less,
            )
            for each in sorted(timings, key=lambda one: one.ratio.median)
        ],
    )


def noise_of(timings: Sequence[Timing]) -> Figure:
    """The floor against itself."""
    return next(each.ratio for each in timings if each.name == AGAIN)


def work_table(work: Sequence[tuple[Entrant, Work | str]]) -> Table:
    """What one login does, counted; or why somebody takes no part."""
    rows = []
    for entrant, counted in work:
        name = entrant.competitor.name
        if isinstance(counted, str):
            rows.append((name, *["-"] * len(Work._fields), f"takes no part: {counted}"))
        else:
            rows.append((name, *map(str, counted), entrant.does_less))
    return Table(
        title="What one login does",
        note="Counted over https, after warm-up. Everybody here was seen to log somebody in, and "
        "to refuse a bad nonce, a bad signature and another browser's answer, unless it says so. "
        "(Flask-pyoidc's cryptography is pycryptodome's, and escapes the count.)",
        header=(
            *("", "HTTP requests", "signatures", "verifications", "key imports"),
            *("trust stores", "does less"),
        ),
        rows=rows,
    )


def protected_table(figures: Mapping[str, Figure]) -> Table:
    """Requests of somebody logged in."""
    (bare, whole), *others = figures.items()
    rows = [(bare, _spread(whole, "{:.1f}"), "")]
    for name, added in others:
        share = 100 * added.median / whole.median
        rows.append((name, _spread(added, "{:+.1f}"), f"{share:+.1f} %"))
    return Table(
        title="A protected request",
        note="Microseconds of a processor with the cookie of somebody logged in; the rows after "
        "the first are what each adds to it.",
        header=("", "us", "of the bare view"),
        rows=rows,
    )


def footprint_table(footprint: Footprint) -> Table:
    """Imports and memory."""
    basis, bare = footprint.imports[BASIS], footprint.apps[BARE_APP]
    rows = [
        (f"import {name}", f"{spent:.0f} ms", f"{spent / basis:.2f} times the first")
        for name, spent in footprint.imports.items()
    ]
    rows += [
        (name, f"{size / MIB:.1f} MiB", f"{(size - bare) / MIB:+.1f} MiB")
        for name, size in footprint.apps.items()
    ]
    return Table(
        title="Import and memory",
        note="Fresh processes: processor time, and resident memory after one request.",
        header=("", "", ""),
        rows=rows,
    )


def cookies_table(cookies: Mapping[str, Cookies]) -> Table:
    """Bytes that a browser is asked to keep."""
    return Table(
        title="Cookies",
        note="Bytes of Set-Cookie: of the first login, the most that twelve abandoned logins "
        "come to, and of the callback.",
        header=("", "one login", "abandoned", "logged in"),
        rows=[(name, *map(str, sizes)) for name, sizes in cookies.items()],
    )


def fetches_table(rows: Sequence[tuple[str, Fetches, Fetches]], *, threads: int) -> Table:
    """How often documents were fetched."""
    return Table(
        title="Fetches under a flood",
        note=f"{threads} logins at once, to an app just started; then as many whose ID tokens "
        "name an unknown key (a client that fetches nothing then never learns a new key).",
        header=("", "start: discovery", "start: JWKS", "unknown key: JWKS"),
        rows=[
            (name, str(start.discovery), str(start.jwks), str(unknown.jwks))
            for name, start, unknown in rows
        ],
    )


def scale_table(title: str, note: str, found: Sequence[Throughput]) -> Table:
    """Under gunicorn."""
    return Table(
        title=title,
        note=note,
        header=("workers x threads", "visitors", "logins/s", "logins/core s", "p50 ms", "p99 ms"),
        rows=[
            (
                f"{each.shape.workers} x {each.shape.threads}",
                str(each.visitors),
                f"{each.per_second:.0f}",
                f"{each.per_core:.0f}",
                f"{each.p50:.1f}",
                f"{each.p99:.1f}",
            )
            for each in found
        ],
    )


def soak_table(soaked: Soak) -> Table:
    """What grew."""
    return Table(
        title="A soak",
        note=f"{soaked.logins} logins in one process, in {soaked.seconds:.0f} s.",
        header=("", "after a tenth", "at the end"),
        rows=[
            (
                "resident memory",
                f"{soaked.rss_before / MIB:.1f} MiB",
                f"{soaked.rss_after / MIB:.1f} MiB",
            ),
            ("open files", str(soaked.files_before), str(soaked.files_after)),
        ],
    )


def goals_of_counts(results: Results, work: Work | str, cookies: Cookies) -> None:
    """Hold what one login does, and its cookies, against the goals."""
    for counted, allowed in ((work, (2, 3, 1, 0, 0)), (cookies, (300, 800, 400))):
        assert not isinstance(counted, str)
        for name, found, most in zip(counted._fields, counted, allowed, strict=True):
            what = "of a login" if counted is work else "bytes of cookies"
            results.goal(f"{what}: {name.replace('_', ' ')}", found, most, "{:.0f}")


def goals_of_footprint(results: Results, footprint: Footprint) -> None:
    """Hold imports and memory against the goals."""
    ratio = footprint.imports[OURS] / footprint.imports[BASIS]
    results.goal("import, times that of flask, requests and joserfc.jwt", ratio, 1.1)
    ours = footprint.apps["with Flask-ParJar"] - footprint.apps[BARE_APP]
    results.goal("memory over a bare Flask app, MiB", ours / MIB, 17, "{:.1f}")


def as_report(results: Results) -> str:
    """The whole run as plain text: where it was measured, the goals, and every table."""
    tables = [results.goals_table(), *results.tables]
    return "\n".join([*results.notes, *(table.as_text() for table in tables)]) + "\n"
