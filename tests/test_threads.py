"""Two apps, two providers, eight threads, 240 logins: each person gets their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from flask_parjar.testing import DevProvider
from tests.support.site import Visitor, make_site, query
from tests.support.threads import at_once, switching_often

LOGINS = 240
THREADS = 8


@pytest.fixture
def restless_interpreter() -> Iterator[None]:
    with switching_often():
        yield


def test_logins_in_many_threads_are_not_mixed_up(restless_interpreter: None) -> None:
    providers = [DevProvider(f"https://op{n}.example") for n in range(2)]
    sections = {
        name: dict(issuer=provider.issuer, client_id=f"client-{name}")
        for name, provider in zip(("a", "b"), providers, strict=True)
    }
    key = providers[0].config()["PARJAR_SIGNING_KEY"]  # two apps, one client, as two workers are
    apps = [
        make_site(
            providers[0],
            connect=False,
            PARJAR_PROVIDERS=sections,
            PARJAR_SIGNING_KEY=key,
            PARJAR_HTTP_TIMEOUT=60,  # a busy machine is no broken provider
        )
        for _ in range(2)
    ]
    for provider in providers:
        for app in apps:
            provider.connect(app)
    people = ("ada", "grace")
    turns = itertools.count()
    wrong: list[object] = []
    done: list[int] = []

    def work() -> None:
        while (turn := next(turns)) < LOGINS:
            app, which = apps[turn % 2], (turn // 2) % 2
            name, provider, person = "ab"[which], providers[which], people[(turn // 4) % 2]
            visitor = Visitor(app, provider)
            away = visitor.leave(f"/login/{name}?next=/turn{turn}")
            if not away.startswith(provider.issuer) or query(away)["client_id"] != [
                f"client-{name}"
            ]:
                wrong.append((turn, away))
                continue
            landed = visitor.get(visitor.come_back(away, person)).location
            me = visitor.get("/me").json
            expected = (f"/turn{turn}", person, provider.issuer, name)
            found = (landed, me["sub"], me["iss"], me["provider"])
            if found != expected:
                wrong.append((expected, found))
            done.append(turn)

    at_once([work] * THREADS)
    assert wrong == []
    assert len(done) == LOGINS
