"""``python -m tests.benchmark``: what a login costs, ours and others', on this machine.

It is no test: a slow machine is no failure, so only a competitor that does not log people in, or
lets the wrong ones in, makes it fail. ``--quick`` takes under a minute, ``--smoke`` some seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from tests.benchmark import report
from tests.benchmark.competitors import Entrant, competitors, enter
from tests.benchmark.contract import Competitor, Registration, encryption_key, private_key
from tests.benchmark.counts import (
    count_work,
    fetches_under_floods,
    measure_cookies,
)
from tests.benchmark.floor import FLOOR
from tests.benchmark.footprint import measure_footprint, open_files, resident_bytes
from tests.benchmark.measure import soak, time_logins, time_protected
from tests.benchmark.ours import OURS
from tests.benchmark.picture import draw
from tests.benchmark.report import Results, Table
from tests.benchmark.scale import SHAPES, Shape, measure_scale, missing_gunicorn
from tests.benchmark.stores import redis_url, with_stores
from tests.benchmark.stub import ALGORITHMS, FAPI, SLOW
from tests.benchmark.stub_process import StubProcess

_GOALS = {
    ("RS256", "http"): 1.30,
    ("RS256", "https"): 1.30,
    ("RS256", "https, closing"): 1.35,
    ("ES256", "http"): 1.60,
    ("ES256", "https"): 1.60,
    ("ES256", "https, closing"): 1.35,
    (FAPI, "https"): 1.40,
}
_QUICK = (("RS256", "https"), ("ES256", "https"), (FAPI, "https"))
_WORDS = {FAPI: "FAPI 2.0 (DPoP, encrypted ID token), ES256"}
_PICTURED = ("RS256", "https")
_LISTENER_WORDS = {
    "http": "http, connections kept",
    "https": "https, connections kept",
    "https, closing": "https, the provider closes each connection",
}
_CROWD = 16


class Benchmark:
    """One run: the stub, the competitors, and what was found."""

    def __init__(self, stub: StubProcess, found: list[Competitor], *, quick: bool) -> None:
        self.stub = stub
        self.found = found
        self.quick = quick
        self.results = Results(notes=report.machine())

    def registration(self, alg: str, listener: str) -> Registration:
        """The site's client at one of the stub's faces: an algorithm, or `FAPI`."""
        signed_with = "ES256" if alg == FAPI else alg
        return Registration(
            issuer=self.stub.issuer(listener, alg),
            alg=signed_with,
            ca_bundle=self.stub.ca_bundle,
            private_key=private_key(signed_with),
            encryption_key=encryption_key() if alg == FAPI else None,
        )

    def enter_all(self, alg: str, listener: str) -> list[Entrant]:
        """Everybody's app for one case, checked."""
        registration = self.registration(alg, listener)
        able = (FLOOR, OURS) if alg == FAPI else self.found  # no other one can do that
        return [enter(competitor, registration) for competitor in able]

    def show(self, table: Table) -> None:
        """Print a table, and keep it."""
        print(table.as_text(), flush=True)
        self.results.tables.append(table)

    def count(self) -> bool:
        """Check everybody, and count what they do; whether the floor and ours are sound.

        Who cannot log anybody in takes no further part.
        """
        entrants = self.enter_all("ES256", "https")
        works = {one.competitor.name: one.failure or count_work(one, self.stub) for one in entrants}
        able = [one for one in entrants if not one.failure]
        cookies = {one.competitor.name: measure_cookies(one.app) for one in able}
        self.found = [one.competitor for one in able]
        self.show(
            report.work_table([(one, works[one.competitor.name]) for one in entrants]),
        )
        self.show(report.cookies_table(cookies))
        unsound = [one for one in entrants[:2] if one.failure or one.accepts]
        if not unsound:
            report.goals_of_counts(self.results, works[OURS.name], cookies[OURS.name])
        return not unsound

    def flood(self) -> None:
        """Count fetches while everybody comes at once."""
        registration = self.registration("ES256", "https")
        rows = []
        for competitor in self.found[1:]:
            start, unknown = fetches_under_floods(
                partial(competitor.make_app, registration), self.stub, threads=_CROWD
            )
            rows.append((competitor.name, start, unknown))
            if competitor is OURS:
                most = max(start.discovery, start.jwks, unknown.jwks)
                self.results.goal("fetches of a document under a flood", most, 1, "{:.0f}")
        self.show(report.fetches_table(rows, threads=_CROWD))

    def time(self) -> None:
        """Time whole logins in every case."""
        for (alg, listener), goal in _GOALS.items():
            if self.quick and (alg, listener) not in _QUICK:
                continue
            entrants = [one for one in self.enter_all(alg, listener) if not one.failure]
            timings = time_logins(entrants, rounds=20 if self.quick else 30)
            words = f"{_WORDS.get(alg, alg)}, {_LISTENER_WORDS[listener]}"
            self.show(report.logins_table(words, timings))
            ratio = next(each.ratio for each in timings if each.name == OURS.name)
            what = f"login, times the floor: {_WORDS.get(alg, alg)}, {listener}"
            self.results.goal(what, ratio.median, goal)
            if (alg, listener) == _PICTURED:
                self.results.picture = timings
                noise = report.noise_of(timings)
                self.results.notes.append(
                    f"the floor against itself {noise.median:.2f} "
                    f"({noise.low:.2f} to {noise.high:.2f})"
                )

    def protect(self) -> None:
        """Time the requests of somebody logged in."""
        registration = self.registration("ES256", "https")
        ours = enter(OURS, registration).app
        with redis_url() as redis:
            stored = [enter(each, registration) for each in with_stores(redis)]
            if not self.quick:
                self.time_stores(stored)
            figures = time_protected(
                ours,
                {each.competitor.name: each.app for each in stored},
                rounds=20 if self.quick else 60,
            )
        self.show(report.protected_table(figures))
        bare, added = figures["bare view"].median, figures["@login_required"].median
        self.results.goal("protected request, us over the bare view", added, 5, "{:.1f}")
        self.results.goal("protected request, % over it", 100 * added / bare, 4, "{:.1f}")

    def time_stores(self, stored: list[Entrant]) -> None:
        """Time logins whose tokens are kept."""
        registration = self.registration("ES256", "https")
        least = [enter(each, registration) for each in (FLOOR, OURS)]
        timings = time_logins([*least, *stored], rounds=30)
        self.show(report.logins_table("What a store costs: ES256, https", timings))

    def weigh(self) -> None:
        """Measure imports and memory."""
        footprint = measure_footprint(private_key("ES256"), rounds=7 if self.quick else 15)
        self.show(report.footprint_table(footprint))
        report.goals_of_footprint(self.results, footprint)

    def scale(self, seconds: float) -> None:
        """Measure our site under gunicorn."""
        if reason := missing_gunicorn():
            print(reason)
            return
        cases = {
            "https": "The provider answers at once.",
            "https, slow": f"The provider takes {SLOW * 1000:.0f} ms for each of two answers.",
        }
        for alg in ("ES256", "RS256"):
            for listener, note in cases.items():
                registration = self.registration(alg, listener)
                found = [
                    measure_scale(registration, shape, seconds=seconds)
                    for shape in SHAPES
                    if alg == "ES256" or shape.threads == 8
                ]
                self.show(report.scale_table(f"Under gunicorn, {alg}, {listener}", note, found))
                by_shape = {each.shape: each for each in found}
                one, two = by_shape[Shape(1, 8)], by_shape[Shape(2, 8)]
                self.results.notes.append(
                    f"{alg}, {listener}: a second worker costs each login "
                    f"{one.per_core / two.per_core - 1:+.0%} of processor time"
                )

    def soak(self, logins: int) -> None:
        """Log in very often and see what grows."""
        app = enter(OURS, self.registration("ES256", "https")).app
        soaked = soak(app, logins=logins, look=lambda: (resident_bytes(), open_files()))
        self.show(report.soak_table(soaked))
        grown = (soaked.rss_after - soaked.rss_before) / report.MIB
        self.results.goal("memory grown in the soak, MiB", grown, 2, "{:.1f}")
        files = soaked.files_after - soaked.files_before
        self.results.goal("files left open in the soak", files, 0, "{:.0f}")

    def draw(self) -> str:
        """Draw the picture of docs/performance: a login's processor time, as SVG."""
        timings = self.results.picture
        noise = report.noise_of(timings)
        return draw(
            timings,
            title="Processor time of a login, as a multiple of the floor",
            note=f"{', '.join(_PICTURED)}. * does less work than the others. "
            f"The floor compared with itself: {noise.low:.2f} to {noise.high:.2f}.",
        )


def smoke(benchmark: Benchmark) -> bool:
    """Everything once, and no figure: whether each logs people in and keeps the others out."""
    good = benchmark.count()
    for alg in (*ALGORITHMS, FAPI):
        for listener in _LISTENER_WORDS:
            for entrant in benchmark.enter_all(alg, listener):
                fault = entrant.failure or ", ".join(entrant.accepts)
                if fault:
                    print(f"{alg}, {listener}: {entrant.competitor.name}: {fault}")
                    good = False
    entrants = benchmark.enter_all("ES256", "http")
    time_logins(entrants, rounds=1)
    with redis_url() as redis:
        stored = [
            enter(each, benchmark.registration("ES256", "https")) for each in with_stores(redis)
        ]
        good = good and not any(each.failure or each.accepts for each in stored)
        apps = {each.competitor.name: each.app for each in stored}
        time_protected(entrants[1].app, apps, rounds=1, calls=2)
    measure_footprint(private_key("ES256"), rounds=1)
    if not missing_gunicorn():
        measure_scale(benchmark.registration("ES256", "https"), Shape(1, 8), seconds=0.5)
    soak(entrants[1].app, logins=20, look=lambda: (resident_bytes(), open_files()))
    return good


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer cases, rounds")
    parser.add_argument("--smoke", action="store_true", help="everything once, and no figures")
    parser.add_argument("--soak", type=int, metavar="LOGINS", help="only this: 100000, say")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write all tables to a file")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw a login's time")
    return parser.parse_args()


def main() -> int:
    """Run; 1 where somebody who takes part cannot do what everybody must."""
    arguments = _arguments()
    for name in [*os.environ]:
        if name.lower().endswith("_proxy"):
            del os.environ[name]  # the provider is on this machine
    found, missing = competitors()
    with StubProcess() as stub:
        os.environ["REQUESTS_CA_BUNDLE"] = stub.ca_bundle  # what those trust who look there
        benchmark = Benchmark(stub, found, quick=arguments.quick)
        for line in benchmark.results.notes + missing:
            print(line)
        if arguments.smoke:
            good = smoke(benchmark)
            print("\nEverybody does what they must." if good else "\nSomebody does not.")
            return 0 if good and not missing else 1
        if arguments.soak:
            benchmark.soak(arguments.soak)
            print(benchmark.results.goals_table().as_text())
            return 0
        if not benchmark.count():
            print("\nThe floor or ours does not do what it must: nothing is timed.")
            return 1
        benchmark.flood()
        benchmark.time()
        benchmark.protect()
        benchmark.weigh()
        if not arguments.quick:
            benchmark.scale(seconds=4)
        print(benchmark.results.goals_table().as_text())
        print("\n" + "\n".join(benchmark.results.notes[2:]))
        if arguments.report:
            arguments.report.write_text(report.as_report(benchmark.results), encoding="utf-8")
        if arguments.picture:
            arguments.picture.write_text(benchmark.draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
