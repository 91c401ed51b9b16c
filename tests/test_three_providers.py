"""One app, three providers at three levels, eight threads: nothing goes to the wrong one.

Each provider and the API beside it write down what they receive. Afterwards every key, nonce,
client assertion and token must be one of their own.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask

from flask_parjar import ParJar, current_user
from flask_parjar.testing import DevProvider, Person
from flask_parjar.testing.serving import WSGIAdapter
from tests.support.headers import FROM_HERE
from tests.support.peer import Peer, check_logout, check_received, new_key, proof_of
from tests.support.site import Visitor, make_site, query
from tests.support.threads import at_once, switching_often

LOGINS = 108
THREADS = 8

#: What each provider gets. Nothing is shared, so that nothing fits a second one by chance.
LEVELS: dict[str, dict[str, Any]] = {
    "strong": {
        "request": "pushed+signed",
        "dpop": True,
        "userinfo": True,
        "encryption_key": new_key("strong-enc"),
        "id_token_encryption": "ECDH-ES+A256KW A256GCM",
        "request_encryption_alg": "ECDH-ES",
    },
    "middle": {"request": "pushed", "dpop": True, "userinfo": True},
    "weak": {"request": "plain", "dpop": False},
}


@pytest.fixture
def peers() -> dict[str, Peer]:
    people = [Person(f"person-{turn}") for turn in range(LOGINS)]
    return {
        name: Peer(
            name=name,
            provider=DevProvider(f"https://{name}.example", people=people),
            api_url=f"https://api.{name}.example",
            level=level,
        )
        for name, level in LEVELS.items()
    }


@pytest.fixture
def app(peers: dict[str, Peer]) -> Flask:
    """A site with the three; ``/whose`` calls the API that belongs to the person's provider."""

    def views(app: Flask, parjar: ParJar) -> None:
        @app.get("/whose")
        def whose() -> Any:
            peer = peers[str(current_user.provider)]
            api = parjar.api(peer.api_url)
            api.mount(peer.api_url, WSGIAdapter(peer.api))
            answer = api.get("whose")
            return answer.json() if answer.status_code == 200 else (answer.text, 502)

        @app.get("/renew")
        def renew() -> str:
            return parjar.access_token(fresh=True)

    first = next(iter(peers.values())).provider
    app = make_site(
        first,
        prepare=views,
        connect=False,
        PARJAR_ISSUER=None,
        PARJAR_SIGNING_KEY=None,
        PARJAR_CLIENT_ID=None,
        PARJAR_STORE="memory",
        PARJAR_PROVIDERS={name: peer.section for name, peer in peers.items()},
        PARJAR_HTTP_TIMEOUT=60,  # a busy machine is no broken provider
    )
    for peer in peers.values():
        peer.provider.connect(app)
    return app


def live_through(app: Flask, peer: Peer, person: str) -> None:
    """Log in, call the API, renew the tokens, call it again, log out."""
    visitor = Visitor(app, peer.provider)
    assert visitor.log_in(f"/login/{peer.name}", person).status_code == 302
    me = visitor.get("/me").json
    assert (me["sub"], me["iss"], me["provider"]) == (person, peer.provider.issuer, peer.name)
    mine = {"sub": person, "by": peer.name}
    assert visitor.get("/whose").json == mine
    assert visitor.get("/renew").text in peer.issued
    assert visitor.get("/whose").json == mine
    away = str(visitor.post("/logout", headers=FROM_HERE).location)
    assert away.startswith(f"{peer.provider.issuer}/")
    (hint,) = query(away)["id_token_hint"]
    check_logout(peer, hint, person)


def live_at_once(app: Flask, peers: dict[str, Peer]) -> None:
    """Many logins, in turn at each provider, each of another person, in all threads."""
    turns, each = itertools.count(), list(peers.values())

    def work() -> None:
        while (turn := next(turns)) < LOGINS:
            live_through(app, each[turn % 3], f"person-{turn}")

    with switching_often():
        at_once([work] * THREADS)


def test_nothing_is_used_at_another_provider(app: Flask, peers: dict[str, Peer]) -> None:
    live_at_once(app, peers)
    for peer in peers.values():
        check_received(peer, logins=LOGINS // 3)
    keys = {peer.name: {proof_of(call)[0] for call in peer.with_proof()} for peer in peers.values()}
    # A key for each login: none is shared, within one provider or between two.
    assert [len(found) for found in keys.values()] == [LOGINS // 3, LOGINS // 3, 0]
    assert len({*itertools.chain(*keys.values())}) == 2 * LOGINS // 3
