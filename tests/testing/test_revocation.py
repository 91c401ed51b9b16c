"""Tokens given back: what holds no longer, and who may give what back."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from authlib.oidc.discovery import OpenIDProviderMetadata

from flask_parjar.testing import DevProvider
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import GONE, HandMadeClient
from tests.testing.test_dev_provider import METHODS
from tests.testing.test_tokens import refresh, refused

OFFLINE = "openid offline_access"


def revoke(client: HandMadeClient, token: str, **changes: Any) -> requests.Response:
    return client.post("revocation_endpoint", {"token": token}, **changes)


def holds(client: HandMadeClient, access_token: str) -> bool:
    return client.userinfo(access_token).status_code == 200


def test_the_metadata_says_where(provider: DevProvider) -> None:
    assert provider.metadata["revocation_endpoint"] == "https://op.example/revoke"
    document = OpenIDProviderMetadata(provider.metadata)
    document.validate_revocation_endpoint_auth_methods_supported()
    document.validate_revocation_endpoint_auth_signing_alg_values_supported()


@pytest.mark.parametrize("hint", [GONE, "refresh_token", "access_token", "of the future"])
def test_revoking_a_refresh_token_revokes_the_whole_grant(
    client: HandMadeClient, hint: Any
) -> None:
    other = client.tokens(scope=OFFLINE)
    first = client.tokens(scope=OFFLINE)
    second = refresh(client, first["refresh_token"]).json()
    client.provider.calls.clear()
    answer = revoke(client, second["refresh_token"], token_type_hint=hint)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [call.endpoint for call in client.provider.calls] == ["revocation"]
    assert not holds(client, first["access_token"])
    assert not holds(client, second["access_token"])
    refused(refresh(client, second["refresh_token"]), "invalid_grant", "not known")
    assert holds(client, other["access_token"]), "another login is another grant"
    assert refresh(client, other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("hint", [GONE, "refresh_token", "access_token"])
def test_an_access_token_goes_alone(client: HandMadeClient, hint: Any) -> None:
    first = client.tokens(scope=OFFLINE)
    second = refresh(client, first["refresh_token"]).json()
    assert revoke(client, first["access_token"], token_type_hint=hint).status_code == 200
    assert not holds(client, first["access_token"])
    assert holds(client, second["access_token"])
    assert refresh(client, second["refresh_token"]).status_code == 200


def test_an_unknown_token(client: HandMadeClient) -> None:
    assert revoke(client, "unknown").status_code == 200
    token = client.tokens()["access_token"]
    assert [revoke(client, token).status_code for _ in "12"] == [200, 200]


@pytest.mark.parametrize("method", METHODS)
def test_with_each_client_authentication(provider: DevProvider, method: str) -> None:
    client = HandMadeClient(provider, method=method)
    tokens = client.tokens()
    assert revoke(client, tokens["access_token"]).status_code == 200
    assert not holds(client, tokens["access_token"])


def test_an_assertion_for_this_endpoint(client: HandMadeClient) -> None:
    for_here = client.assertion(aud=client.endpoint("revocation_endpoint"))
    assert revoke(client, "unknown", client_assertion=for_here).status_code == 200
    for_elsewhere = client.assertion(aud="https://op.example/userinfo")
    assert revoke(client, "unknown", client_assertion=for_elsewhere).status_code == 401


def test_what_is_refused(client: HandMadeClient, provider: DevProvider) -> None:
    tokens = client.tokens(scope=OFFLINE)
    thief = HandMadeClient(provider, client_id="thief")
    for kind in ("access_token", "refresh_token"):
        refused(revoke(thief, tokens[kind]), "invalid_grant", "issued to another client")
    for without in ({}, {"token": ""}):
        answer = client.post("revocation_endpoint", without)
        refused(answer, "invalid_request", "token is missing")
    unauthenticated = revoke(client, tokens["access_token"], client_assertion="e30.e30.")
    assert (unauthenticated.status_code, unauthenticated.json()["error"]) == (401, "invalid_client")
    assert client.http.get(client.endpoint("revocation_endpoint")).status_code == 405
    assert holds(client, tokens["access_token"])
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_how_long_access_tokens_hold(client: HandMadeClient, clock: Clock) -> None:
    provider = client.provider
    assert provider.access_token_seconds == 600
    before = client.tokens(scope=OFFLINE)
    provider.access_token_seconds = 30
    after = refresh(client, before["refresh_token"]).json()
    assert (before["expires_in"], after["expires_in"]) == (600, 30)
    claims = client.verify(after["id_token"])[1]
    assert claims["exp"] - claims["iat"] == 300, "the ID token has its own"
    clock.now += 30
    assert holds(client, before["access_token"])
    assert not holds(client, after["access_token"])
    clock.now += 10_000
    assert refresh(client, after["refresh_token"]).status_code == 200
