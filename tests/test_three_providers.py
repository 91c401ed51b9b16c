"""One app, three providers at three levels, eight threads: nothing goes to the wrong one.

Each provider and the API beside it write down what they receive. Afterwards every key, nonce,
client assertion and token must be one of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from joserfc.jwk import ECKey, import_key
from werkzeug.datastructures import Headers

from flask_parjar import ParJar, current_user
from flask_parjar.protocol.dpop import target_of
from flask_parjar.testing import Call, DevProvider, Person
from flask_parjar.testing.serving import WSGIAdapter
from tests.support.headers import FROM_HERE
from tests.support.jwt import read_jwt
from tests.support.site import Visitor, make_site, query
from tests.support.threads import at_once, switching_often

LOGINS = 108
THREADS = 8
AT_THE_SERVER = ("pushed_authorization_request", "token", "revocation")
WITH_TOKENS = ("userinfo", "api")


def new_key(kid: str) -> dict[str, Any]:
    jwk: dict[str, Any] = ECKey.generate_key("P-256", {"kid": kid}).as_dict(private=True)
    return jwk


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


@dataclass
class Peer:
    """A provider and an API that takes its tokens, and what both have seen.

    :param issued: every token that the provider gave.
    """

    name: str
    provider: DevProvider
    api_calls: list[Call] = field(default_factory=list)
    issued: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.api_url = f"https://api.{self.name}.example"
        self.api_nonce = f"of-the-api-of-{self.name}"
        self.key = new_key(f"{self.name}-sig")
        self.api = Flask(f"api of {self.name}")
        self.api.get("/whose")(self._answer)
        self.provider.app.after_request(self._keep_issued)
        self.provider.dpop_nonces = True
        self.provider.allow_requests(LEVELS[self.name]["request"])

    def _keep_issued(self, response: Response) -> Response:
        if request.path == "/token" and response.status_code == 200:
            answer = response.get_json()
            self.issued |= {answer["access_token"]} | {answer.get("refresh_token", "")}
        return response

    def _answer(self) -> Any:
        """Say whose token came, to a request whose proof has our nonce and the token's key."""
        call = Call(
            endpoint="api",
            method=request.method,
            form=request.form,
            query=request.args,
            headers=Headers(request.headers),
        )
        self.api_calls.append(call)
        grant = self.provider._state.memory.access_tokens.get(token_of(call))
        if grant is None:
            return Response(status=403)
        if grant.jkt is None:
            return jsonify(sub=grant.sign_in.sub, by=self.name)
        if proof_of(call)[1].get("nonce") != self.api_nonce:
            asks = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"'}
            return Response(status=401, headers={**asks, "DPoP-Nonce": self.api_nonce})
        if proof_of(call)[0] != grant.jkt:
            return Response(status=403)
        return jsonify(sub=grant.sign_in.sub, by=self.name)

    @property
    def section(self) -> dict[str, Any]:
        """The provider's part of PARJAR_PROVIDERS."""
        scopes = "openid offline_access"
        client = {"issuer": self.provider.issuer, "client_id": self.client_id, "scopes": scopes}
        return {**client, "signing_key": self.key, **LEVELS[self.name]}

    @property
    def client_id(self) -> str:
        return f"client-of-{self.name}"

    @property
    def dpop(self) -> bool:
        return bool(LEVELS[self.name]["dpop"])

    def calls(self, *endpoints: str) -> list[Call]:
        """What came to some of the endpoints; ``api`` is that of the API."""
        return [call for call in self.provider.calls + self.api_calls if call.endpoint in endpoints]


def token_of(call: Call) -> str:
    return call.headers["Authorization"].partition(" ")[2]


def proof_of(call: Call) -> tuple[str, dict[str, Any]]:
    """The thumbprint of the key of a proof, and its claims."""
    header, claims = read_jwt(call.headers["DPoP"])
    return str(import_key(header["jwk"]).thumbprint()), claims


@pytest.fixture
def peers() -> dict[str, Peer]:
    people = [Person(f"person-{turn}") for turn in range(LOGINS)]
    return {
        name: Peer(name, DevProvider(f"https://{name}.example", people=people)) for name in LEVELS
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
    claims = read_jwt(hint)[1]
    found = (claims["iss"], claims["aud"], claims["sub"])
    assert found == (peer.provider.issuer, peer.client_id, person)


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
        assert_client_is_its_own(peer)
        assert_tokens_are_its_own(peer)
        assert_proofs_are_its_own(peer)
    keys = {peer.name: {proof_of(call)[0] for call in with_proof(peer)} for peer in peers.values()}
    # A key for each login: none is shared, within one provider or between two.
    assert [len(found) for found in keys.values()] == [LOGINS // 3, LOGINS // 3, 0]
    assert len({*itertools.chain(*keys.values())}) == 2 * LOGINS // 3


def assert_client_is_its_own(peer: Peer) -> None:
    """The client authentication, and the request object where there is one."""
    calls = peer.calls(*AT_THE_SERVER)
    tokens = [call for call in calls if call.endpoint == "token"]
    assert len(tokens) >= 2 * LOGINS // 3
    read = [read_jwt(call.form["client_assertion"]) for call in calls]
    assert {header["kid"] for header, _ in read} == {peer.key["kid"]}
    named = {(claims["aud"], claims["iss"], claims["sub"]) for _, claims in read}
    assert named == {(peer.provider.issuer, peer.client_id, peer.client_id)}
    assert len({claims["jti"] for _, claims in read}) == len(read)
    pushed = [call.form for call in calls if call.endpoint == "pushed_authorization_request"]
    carried = [call.query for call in peer.calls("authorization")]
    assert {each["client_id"] for each in pushed + carried} == {peer.client_id}
    assert {"request" in each for each in pushed} == {
        "strong": {True}, "middle": {False}, "weak": set(),
    }[peer.name]  # fmt: skip


def assert_tokens_are_its_own(peer: Peer) -> None:
    """Each token that came, to whatever endpoint, is one that this provider gave."""
    renewed = [
        call.form["refresh_token"]
        for call in peer.calls("token")
        if call.form["grant_type"] == "refresh_token"
    ]
    revoked = [call.form["token"] for call in peer.calls("revocation")]
    used = peer.calls(*WITH_TOKENS)
    assert len({*renewed}) == LOGINS // 3
    assert len(revoked) == len({*revoked}) == 2 * LOGINS // 3
    assert len(peer.api_calls) >= 2 * LOGINS // 3
    assert {*renewed, *revoked, *map(token_of, used)} <= peer.issued
    schemes = {call.headers["Authorization"].partition(" ")[0] for call in used}
    assert schemes == {"DPoP" if peer.dpop else "Bearer"}


def with_proof(peer: Peer) -> list[Call]:
    calls = peer.calls(*AT_THE_SERVER, *WITH_TOKENS)
    return [call for call in calls if "DPoP" in call.headers]


def assert_proofs_are_its_own(peer: Peer) -> None:
    """The URL and the nonce of each proof; where tokens are bound, each request has one."""
    calls = peer.calls(*AT_THE_SERVER, *WITH_TOKENS)
    assert len(with_proof(peer)) == (len(calls) if peer.dpop else 0)
    given = peer.provider._state.dpop_nonces
    wanted = {
        "api": (peer.api_url, peer.api_nonce),
        "userinfo": (peer.provider.issuer, given.current(of_api=True)),
        **dict.fromkeys(AT_THE_SERVER, (peer.provider.issuer, given.current(of_api=False))),
    }
    seen: dict[str, set[str | None]] = {}
    for call in with_proof(peer):
        origin, nonce = wanted[call.endpoint]
        claims = proof_of(call)[1]
        assert claims["htu"].startswith(f"{origin}/") and claims["htu"] == target_of(claims["htu"])
        seen.setdefault(nonce, set()).add(claims.get("nonce"))
    # Without a nonce is what came before the first one was known.
    assert all(found <= {nonce, None} and nonce in found for nonce, found in seen.items())
    assert len(seen) == (3 if peer.dpop else 0)
