"""Whole logins with DPoP: what the provider received, and what became of it. RFC 9449."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import pytest
from flask import Flask, Response
from joserfc.jwk import ECKey

from flask_parjar import ParJar
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.transaction import mix
from flask_parjar.testing import Call, DevProvider
from tests.support import after_login
from tests.support.after_login import age, copy_of, renewals, store_address, token_site, use_sockets
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor, make_site, make_site_of_two
from tests.support.threads import at_once, switching_often

PUSH = "pushed_authorization_request"
FORMER_KEYS = tuple(int(part) for part in version("Flask").split(".")[:2]) >= (3, 1)
WITH_PROOF = (PUSH, "token", "userinfo", "revocation")


def part(text: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return decoded


def proof_of(call: Call) -> dict[str, Any]:
    """The claims of the proof that came with a call; the provider has verified it."""
    return part(call.headers["DPoP"].split(".")[1])


def key_of(call: Call) -> str:
    """The thumbprint of the key of the proof that came with a call."""
    return str(ECKey.import_key(part(call.headers["DPoP"].split(".")[0])["jwk"]).thumbprint())


def calls_with_proof(provider: DevProvider) -> list[Call]:
    return [call for call in provider.calls if call.endpoint in WITH_PROOF]


def asked(provider: DevProvider) -> list[str]:
    return [call.endpoint for call in calls_with_proof(provider)]


def parameters_of(call: Call) -> dict[str, Any]:
    """The authorization parameters of a push."""
    return part(call.form["request"].split(".")[1])


def dpop_views(app: Flask, parjar: ParJar) -> None:
    """What an app does with its tokens."""
    after_login.token_views(app, parjar)

    @app.get("/type")
    def token_type() -> str:
        return parjar.tokens().token_type

    @app.get("/headers")
    def headers() -> dict[str, str]:
        issuer = app.config["PARJAR_ISSUER"]
        return parjar.authorization_headers("GET", f"{issuer}/userinfo?x=1")

    @app.get("/call")
    def call() -> Response:
        answer = parjar.api(app.config["PARJAR_ISSUER"]).get("userinfo", params={"x": "1"})
        return Response(answer.content, answer.status_code, mimetype="application/json")

    @app.get("/upload")
    def upload() -> Response:
        pieces = iter([b"a", b"b"])
        answer = parjar.api(app.config["PARJAR_ISSUER"]).post("userinfo", data=pieces)
        return Response(answer.content, answer.status_code, mimetype="application/json")


def dpop_site(provider: DevProvider, store: str | None = "memory", **config: Any) -> Flask:
    given = {"PARJAR_DPOP": True, "PARJAR_USERINFO": True, "prepare": dpop_views, **config}
    return token_site(provider, store, **given)


@pytest.fixture
def visitor(provider: DevProvider) -> Visitor:
    return Visitor(dpop_site(provider), provider)


@pytest.fixture(params=["cookie", "memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return str(store_address(request.param, redis_process))


# One key for one login.


@pytest.mark.parametrize("nonces", [False, True])
def test_one_key_from_the_login_to_the_logout(
    provider: DevProvider, store: str, nonces: bool
) -> None:
    provider.dpop_nonces = nonces
    visitor = Visitor(dpop_site(provider, store), provider)
    assert visitor.log_in().location == "/"
    age(visitor, left=-1)
    assert visitor.get("/type").text == "DPoP"
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    calls = calls_with_proof(provider)
    expected = [PUSH, *["token", "userinfo"] * 2, "revocation", "revocation"]
    assert list(dict.fromkeys(asked(provider))) == list(dict.fromkeys(expected))
    assert len(calls) == len(expected) + (2 if nonces else 0)  # each server asks once
    (key,) = {key_of(call) for call in calls}
    assert {parameters_of(call)["dpop_jkt"] for call in calls if call.endpoint == PUSH} == {key}
    for call in calls:
        proof = proof_of(call)
        path = {PUSH: "par", "revocation": "revoke"}.get(call.endpoint, call.endpoint)
        assert (proof["htm"], proof["htu"]) == (call.method, f"{provider.issuer}/{path}")
        assert proof["exp"] == proof["iat"] + 60
        assert ("ath" in proof) is (call.endpoint == "userinfo")
        assert call.headers.get("Authorization", "").startswith("DPoP ") is ("ath" in proof)
    assert len({proof_of(call)["jti"] for call in calls}) == len(calls)


def test_each_login_has_a_key_of_its_own(visitor: Visitor, provider: DevProvider) -> None:
    ours = visitor.app.extensions["parjar"].providers["default"].client.signing_keys[0]
    for _ in range(3):
        visitor.log_in()
    keys = {key_of(call) for call in calls_with_proof(provider)}
    assert len(keys) == 3 and ours._key.thumbprint() not in keys


def test_without_the_setting_there_is_no_proof(provider: DevProvider) -> None:
    visitor = Visitor(dpop_site(provider, PARJAR_DPOP=False), provider)
    visitor.log_in()
    assert visitor.get("/type").text == "Bearer"
    assert not any("DPoP" in call.headers for call in provider.calls)
    assert "dpop_jkt" not in parameters_of(calls_with_proof(provider)[0])


def test_a_push_without_a_proof(provider: DevProvider) -> None:
    """The code is bound by ``dpop_jkt`` alone."""
    visitor = Visitor(dpop_site(provider, PARJAR_DPOP_AT_PAR=False), provider)
    assert visitor.log_in().location == "/"
    push, token, _ = calls_with_proof(provider)
    assert "DPoP" not in push.headers
    assert parameters_of(push)["dpop_jkt"] == key_of(token)


@pytest.mark.parametrize("level", ["pushed", "signed", "plain"])
def test_the_code_is_bound_at_each_request_level(provider: DevProvider, level: str) -> None:
    provider.allow_requests(level)
    visitor = Visitor(dpop_site(provider, PARJAR_REQUEST=level), provider)
    assert visitor.log_in().location == "/"
    call = next(call for call in provider.calls if call.endpoint in (PUSH, "authorization"))
    given = call.form if level == "pushed" else call.query
    sent = parameters_of(Call(**{**_fields(call), "form": given})) if level == "signed" else given
    token = next(call for call in provider.calls if call.endpoint == "token")
    assert sent["dpop_jkt"] == key_of(token)


def _fields(call: Call) -> dict[str, Any]:
    return {name: getattr(call, name) for name in ("endpoint", "method", "query", "headers")}


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"])
def test_the_algorithm_that_the_provider_lists(provider: DevProvider, alg: str) -> None:
    provider.metadata["dpop_signing_alg_values_supported"] = ["RS256", alg]
    visitor = Visitor(dpop_site(provider), provider)
    visitor.log_in()
    age(visitor, left=-1)
    assert visitor.get("/type").text == "DPoP"
    headers = {
        part(call.headers["DPoP"].split(".")[0])["alg"] for call in calls_with_proof(provider)
    }
    assert headers == {alg}


def test_a_step_up_leaves_the_tokens_of_both_logins_revocable(
    visitor: Visitor, provider: DevProvider
) -> None:
    """The tokens of the login before are revoked with their own key (Keycloak asks for it)."""
    visitor.log_in()
    before = key_of(calls_with_proof(provider)[-1])
    visitor.log_in()
    after = key_of(calls_with_proof(provider)[-1])
    provider.calls.clear()
    visitor.post("/logout", headers=FROM_HERE)
    assert [key_of(call) for call in calls_with_proof(provider)] == [after, after, before, before]


# Nonces.


def test_a_nonce_that_is_known_costs_nothing(provider: DevProvider) -> None:
    provider.dpop_nonces = True
    visitor = Visitor(dpop_site(provider), provider)
    visitor.log_in()
    assert asked(provider) == [PUSH, PUSH, "token", "userinfo", "userinfo"]
    provider.calls.clear()
    Visitor(visitor.app, provider).log_in()
    assert asked(provider) == [PUSH, "token", "userinfo"]


def test_a_second_try_is_new_in_every_part(visitor: Visitor, provider: DevProvider) -> None:
    provider.dpop_nonces = True
    away = visitor.leave()
    first, second = calls_with_proof(provider)
    for name in ("client_assertion", "request"):
        claims = [part(call.form[name].split(".")[1])["jti"] for call in (first, second)]
        assert claims[0] != claims[1]
    assert proof_of(first)["jti"] != proof_of(second)["jti"]
    assert "nonce" not in proof_of(first) and proof_of(second)["nonce"]
    provider.rotate_dpop_nonces()
    back = visitor.come_back(away)
    provider.calls.clear()
    assert visitor.get(back).location == "/"
    first, second = [call for call in calls_with_proof(provider) if call.endpoint == "token"]
    assert first.form["code"] == second.form["code"]
    assert first.form["code_verifier"] == second.form["code_verifier"]
    assert first.form["client_assertion"] != second.form["client_assertion"]
    assert proof_of(first)["nonce"] != proof_of(second)["nonce"]


def test_a_refresh_token_that_met_a_demand_goes_out_again(
    provider: DevProvider, store: str
) -> None:
    """It was not used up, so it is no theft, and the tokens go on."""
    provider.dpop_nonces = True
    visitor = Visitor(dpop_site(provider, store), provider)
    visitor.log_in()
    for _ in range(2):
        provider.rotate_dpop_nonces()
        provider.calls.clear()
        age(visitor, left=-1)
        assert visitor.get("/type").text == "DPoP"
        tokens = [call for call in calls_with_proof(provider) if call.endpoint == "token"]
        first, second = tokens
        assert first.form["refresh_token"] == second.form["refresh_token"]
        assert first.form["client_assertion"] != second.form["client_assertion"]


@pytest.mark.parametrize("fault", ["dpop_nonce_for_ever", "dpop_nonce_wrong", "dpop_nonce_missing"])
def test_nonces_that_lead_nowhere_do_not_end_the_tokens(
    visitor: Visitor, provider: DevProvider, fault: str
) -> None:
    provider.dpop_nonces = True
    visitor.log_in()
    age(visitor, left=60)
    with provider.fault(fault):
        provider.rotate_dpop_nonces()
        assert visitor.get("/type").text == "DPoP"
        age(visitor, left=-1)
        answer = visitor.get("/type", headers=SCRIPT)
        assert (answer.status_code, answer.json["error"]) == (502, "dpop_refused")
    assert renewals(provider) <= 4
    assert visitor.get("/type").text == "DPoP"


# Downgrades.


@pytest.mark.parametrize(
    ("fault", "code", "dpop"),
    [("refresh_dpop_bearer", "token_unbound", True), ("refresh_dpop_unasked", "token_type", False)],
)
def test_a_renewal_that_changes_the_type_is_not_used(
    provider: DevProvider, store: str, fault: str, code: str, dpop: bool
) -> None:
    visitor = Visitor(dpop_site(provider, store, PARJAR_DPOP=dpop), provider)
    visitor.log_in()
    token = visitor.get("/token").text
    age(visitor, left=60)
    with provider.fault(fault):
        assert visitor.get("/token").text == token  # until it ends
    age(visitor, left=-1)
    assert visitor.get("/token", headers=SCRIPT).json["error"] == "tokens_missing"
    other = Visitor(visitor.app, provider)
    other.log_in()
    age(other, left=-1)
    with provider.fault(fault):
        answer = other.get("/token", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (502, code)


# APIs.


@pytest.fixture
def served(free_port: Callable[[], int]) -> DevProvider:
    """A provider on a socket: `parjar.api` uses the network."""
    return DevProvider(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("nonces", [False, True])
def test_an_api_gets_a_proof_for_each_request(served: DevProvider, nonces: bool) -> None:
    served.dpop_nonces = nonces
    app = dpop_site(served, PARJAR_USERINFO=False)
    use_sockets(app)
    visitor = Visitor(app, served)
    with served.running():
        visitor.log_in()
        served.calls.clear()
        for _ in range(2):
            assert visitor.get("/call").status_code == 200
        assert len(served.calls) == (3 if nonces else 2)
        served.rotate_dpop_nonces()
        assert visitor.get("/call").json["sub"] == "ada"
    assert len(served.calls) == (5 if nonces else 3)
    token = visitor.get("/token").text
    for call in served.calls:
        proof = proof_of(call)
        assert (proof["htm"], proof["htu"]) == ("GET", f"{served.issuer}/userinfo")
        assert "ath" in proof and call.headers["Authorization"] == f"DPoP {token}"
    assert len({proof_of(call)["jti"] for call in served.calls}) == len(served.calls)


def test_a_body_that_can_be_sent_only_once_is_not_sent_twice(served: DevProvider) -> None:
    served.dpop_nonces = True
    app = dpop_site(served, PARJAR_USERINFO=False)
    app.testing = True
    use_sockets(app)
    visitor = Visitor(app, served)
    with served.running():
        visitor.log_in()
        with pytest.raises(Exception, match="only once"):
            visitor.get("/upload")


def test_another_http_library_gets_the_headers_of_one_request(
    visitor: Visitor, provider: DevProvider
) -> None:
    visitor.log_in()
    provider.calls.clear()
    client = provider.app.test_client()
    headers = visitor.get("/headers").json
    assert headers.keys() == {"Authorization", "DPoP"}
    answer = client.get("/userinfo", base_url=provider.issuer, headers=headers)
    assert answer.json["sub"] == "ada"
    again = client.get("/userinfo", base_url=provider.issuer, headers=headers)
    assert again.status_code == 401  # a proof is used once
    assert visitor.get("/headers").json["DPoP"] != headers["DPoP"]
    alone = {"Authorization": f"Bearer {visitor.get('/token').text}"}
    assert client.get("/userinfo", base_url=provider.issuer, headers=alone).status_code == 401


def test_a_token_that_an_api_does_not_accept_any_more_is_renewed(served: DevProvider) -> None:
    app = dpop_site(served, PARJAR_USERINFO=False)
    use_sockets(app)
    visitor = Visitor(app, served)
    with served.running():
        visitor.log_in()
        served._state.memory.access_tokens.pop(visitor.get("/token").text)
        assert visitor.get("/call").json["sub"] == "ada"
    assert renewals(served) == 1
    assert {key_of(call) for call in calls_with_proof(served)} == {key_of(served.calls[-1])}


# Several providers, many logins at once.


def test_no_key_and_no_nonce_is_ever_used_at_another_provider() -> None:
    app, work, home = make_site_of_two(PARJAR_DPOP=True, PARJAR_USERINFO=True)
    given = {}
    for provider in (work, home):
        provider.dpop_nonces = True
        nonces = provider._state.dpop_nonces
        given[provider.issuer] = {nonces.current(of_api=of_api) for of_api in (True, False)}

    def log_in(number: int) -> None:
        provider, name = ((work, "work"), (home, "home"))[number % 2]
        assert Visitor(app, provider).log_in(f"/login/{name}").status_code == 302

    with switching_often():
        at_once([partial(log_in, number) for number in range(16)])
    keys = []
    for provider in (work, home):
        calls = calls_with_proof(provider)
        sent = {proof_of(call)["nonce"] for call in calls if "nonce" in proof_of(call)}
        assert sent == given[provider.issuer]
        for call in calls:
            assert proof_of(call)["htu"].startswith(provider.issuer)
        keys += list({key_of(call) for call in calls})
    assert len(keys) == len({*keys}) == 16


# Where the key is, and where it is not.


def test_two_processes_use_the_key_of_one_session(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    address = store_address("redis", redis_process)
    keys = {"PARJAR_SIGNING_KEY": provider.config()["PARJAR_SIGNING_KEY"]}
    one, other = (dpop_site(provider, address, **keys) for _ in "12")
    visitor = Visitor(one, provider)
    visitor.log_in()
    elsewhere = copy_of(visitor, other)
    provider.calls.clear()
    age(visitor, left=-1)
    assert visitor.get("/type").text == "DPoP"
    age(elsewhere, left=-1)
    assert elsewhere.get("/type").text == "DPoP"
    assert asked(provider) == ["token", "userinfo"] * 2
    assert len({key_of(call) for call in provider.calls if call.endpoint == "token"}) == 1


def test_a_login_that_comes_back_to_another_process(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    address = store_address("redis", redis_process)
    keys = {"PARJAR_SIGNING_KEY": provider.config()["PARJAR_SIGNING_KEY"]}
    one, other = (dpop_site(provider, address, **keys) for _ in "12")
    visitor = Visitor(one, provider)
    back = visitor.come_back(visitor.leave())
    assert copy_of(visitor, other).get(back).location == "/"
    assert len({key_of(call) for call in calls_with_proof(provider)}) == 1


if FORMER_KEYS:  # before 3.1, Flask's own session has none

    def test_a_login_outlives_a_change_of_the_secret_key(
        visitor: Visitor, provider: DevProvider
    ) -> None:
        back = visitor.come_back(visitor.leave())
        visitor.app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["of the tests"])
        assert visitor.get(back).location == "/"
        assert len({key_of(call) for call in calls_with_proof(provider)}) == 1


def test_no_key_is_in_a_cookie_a_store_a_log_or_a_signal(
    provider: DevProvider, redis_process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    address = store_address("redis", redis_process)
    visitor = Visitor(dpop_site(provider, address), provider)
    with caplog.at_level(logging.DEBUG), after_login.everything_logged():
        back = visitor.come_back(visitor.leave())
        with visitor.client.session_transaction() as session:
            seed = session["_parjar_logins"][0][0]
        waiting = str(visitor.client.get_cookie("session"))
        visitor.get(back)
        visitor.get("/headers")
    key = BeginDPoP(alg="ES256", at_par=True)(mix(seed, b"of the tests"))
    assert key.parameters()["dpop_jkt"] == key_of(calls_with_proof(provider)[0])
    from_the_cookie_alone = BeginDPoP(alg="ES256", at_par=True)(seed)
    assert from_the_cookie_alone.parameters() != key.parameters()
    with redis_process.client() as client:
        stored = repr(after_login.all_of(client))
    places = {
        "the cookie of a login under way": waiting,
        "the cookie of a session": str(visitor.client.get_cookie("session")),
        "the store": stored,
        "the log": "\n".join(record.getMessage() for record in caplog.records),
    }
    assert "parjar" in stored and "token: HTTP 200" in places["the log"]
    _, _, private = key.to_text().partition(".")
    proofs = [call.headers["DPoP"] for call in calls_with_proof(provider)]
    for place, text in places.items():
        for secret in (private, private[8:32], *proofs):
            assert secret not in text, place


def test_a_site_without_a_store_binds_the_login(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_DPOP=True, PARJAR_USERINFO=True)
    assert Visitor(app, provider).log_in().location == "/"
    assert len({key_of(call) for call in calls_with_proof(provider)}) == 1
