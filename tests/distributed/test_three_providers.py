"""Three providers, three processes, eight threads in each: nothing goes to the wrong provider.

Each request of a person reaches whichever process is free. The providers and the APIs beside them
ask everybody for a certificate, and write down what they receive.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_parjar.testing import ClientMetadata, Person
from flask_parjar.testing.mutual_tls import TrustedCertificates
from flask_parjar.testing.serving import loopback_server, running
from tests.support.certificates import PairFiles, make_pair
from tests.support.jwt import read_jwt
from tests.support.peer import Peer, check_logout, check_received, proof_of
from tests.support.ports import find_free_port
from tests.support.redis_process import RedisProcess
from tests.support.site_process import SiteProcess, Visitor, eventually
from tests.support.threads import at_once
from tests.support.tls_provider import ROOT, served

pytestmark = pytest.mark.distributed

LOGINS = 48
WORKERS, VISITORS = 3, 8

#: What each provider gets. The certificate of the first one protects connections alone.
LEVELS: dict[str, dict[str, Any]] = {
    "strong": {
        "request": "pushed+signed",
        "dpop": True,
        "response_mode": "jwt",
        "userinfo": True,
    },
    "middle": {
        "request": "pushed",
        "client_auth": "tls_client_auth",
        "bound_tokens": True,
        "userinfo": True,
    },
    # With DPoP as well, so that there are keys and nonces of two providers.
    "weak": {"request": "plain", "dpop": True, "userinfo": True},
}
WITH_CERTIFICATE = ("strong", "middle")


def start_peer(name: str, folder: Path, stack: ExitStack) -> Peer:
    """Start a provider and its API."""
    folder.mkdir()
    provider, tls, _ = server = served(folder)
    for turn in range(LOGINS):
        provider.people[f"person-{turn}"] = Person(f"person-{turn}")
    level, pair = dict(LEVELS[name]), None
    if name in WITH_CERTIFICATE:
        pair = make_pair(f"site at {name}", issuer=ROOT)
        files = PairFiles(folder, pair)
        level |= {"client_cert": str(files.certificate), "client_cert_key": str(files.key)}
    api_url = f"https://127.0.0.1:{find_free_port()}"
    peer = Peer(name=name, provider=provider, api_url=api_url, level=level, pair=pair)
    context = tls.context(asks=True, trusted=TrustedCertificates())
    api = loopback_server(peer.api, api_url, port=None, host=None, context=context)
    stack.enter_context(running(api))
    stack.enter_context(server.running())
    return peer


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[dict[str, Peer]]:
    with ExitStack() as stack:
        yield {name: start_peer(name, tmp_path / name, stack) for name in LEVELS}


@pytest.fixture
def site(peers: dict[str, Peer], redis: RedisProcess, tmp_path: Path) -> Iterator[SiteProcess]:
    """The site, all of whose processes run."""
    config = {
        "SECRET_KEY": "of the tests",
        "PARJAR_PROVIDERS": {name: peer.section for name, peer in peers.items()},
        "PARJAR_CA_BUNDLE": str(tmp_path / "strong" / "root.pem"),
        "PARJAR_STORE": redis.url,
        "PARJAR_HTTP_TIMEOUT": 25,  # a busy machine is no broken provider
        "APIS": {name: peer.api_url for name, peer in peers.items()},
    }
    with SiteProcess(config, workers=WORKERS) as process:
        for peer in peers.values():
            peer.provider.register(registration(peer, process))
        answered = set()

        def all_have_answered() -> bool:
            answers = at_once([lambda: Visitor(process, str).get("/")] * 2 * WORKERS)
            answered.update(answer.process for answer in answers)
            return len(answered) == WORKERS

        assert eventually(all_have_answered, within=30), process.log
        yield process


def registration(peer: Peer, site: SiteProcess) -> ClientMetadata:
    """What the site is at a provider, which holds it to this."""
    public = {name: value for name, value in peer.key.items() if name != "d"}
    certified = "bound_tokens" in peer.level
    subject = peer.pair.certificate.subject.rfc4514_string() if peer.pair and certified else None
    return ClientMetadata(
        client_id=peer.client_id,
        redirect_uris=[f"{site.url}/callback/{peer.name}"],
        jwks={"keys": [public]},
        token_endpoint_auth_method=peer.level.get("client_auth", "private_key_jwt"),
        tls_client_auth_subject_dn=subject,
        tls_client_certificate_bound_access_tokens=certified,
        dpop_bound_access_tokens=peer.dpop,
    )


def live_through(site: SiteProcess, peer: Peer, person: str) -> set[str]:
    """Log in, call the API, renew the tokens, call it again, log out.

    :returns: the processes that answered.
    """
    visitor = Visitor(site, lambda away: peer.provider.sign_in(away, person))
    away = visitor.leave(f"/login/{peer.name}")
    callback = visitor.sign_in(away)
    check_response(peer, callback)
    arrival = visitor.open(callback)
    assert (arrival.status, arrival.location) == (302, "/me"), (arrival, site.log)
    answers = [arrival, *(visitor.get(path) for path in ("/me", "/whose", "/renew", "/whose"))]
    assert [answer.status for answer in answers[1:]] == [200] * 4, (answers, site.log)
    _, me, first, renewed, second = answers
    assert me.json["subject"] == person
    assert first.json == second.json == {"sub": person, "by": peer.name}
    assert renewed.json["token"] in peer.issued
    left = visitor.log_out()
    assert left.location.startswith(f"{peer.provider.issuer}/")
    (hint,) = parse_qs(urlsplit(left.location).query)["id_token_hint"]
    check_logout(peer, hint, person)
    return {answer.process for answer in (*answers, left)}


def check_response(peer: Peer, callback: str) -> None:
    """Check which provider answers, for which client, and how."""
    received = parse_qs(urlsplit(callback).query)
    assert urlsplit(callback).path == f"/callback/{peer.name}"
    if "response_mode" not in peer.level:
        assert received["iss"] == [peer.provider.issuer] and "code" in received
        return
    assert list(received) == ["response"]
    claims = read_jwt(received["response"][0])[1]
    assert (claims["iss"], claims["aud"]) == (peer.provider.issuer, peer.client_id)


def live_at_once(site: SiteProcess, peers: dict[str, Peer]) -> list[set[str]]:
    """Many logins, in turn at each provider, each of another person.

    :returns: for each login the processes that answered.
    """
    turns, each = itertools.count(), list(peers.values())
    processes: list[set[str]] = []

    def work() -> None:
        while (turn := next(turns)) < LOGINS:
            processes.append(live_through(site, each[turn % len(each)], f"person-{turn}"))

    at_once([work] * VISITORS)
    return processes


def test_nothing_is_used_at_another_provider(site: SiteProcess, peers: dict[str, Peer]) -> None:
    processes = live_at_once(site, peers)
    assert len(processes) == LOGINS
    assert len(set.union(*processes)) == WORKERS
    # What one process keeps in the Redis, another one uses.
    assert sum(len(each) > 1 for each in processes) > LOGINS / 2
    for peer in peers.values():
        check_received(peer, logins=LOGINS // 3)
    assert_all_differ([peer.issued for peer in peers.values()], each=4 * LOGINS // 3)
    with_dpop = [peer for peer in peers.values() if peer.dpop]
    assert [peer.name for peer in with_dpop] == ["strong", "weak"]
    keys = [{proof_of(call)[0] for call in peer.with_proof()} for peer in with_dpop]
    assert_all_differ(keys, each=LOGINS // 3)


def assert_all_differ(found: list[set[str]], *, each: int) -> None:
    """There are as many at each provider, and none at two."""
    assert [len(of_one) for of_one in found] == [each] * len(found)
    assert len(set.union(*found)) == each * len(found)
