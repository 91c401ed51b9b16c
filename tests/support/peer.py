"""One of several providers of a site, with an API beside it: both write down what they receive.

Afterwards every key, nonce, client assertion, certificate and token must be one of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request
from joserfc.jwk import ECKey, import_key
from werkzeug.datastructures import Headers

from flask_parjar.protocol.dpop import target_of
from flask_parjar.testing import Call, DevProvider
from flask_parjar.testing.mutual_tls import presented_in, thumbprint_of
from tests.support.certificates import Pair
from tests.support.jwt import read_jwt

PUSH = "pushed_authorization_request"
AT_THE_SERVER = (PUSH, "token", "revocation")
WITH_TOKENS = ("userinfo", "api")


def new_key(kid: str) -> dict[str, Any]:
    jwk: dict[str, Any] = ECKey.generate_key("P-256", {"kid": kid}).as_dict(private=True)
    return jwk


@dataclass(kw_only=True)
class Peer:
    """A provider and an API that takes its tokens, and what both have seen.

    :param level: what the site has for this provider alone, in its part of PARJAR_PROVIDERS.
    :param pair: the certificate that the site has for this provider.
    :param issued: every token that the provider gave.
    """

    name: str
    provider: DevProvider
    api_url: str
    level: dict[str, Any]
    pair: Pair | None = None
    api_calls: list[Call] = field(default_factory=list)
    issued: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.api_nonce = f"of-the-api-of-{self.name}"
        self.key = new_key(f"{self.name}-sig")
        self.api = Flask(f"api of {self.name}")
        self.api.get("/whose")(self._answer)
        self.provider.app.after_request(self._keep_issued)
        self.provider.dpop_nonces = True
        self.provider.allow_requests(self.level["request"])

    def _keep_issued(self, response: Response) -> Response:
        if request.path == "/token" and response.status_code == 200:
            answer = response.get_json()
            self.issued |= {answer["access_token"]} | {answer.get("refresh_token", "")}
        return response

    def _answer(self) -> Any:
        """Say whose token came, to a request with what the token is bound to, and our nonce."""
        certificate = presented_in(request.environ)
        call = Call(
            endpoint="api",
            method=request.method,
            form=request.form,
            query=request.args,
            headers=Headers(request.headers),
            certificate=None if certificate is None else thumbprint_of(certificate),
        )
        self.api_calls.append(call)
        grant = self.provider._state.memory.access_tokens.get(token_of(call))
        if grant is None or grant.x5t not in (None, call.certificate):
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
        return {**client, "signing_key": self.key, **self.level}

    @property
    def client_id(self) -> str:
        return f"client-of-{self.name}"

    @property
    def dpop(self) -> bool:
        return bool(self.level.get("dpop"))

    def calls(self, *endpoints: str) -> list[Call]:
        """What came to some of the endpoints; ``api`` is that of the API."""
        return [call for call in self.provider.calls + self.api_calls if call.endpoint in endpoints]

    def with_proof(self) -> list[Call]:
        """What came with a DPoP proof."""
        calls = self.calls(*AT_THE_SERVER, *WITH_TOKENS)
        return [call for call in calls if "DPoP" in call.headers]


def token_of(call: Call) -> str:
    return call.headers["Authorization"].partition(" ")[2]


def proof_of(call: Call) -> tuple[str, dict[str, Any]]:
    """The thumbprint of the key of a proof, and its claims."""
    header, claims = read_jwt(call.headers["DPoP"])
    return str(import_key(header["jwk"]).thumbprint()), claims


def check_logout(peer: Peer, hint: str, person: str) -> None:
    """Check the ID token that a logout gives back."""
    claims = read_jwt(hint)[1]
    found = (claims["iss"], claims["aud"], claims["sub"])
    assert found == (peer.provider.issuer, peer.client_id, person)


def check_received(peer: Peer, *, logins: int) -> None:
    """Check that all that a provider and its API received is of this provider.

    :param logins: how many there were at this one, each with one renewal and two calls of the API.
    """
    _check_client(peer, logins=logins)
    _check_tokens(peer, logins=logins)
    _check_proofs(peer)
    _check_certificates(peer)


def _check_client(peer: Peer, *, logins: int) -> None:
    """The client authentication, and the request object where there is one."""
    calls = peer.calls(*AT_THE_SERVER)
    tokens = [call for call in calls if call.endpoint == "token"]
    assert len(tokens) >= 2 * logins
    by_assertion = "client_auth" not in peer.level
    assert {"client_assertion" in call.form for call in calls} == {by_assertion}
    assert {call.form.get("client_id", peer.client_id) for call in calls} == {peer.client_id}
    if by_assertion:
        read = [read_jwt(call.form["client_assertion"]) for call in calls]
        assert {header["kid"] for header, _ in read} == {peer.key["kid"]}
        named = {(claims["aud"], claims["iss"], claims["sub"]) for _, claims in read}
        assert named == {(peer.provider.issuer, peer.client_id, peer.client_id)}
        assert len({claims["jti"] for _, claims in read}) == len(read)
    pushed = [call.form for call in calls if call.endpoint == PUSH]
    carried = [call.query for call in peer.calls("authorization")]
    assert len(carried) >= logins
    assert {each["client_id"] for each in pushed + carried} == {peer.client_id}
    assert {"request" in each for each in pushed} == {
        "pushed+signed": {True}, "pushed": {False}, "plain": set(),
    }[peer.level["request"]]  # fmt: skip
    for each in pushed:
        if "request" in each and each["request"].count(".") == 2:  # signed and not encrypted
            header, claims = read_jwt(each["request"])
            assert (header["kid"], claims["aud"]) == (peer.key["kid"], peer.provider.issuer)


def _check_tokens(peer: Peer, *, logins: int) -> None:
    """Each token that came, to whatever endpoint, is one that this provider gave."""
    renewed = [
        call.form["refresh_token"]
        for call in peer.calls("token")
        if call.form["grant_type"] == "refresh_token"
    ]
    revoked = [call.form["token"] for call in peer.calls("revocation")]
    used = peer.calls(*WITH_TOKENS)
    assert len({*renewed}) == logins
    assert len({*revoked}) == 2 * logins
    assert len(peer.api_calls) >= 2 * logins
    assert {*renewed, *revoked, *map(token_of, used)} <= peer.issued
    schemes = {call.headers["Authorization"].partition(" ")[0] for call in used}
    assert schemes == {"DPoP" if peer.dpop else "Bearer"}


def _check_proofs(peer: Peer) -> None:
    """The URL and the nonce of each proof; where tokens are bound, each request has one."""
    calls, with_proof = peer.calls(*AT_THE_SERVER, *WITH_TOKENS), peer.with_proof()
    assert len(with_proof) == (len(calls) if peer.dpop else 0)
    given = peer.provider._state.dpop_nonces
    wanted = {
        "api": (peer.api_url, peer.api_nonce),
        "userinfo": (peer.provider.issuer, given.current(of_api=True)),
        **dict.fromkeys(AT_THE_SERVER, (peer.provider.issuer, given.current(of_api=False))),
    }
    seen: dict[str, set[str | None]] = {}
    for call in with_proof:
        origin, nonce = wanted[call.endpoint]
        claims = proof_of(call)[1]
        assert claims["htu"].startswith(f"{origin}/") and claims["htu"] == target_of(claims["htu"])
        seen.setdefault(nonce, set()).add(claims.get("nonce"))
    # Without a nonce is what came before the first one was known.
    assert all(found <= {nonce, None} and nonce in found for nonce, found in seen.items())
    assert len(seen) == (3 if peer.dpop else 0)


def _check_certificates(peer: Peer) -> None:
    """The certificate comes where it is needed, and nowhere else."""
    own = None if peer.pair is None else peer.pair.thumbprint
    of_client = peer.calls(*AT_THE_SERVER, "userinfo")
    assert {call.certificate for call in of_client} == {own}
    bound = bool(peer.level.get("bound_tokens"))
    assert {call.certificate for call in peer.api_calls} == {own if bound else None}
    others = peer.calls("discovery", "jwks", "authorization")
    assert {call.certificate for call in others} == {None}
