"""Misbehaving after the login: when tokens are refreshed, and when they are given back."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from flask_parjar.testing import FAULTS, REFRESH_FAULTS, DevProvider, Fault
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import HandMadeClient
from tests.testing.test_revocation import OFFLINE, holds, revoke
from tests.testing.test_serving import free_port
from tests.testing.test_tokens import refresh, refused


@pytest.fixture
def tokens(client: HandMadeClient) -> dict[str, Any]:
    return client.tokens(scope=OFFLINE)


@pytest.mark.parametrize("fault", REFRESH_FAULTS.values(), ids=str)
def test_a_fault_is_named_by_its_place_and_says_what_it_does(fault: Fault) -> None:
    ((seam, _),) = fault.acts
    assert fault.name.startswith(("refresh_", "revocation_"))
    assert fault.name.split("_")[0] == seam.split("_")[0]
    assert fault.summary.endswith(".")
    assert "\n" not in fault.summary
    assert fault.name not in FAULTS


@pytest.mark.parametrize("name", REFRESH_FAULTS)
def test_a_login_is_not_touched(client: HandMadeClient, name: str) -> None:
    with client.provider.fault(name) as fault:
        members = client.tokens(scope=OFFLINE)
        assert client.verify(members["id_token"])[1]["sub"] == "ada"
        assert holds(client, members["access_token"])
        assert fault.acted == 0


def test_an_unknown_fault_is_told_of_both_kinds(provider: DevProvider) -> None:
    with pytest.raises(ValueError, match="Did you mean 'refresh_503'") as error:
        provider.fault("refresh_500")
    assert all(name in str(error.value) for name in (*FAULTS, *REFRESH_FAULTS))


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
    client = HandMadeClient(DevProvider(f"http://127.0.0.1:{free_port()}", now=clock), now=clock)
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


def test_without_an_id_token(client: HandMadeClient, tokens: dict[str, Any]) -> None:
    with client.provider.fault("refresh_without_id_token"):
        members = refresh(client, tokens["refresh_token"]).json()
    assert members.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert holds(client, members["access_token"])


@pytest.mark.parametrize(
    ("name", "claim", "value"),
    [
        ("refresh_other_subject", "sub", "somebody-else"),
        ("refresh_other_issuer", "iss", "https://other-provider.example"),
    ],
)
def test_an_id_token_of_another(
    client: HandMadeClient, tokens: dict[str, Any], name: str, claim: str, value: str
) -> None:
    first = client.verify(tokens["id_token"])[1]
    with client.provider.fault(name):
        second = client.verify(refresh(client, tokens["refresh_token"]).json()["id_token"])[1]
    assert second[claim] == value
    others = {"iss", "sub", "aud", "sid", "iat", "exp"} - {claim}
    assert {name: second[name] for name in others} == {name: first[name] for name in others}


@pytest.mark.parametrize(("name", "status"), [("revocation_503", 503), ("revocation_refused", 400)])
def test_a_token_that_is_not_taken_back_holds_on(
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
    from concurrent.futures import ThreadPoolExecutor

    jwks = client.jwks()
    with client.provider.fault("refresh_slow"), ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: refresh(client, tokens["refresh_token"]), "12"))
    first, second = sorted(answers, key=lambda answer: answer.status_code)
    assert client.verify(first.json()["id_token"], jwks)[1]["sub"] == "ada"
    refused(second, "invalid_grant", "used before")
    refused(refresh(client, first.json()["refresh_token"]), "invalid_grant", "not known")
