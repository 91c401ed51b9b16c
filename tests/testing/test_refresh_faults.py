"""Misbehaving after the login: when tokens are refreshed, and when they are given back."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from flask_parjar.testing import REFRESH_FAULTS, DevProvider
from tests.support.ports import find_free_port
from tests.support.threads import at_once
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import HandMadeClient
from tests.testing.test_revocation import OFFLINE, holds, revoke
from tests.testing.test_tokens import refresh, refused


@pytest.fixture
def tokens(client: HandMadeClient) -> dict[str, Any]:
    return client.tokens(scope=OFFLINE)


def test_a_login_is_not_touched(client: HandMadeClient) -> None:
    faults = [client.provider.fault(name) for name in REFRESH_FAULTS]
    members = client.tokens(scope=OFFLINE)
    assert client.verify(members["id_token"])[1]["sub"] == "ada"
    assert holds(client, members["access_token"])
    assert {fault.acted for fault in faults} == {0}


def test_a_refusal(client: HandMadeClient, tokens: dict[str, Any]) -> None:
    with client.provider.fault("refresh_invalid_grant", times=1):
        refused(refresh(client, tokens["refresh_token"]), "invalid_grant", "A fault")
        assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_provider_that_is_down_uses_nothing_up(
    client: HandMadeClient, tokens: dict[str, Any]
) -> None:
    with client.provider.fault("refresh_503"):
        answers = [refresh(client, tokens["refresh_token"]) for _ in "12"]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert "Retry-After" not in answers[0].headers
    assert holds(client, tokens["access_token"])
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_fault_of_the_token_endpoint_acts_on_refreshes_too(
    client: HandMadeClient, tokens: dict[str, Any]
) -> None:
    with client.provider.fault("token_500"):
        assert refresh(client, tokens["refresh_token"]).status_code == 500
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_provider_that_hangs_up_has_used_the_token_up(
    client: HandMadeClient, tokens: dict[str, Any]
) -> None:
    with (
        client.provider.fault("refresh_hangs_up"),
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        refresh(client, tokens["refresh_token"])
    refused(refresh(client, tokens["refresh_token"]), "invalid_grant", "used before")


def test_hanging_up_on_a_socket(clock: Clock) -> None:
    client = HandMadeClient(
        DevProvider(f"http://127.0.0.1:{find_free_port()}", now=clock), now=clock
    )
    token = client.tokens(scope=OFFLINE)["refresh_token"]
    with client.provider.running(), client.provider.fault("refresh_hangs_up"):
        client.http = requests.Session()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            refresh(client, token)
        client.http.close()


def test_a_slow_provider(client: HandMadeClient, tokens: dict[str, Any]) -> None:
    with client.provider.fault("refresh_slow"):
        begun = time.monotonic()
        assert refresh(client, tokens["refresh_token"]).status_code == 200
        assert time.monotonic() - begun >= 1


def test_without_a_new_token_the_old_one_holds_on(
    client: HandMadeClient, tokens: dict[str, Any]
) -> None:
    with client.provider.fault("refresh_without_new_token"):
        for _ in "12":
            answer = refresh(client, tokens["refresh_token"])
            assert answer.status_code == 200
            assert "refresh_token" not in answer.json()
    assert "refresh_token" in refresh(client, tokens["refresh_token"]).json()


@pytest.mark.parametrize(("name", "status"), [("revocation_503", 503), ("revocation_refused", 400)])
def test_a_token_whose_revocation_failed_is_still_valid(
    client: HandMadeClient, tokens: dict[str, Any], name: str, status: int
) -> None:
    with client.provider.fault(name) as fault:
        answer = revoke(client, tokens["refresh_token"])
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == "unsupported_token_type"
        thief = HandMadeClient(client.provider, client_id="thief")
        refused(revoke(thief, tokens["access_token"]), "invalid_grant", "another client")
        assert fault.acted == 1, "a fault does not hide what the client did wrong"
    assert holds(client, tokens["access_token"])
    assert revoke(client, tokens["refresh_token"]).status_code == 200
    assert not holds(client, tokens["access_token"])


def test_of_two_refreshes_at_once_one_wins_and_nothing_holds(
    client: HandMadeClient, tokens: dict[str, Any]
) -> None:
    jwks = client.jwks()
    with client.provider.fault("refresh_slow"):
        answers = at_once([lambda: refresh(client, tokens["refresh_token"])] * 2)
    first, second = sorted(answers, key=lambda answer: answer.status_code)
    assert client.verify(first.json()["id_token"], jwks)[1]["sub"] == "ada"
    refused(second, "invalid_grant", "used before")
    refused(refresh(client, first.json()["refresh_token"]), "invalid_grant", "not known")
