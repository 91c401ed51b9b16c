"""The provider's own rich authorization requests: what it takes, refuses and grants (RFC 9396)."""

from __future__ import annotations

from typing import Any

import pytest

from flask_parjar.testing import DevProvider
from tests.testing.hand_made_client import NOW, HandMadeClient, response
from tests.testing.test_tokens import refresh

PAYMENT = {"type": "payment_initiation", "amount": "7.00"}


@pytest.fixture
def client() -> HandMadeClient:
    return HandMadeClient(DevProvider("https://op.example", now=lambda: NOW))


def test_what_is_asked_for_is_granted_and_renewed(client: HandMadeClient) -> None:
    tokens = client.tokens(authorization_details=[PAYMENT], scope="openid offline_access")
    assert tokens["authorization_details"] == [PAYMENT]
    renewed = refresh(client, tokens["refresh_token"]).json()
    assert renewed["authorization_details"] == [PAYMENT]
    assert "authorization_details" not in client.tokens()


@pytest.mark.parametrize(
    "value", [{}, PAYMENT, "payment_initiation", ["x"], [{}], [{"type": "x"}], [PAYMENT, {"a": 1}]]
)
def test_what_is_refused(client: HandMadeClient, value: Any) -> None:
    answer = client.push(client.request(authorization_details=value))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_authorization_details"


def test_each_is_agreed_to_by_itself(client: HandMadeClient) -> None:
    """Also by a person who is signed in, and has agreed to the same before."""
    browser = client.provider.browser()
    for _ in "12":
        back = browser.sign_in(client.start(authorization_details=[PAYMENT]))
        assert "code" in response(back)
    assert "code" in response(browser.sign_in(client.start(prompt="none")))
    silent = client.start(prompt="none", authorization_details=[PAYMENT])
    assert response(browser.sign_in(silent))["error"] == "consent_required"
