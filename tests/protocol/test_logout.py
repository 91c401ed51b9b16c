from __future__ import annotations

import pytest

from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.logout import end_session_url
from tests.protocol.examples import ISSUER, make_client, make_metadata

IDENTITY = Identity(issuer=ISSUER, subject="auth0|ada&x", provider="default")
BACK = "https://client.example.org/bye?a=1&b=ü"
QUERY = (
    "client_id=s6BhdRkqt3&logout_hint=auth0%7Cada%26x"
    "&post_logout_redirect_uri=https%3A%2F%2Fclient.example.org%2Fbye%3Fa%3D1%26b%3D%C3%BC"
)


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [(f"{ISSUER}/end", f"{ISSUER}/end?"), (f"{ISSUER}/end?t=1", f"{ISSUER}/end?t=1&")],
)
def test_the_url_of_the_providers_logout(endpoint: str, start: str) -> None:
    metadata = make_metadata(end_session_endpoint=endpoint)
    url = end_session_url(metadata, make_client(), IDENTITY, post_logout_redirect_uri=BACK)
    assert url == start + QUERY


def test_a_provider_without_one() -> None:
    url = end_session_url(make_metadata(), make_client(), IDENTITY, post_logout_redirect_uri=BACK)
    assert url is None
