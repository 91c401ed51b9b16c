"""Codes, verifiers, refresh tokens, access tokens: what must not open anything."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flask_parjar.testing import DevProvider
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import GONE, NOW, HandMadeClient


def refused(answer: requests.Response, error: str, reason: str) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["error"] == error
    assert reason in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"grant_type": GONE}, "unsupported_grant_type", "None is not known"),
        ({"grant_type": "password"}, "unsupported_grant_type", "'password' is not known"),
        ({"code": GONE}, "invalid_request", "both needed"),
        ({"code": "unknown"}, "invalid_grant", "not known, or too old"),
        ({"code_verifier": GONE}, "invalid_request", "both needed"),
        ({"code_verifier": "v" * 43}, "invalid_grant", "does not fit the challenge"),
        ({"code_verifier": "short"}, "invalid_grant", "does not fit the challenge"),
        ({"redirect_uri": GONE}, "invalid_grant", "redirect_uri is not the one"),
        ({"redirect_uri": "https://site.example/"}, "invalid_grant", "redirect_uri is not the one"),
        ({"client_id": GONE}, "", ""),
    ],
)
def test_redeeming(
    client: HandMadeClient, changes: dict[str, Any], error: str, reason: str
) -> None:
    answer = client.redeem(client.code(), **changes)
    if error:
        refused(answer, error, reason)
    else:
        assert answer.status_code == 200


def test_a_verifier_without_a_challenge_is_refused(client: HandMadeClient) -> None:
    """RFC 9700 section 4.8.2."""
    client.provider.demands.known_parameters = ("client_id", "request_uri")
    without = {"code_challenge": GONE, "code_challenge_method": GONE}
    refused(client.redeem(client.code(**without)), "invalid_grant", "does not fit the challenge")
    assert client.redeem(client.code(**without), code_verifier=GONE).status_code == 200


API = "https://api.example/"


@pytest.mark.parametrize(
    ("asked", "named", "accepted"),
    [
        (API, API, True),
        ([API, "urn:other"], "urn:other", True),
        ([API], "https://another.example/", False),
        ([], API, False),
    ],
)
def test_tokens_are_for_no_other_api_than_the_request(
    client: HandMadeClient, asked: Any, named: str, accepted: bool
) -> None:
    """RFC 8707 section 2.2."""
    code = client.code(resource=asked, scope="openid offline_access")
    answer = client.redeem(code, resource=named)
    if not accepted:
        refused(answer, "invalid_target", "not asked for before")
        return
    token = answer.json()["refresh_token"]
    refused(refresh(client, token, resource="urn:more"), "invalid_target", "urn:more")
    assert refresh(client, token, resource=named).status_code == 200


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        ("orders", "invalid_target"),
        ("https://api.example/#orders", "invalid_target"),
        (7, "invalid_request_object"),
        ([7], "invalid_request_object"),
    ],
)
def test_a_resource_that_is_no_uri(client: HandMadeClient, resource: Any, error: str) -> None:
    refused(client.push(client.request(resource=resource)), error, "resource")


def test_a_code_is_accepted_once_and_its_reuse_revokes_the_tokens(client: HandMadeClient) -> None:
    code = client.code(scope="openid offline_access")
    tokens = client.redeem(code).json()
    assert client.userinfo(tokens["access_token"]).status_code == 200
    refused(client.redeem(code), "invalid_grant", "used before")
    assert client.userinfo(tokens["access_token"]).status_code == 401
    refused(refresh(client, tokens["refresh_token"]), "invalid_grant", "not known")


def test_a_code_of_another_client(client: HandMadeClient, provider: DevProvider) -> None:
    thief = HandMadeClient(provider, client_id="thief")
    code = client.code()
    refused(thief.redeem(code, code_verifier=client.verifier), "invalid_grant", "another client")
    refused(client.redeem(code), "invalid_grant", "used before")


def test_a_code_lives_a_minute(client: HandMadeClient, clock: Clock) -> None:
    code = client.code()
    clock.now += 60
    refused(client.redeem(code), "invalid_grant", "too old")


def refresh(client: HandMadeClient, token: str, **changes: Any) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return client.post("token_endpoint", form, **changes)


def test_refreshing(client: HandMadeClient, clock: Clock) -> None:
    first = client.tokens(scope="openid email offline_access")
    clock.now += 100
    second = refresh(client, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == "openid email offline_access"
    claims = client.verify(second["id_token"])[1]
    assert (claims["sub"], claims["iat"], claims["auth_time"]) == ("ada", NOW + 100, NOW)
    assert "nonce" not in claims
    assert client.userinfo(second["access_token"]).status_code == 200


def test_a_refresh_token_is_accepted_once_and_its_reuse_revokes_the_others(
    client: HandMadeClient,
) -> None:
    first = client.tokens(scope="openid offline_access")["refresh_token"]
    second = refresh(client, first).json()
    refused(refresh(client, first), "invalid_grant", "used before")
    refused(refresh(client, second["refresh_token"]), "invalid_grant", "not known")
    assert client.userinfo(second["access_token"]).status_code == 401


def test_refresh_tokens_of_others_and_none(client: HandMadeClient, provider: DevProvider) -> None:
    thief = HandMadeClient(provider, client_id="thief")
    token = client.tokens(scope="openid offline_access")["refresh_token"]
    refused(refresh(thief, token), "invalid_grant", "another client")
    refused(refresh(client, "", refresh_token=GONE), "invalid_request", "is missing")
    assert "refresh_token" not in client.tokens()


def test_userinfo_tells_what_the_scopes_open(client: HandMadeClient) -> None:
    wish = {"userinfo": {"phone_number": None}, "id_token": {"locale": None}}
    tokens = client.tokens("alan", scope="openid profile", claims=wish)
    told = client.userinfo(tokens["access_token"]).json()
    assert told["name"] == "Alan Turing"
    assert "email" not in told
    wider = client.tokens("grace", scope="openid phone reports:read", claims=wish)
    assert wider["scope"] == "openid phone reports:read"
    answer = client.userinfo(wider["access_token"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "sub": "grace",
        "phone_number": "+1 202 555 0106",
        "org": "navy",
    }
    narrow = client.tokens("alan", scope="openid", claims={"id_token": {"locale": None}})
    claims = client.verify(narrow["id_token"])[1]
    assert claims["locale"] == "en-GB"
    assert "name" not in claims


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer unknown", "DPoP unknown"]
)
def test_userinfo_without_a_good_token(client: HandMadeClient, header: str) -> None:
    answer = client.userinfo("", Authorization=header)
    assert answer.status_code == 401
    assert answer.headers["Cache-Control"] == "no-store"
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("DPoP" if header == "DPoP unknown" else "Bearer")
    # RFC 6750 section 3.1: no error code where no token was sent.
    assert ("invalid_token" in challenge) == header.endswith("unknown")


def test_an_access_token_grows_old(client: HandMadeClient, clock: Clock) -> None:
    token = client.tokens()["access_token"]
    clock.now += 600
    assert client.userinfo(token).status_code == 401


def test_no_claims_of_a_removed_person_are_given(client: HandMadeClient) -> None:
    code = client.code()
    token = client.tokens(scope="openid")["access_token"]
    del client.provider.people["ada"]
    assert client.userinfo(token).status_code == 401
    claims = client.verify(client.redeem(code).json()["id_token"])[1]
    assert "name" not in claims
