"""The provider verifies DPoP proofs as RFC 9449 asks, and binds codes and tokens to their keys."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from flask_parjar.testing import DevProvider
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import GONE, KEYS, HandMadeClient, b64, bent, sign

OFFLINE = "openid offline_access"
KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")
PUSH, TOKEN = "pushed_authorization_request_endpoint", "token_endpoint"
USERINFO, REVOCATION = "userinfo_endpoint", "revocation_endpoint"


def proof(
    client: HandMadeClient,
    endpoint: str,
    *,
    key: Key = KEY,
    alg: str = "ES256",
    header: Mapping[str, Any] | None = None,
    access_token: str | None = None,
    **changes: Any,
) -> str:
    good = {
        "jti": secrets.token_urlsafe(16),
        "htm": "GET" if endpoint == USERINFO else "POST",
        "htu": client.endpoint(endpoint),
        "iat": int(client.now()),
    }
    if access_token is not None:
        good["ath"] = b64(hashlib.sha256(access_token.encode()).digest())
    jwk = {k: v for k, v in key.as_dict(private=False).items() if k not in ("kid", "use")}
    protected = bent({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}, header or {})
    return sign(protected, bent(good, changes), key)


def redeem(client: HandMadeClient, code: str | None = None, **given: Any) -> requests.Response:
    headers = {"DPoP": proof(client, TOKEN, **given)}
    return client.redeem(client.code() if code is None else code, headers=headers)


def refresh(client: HandMadeClient, token: str, **given: Any) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return client.post(TOKEN, form, headers={"DPoP": proof(client, TOKEN, **given)})


def userinfo(client: HandMadeClient, token: str, **given: Any) -> requests.Response:
    made = proof(client, USERINFO, **{"access_token": token, **given})
    return client.userinfo("", Authorization=f"DPoP {token}", DPoP=made)


def bound_tokens(client: HandMadeClient) -> dict[str, Any]:
    members = redeem(client, client.code(scope=OFFLINE)).json()
    assert members["token_type"] == "DPoP"
    return dict(members)


def test_a_proof_binds_the_tokens(client: HandMadeClient) -> None:
    tokens = bound_tokens(client)
    assert userinfo(client, tokens["access_token"]).status_code == 200
    renewed = refresh(client, tokens["refresh_token"]).json()
    assert renewed["token_type"] == "DPoP"
    assert userinfo(client, renewed["access_token"]).status_code == 200
    made = {"DPoP": proof(client, REVOCATION)}
    answer = client.post(REVOCATION, {"token": renewed["refresh_token"]}, headers=made)
    assert answer.status_code == 200
    assert userinfo(client, renewed["access_token"]).status_code == 401


def test_without_a_proof_tokens_are_bearer_tokens(client: HandMadeClient) -> None:
    token = client.tokens()["access_token"]
    assert client.userinfo(token).status_code == 200
    assert userinfo(client, token).status_code == 401


@pytest.mark.parametrize("alg", ["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"])
def test_each_algorithm(client: HandMadeClient, alg: str) -> None:
    answer = redeem(client, key=KEYS[alg], alg=alg)
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert userinfo(client, token, key=KEYS[alg], alg=alg).status_code == 200


BAD: dict[str, dict[str, Any]] = {
    "typ": {"header": {"typ": "JWT"}},
    "no typ": {"header": {"typ": GONE}},
    "no jwk": {"header": {"jwk": GONE}},
    "a jwk that is none": {"header": {"jwk": {"kty": "EC"}}},
    "the jwk of another key": {"header": {"jwk": OTHER.as_dict(private=False)}},
    "a private jwk": {"header": {"jwk": KEY.as_dict(private=True)}},
    "a shared secret": {"key": OctKey.generate_key(256), "alg": "HS256"},
    "an RSA key that signs as EC": {
        "header": {"jwk": RSAKey.generate_key(2048).as_dict(private=False)}
    },
    "a critical extension": {"header": {"crit": ["x"], "x": 1}},
    "htm": {"htm": "GET"},
    "htm in lower case": {"htm": "post"},
    "no htm": {"htm": GONE},
    "htu": {"htu": "https://op.example/other"},
    "htu of another host": {"htu": "https://evil.example/token"},
    "no htu": {"htu": GONE},
    "jti": {"jti": 5},
    "an empty jti": {"jti": ""},
    "no jti": {"jti": GONE},
    "no iat": {"iat": GONE},
    "an old iat": {"iat": 1_800_000_000 - 61},
    "an iat ahead": {"iat": 1_800_000_000 + 11},
    "exp": {"exp": 1_800_000_000},
}


@pytest.mark.parametrize("name", BAD)
def test_a_proof_that_is_not_valid(client: HandMadeClient, name: str) -> None:
    code = client.code()
    answer = redeem(client, code, **BAD[name])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert redeem(client, code).status_code == 200  # the code was not used up


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ä"])
def test_a_header_that_is_no_proof(client: HandMadeClient, text: str) -> None:
    answer = client.redeem(client.code(), headers={"DPoP": text.encode()})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


def test_one_proof_in_each_request(client: HandMadeClient) -> None:
    both = f"{proof(client, TOKEN)},{proof(client, TOKEN)}"
    answer = client.redeem(client.code(), headers={"DPoP": both})
    assert answer.json()["error"] == "invalid_dpop_proof"
    token = bound_tokens(client)["access_token"]
    proofs = [proof(client, USERINFO, access_token=token) for _ in "12"]
    headers = [("Authorization", f"DPoP {token}"), *(("DPoP", each) for each in proofs)]
    direct = client.provider.app.test_client().get(
        "/userinfo", base_url="https://op.example", headers=headers
    )
    assert direct.status_code == 401
    assert direct.headers["WWW-Authenticate"] == 'DPoP error="invalid_dpop_proof"'


def test_a_proof_is_good_within_a_minute(client: HandMadeClient) -> None:
    now = int(client.now())
    for changes in ({"iat": now - 60}, {"iat": now + 10}, {"exp": now + 1}):
        assert redeem(client, **changes).status_code == 200


def test_the_target_is_compared_without_query_and_fragment(client: HandMadeClient) -> None:
    assert redeem(client, htu="https://OP.example/token?x=1#y").status_code == 200


def test_a_proof_is_used_once(client: HandMadeClient, clock: Clock) -> None:
    made = proof(client, TOKEN)
    first, second = client.code(), client.code()
    assert client.redeem(first, headers={"DPoP": made}).status_code == 200
    again = client.redeem(second, headers={"DPoP": made})
    assert again.json()["error"] == "invalid_dpop_proof"


def test_the_provider_follows_its_metadata(client: HandMadeClient) -> None:
    client.provider.metadata["dpop_signing_alg_values_supported"] = ["EdDSA", "HS256"]
    assert redeem(client).json()["error"] == "invalid_dpop_proof"
    assert redeem(client, key=KEYS["EdDSA"], alg="EdDSA").status_code == 200
    del client.provider.metadata["dpop_signing_alg_values_supported"]
    assert redeem(client).status_code == 200


# What is bound.


def test_a_client_that_is_registered_for_it_gets_no_bearer_tokens(provider: DevProvider) -> None:
    client = HandMadeClient(provider, dpop_bound_access_tokens=True)
    code = client.code()
    answer = client.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert redeem(client, code).json()["token_type"] == "DPoP"


def test_the_code_is_bound_by_dpop_jkt(client: HandMadeClient) -> None:
    code = client.code(dpop_jkt=KEY.thumbprint())
    assert redeem(client, code, key=OTHER).json()["error"] == "invalid_dpop_proof"
    assert client.redeem(code).json()["error"] == "invalid_dpop_proof"
    assert redeem(client, code).status_code == 200


def test_the_code_is_bound_by_the_proof_of_the_push(client: HandMadeClient) -> None:
    pushed = client.push(headers={"DPoP": proof(client, PUSH)})
    away = client.url(request_uri=pushed.json()["request_uri"])
    code = client.provider.sign_in(away).partition("code=")[2].partition("&")[0]
    assert redeem(client, code, key=OTHER).json()["error"] == "invalid_dpop_proof"
    assert redeem(client, code).status_code == 200


def test_the_two_ways_to_bind_a_code_must_agree(client: HandMadeClient) -> None:
    request = client.request(dpop_jkt=KEY.thumbprint())
    answer = client.push(request, headers={"DPoP": proof(client, PUSH, key=OTHER)})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    request = client.request(dpop_jkt=KEY.thumbprint())
    assert client.push(request, headers={"DPoP": proof(client, PUSH)}).status_code == 201


def test_a_refresh_token_is_bound(client: HandMadeClient) -> None:
    token = bound_tokens(client)["refresh_token"]
    assert refresh(client, token, key=OTHER).json()["error"] == "invalid_dpop_proof"
    without = client.post(TOKEN, {"grant_type": "refresh_token", "refresh_token": token})
    assert without.json()["error"] == "invalid_dpop_proof"
    assert refresh(client, token).status_code == 200


@pytest.mark.parametrize(
    "changes", [{"key": OTHER}, {"ath": GONE}, {"ath": "x"}, {"ath": 5}, {"htm": "POST"}]
)
def test_userinfo_wants_a_proof_for_this_token(
    client: HandMadeClient, changes: dict[str, Any]
) -> None:
    token = bound_tokens(client)["access_token"]
    answer = userinfo(client, token, **changes)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("DPoP error=")


def test_userinfo_takes_no_bound_token_without_a_proof(client: HandMadeClient) -> None:
    token = bound_tokens(client)["access_token"]
    assert client.userinfo(token).status_code == 401
    assert client.userinfo("", Authorization=f"DPoP {token}").status_code == 401


def test_a_revocation_may_have_a_proof_and_a_wrong_one_is_refused(client: HandMadeClient) -> None:
    made = {"DPoP": proof(client, TOKEN)}
    answer = client.post(REVOCATION, {"token": "x"}, headers=made)
    assert answer.json()["error"] == "invalid_dpop_proof"


# Nonces.


@pytest.fixture
def nonces(client: HandMadeClient) -> dict[str, str]:
    """Let the provider want nonces: the one of the authorization server, and that of userinfo."""
    provider = client.provider
    assert not provider.dpop_nonces
    provider.dpop_nonces = True
    tokens = {"Authorization": "DPoP x", "DPoP": proof(client, USERINFO, access_token="x")}
    return {
        "server": client.push().headers["DPoP-Nonce"],
        "api": client.userinfo("", **tokens).headers["DPoP-Nonce"],
    }


def test_each_answer_brings_the_nonce(client: HandMadeClient, nonces: dict[str, str]) -> None:
    assert nonces["server"] != nonces["api"]
    code = client.code()
    wanted = redeem(client, code)
    assert (wanted.status_code, wanted.json()["error"]) == (400, "use_dpop_nonce")
    assert wanted.headers["DPoP-Nonce"] == nonces["server"]
    done = redeem(client, code, nonce=nonces["server"])
    assert (done.status_code, done.headers["DPoP-Nonce"]) == (200, nonces["server"])
    token = done.json()["access_token"]
    for other in ({}, {"nonce": nonces["server"]}, {"nonce": 5}):
        wanted = userinfo(client, token, **other)
        assert wanted.status_code == 401
        assert wanted.headers["WWW-Authenticate"] == 'DPoP error="use_dpop_nonce"'
    assert userinfo(client, token, nonce=nonces["api"]).status_code == 200
    assert "DPoP-Nonce" not in client.http.get(client.endpoint("jwks_uri")).headers


def test_nonces_grow_old(client: HandMadeClient, nonces: dict[str, str]) -> None:
    code = client.code()
    client.provider.rotate_dpop_nonces()
    wanted = redeem(client, code, nonce=nonces["server"])
    assert wanted.json()["error"] == "use_dpop_nonce"
    assert redeem(client, code, nonce=wanted.headers["DPoP-Nonce"]).status_code == 200


def test_without_nonces_none_is_looked_at(client: HandMadeClient) -> None:
    answer = redeem(client, nonce="any")
    assert answer.status_code == 200 and "DPoP-Nonce" not in answer.headers
