"""What an answer means before anybody reads it."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from flask_parjar.errors import ProviderRefused, ProviderUnavailable
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.provider import Http, Provider
from flask_parjar.provider.calls import refusal
from flask_parjar.provider.http import Answer
from tests.provider.raw_server import always, answer, raw_server

NOW = 1_800_000_000


def refused(
    status: int, *, date: str | None = None, error: object = "x", code: str = "code_refused"
) -> ProviderRefused | ProviderUnavailable:
    headers = {} if date is None else {"Date": date}
    document = None if error is None else {"error": error}
    found = Answer(status=status, headers=headers, body=b"", document=document)
    return refusal(found, code, now=NOW)


@pytest.mark.parametrize(
    "ahead, told", [(0, False), (30, False), (-30, False), (31, True), (-31, True)]
)
def test_a_clock_is_spoken_of_only_where_it_is_wrong(ahead: int, told: bool) -> None:
    error = refused(400, date=formatdate(NOW + ahead, usegmt=True))
    assert ("the provider's clock is 31 s" in error.detail) is told
    assert ("ahead of" in error.detail) is (ahead == 31)


@pytest.mark.parametrize(
    "status, error, code, expected",
    [
        (400, "invalid_grant", "code_refused", "code_refused"),
        (400, "invalid_client", "code_refused", "client_refused"),
        (401, "other", "push_refused", "client_refused"),
        (401, None, "userinfo_refused", "userinfo_refused"),
        (403, None, "push_refused", "push_refused"),
        (403, None, "code_refused", "client_refused"),
        (400, None, "push_refused", "provider_failed"),
        (404, 7, "push_refused", "provider_failed"),
        (400, "invalid_grant", "refresh_refused", "refresh_refused"),
        (400, None, "refresh_refused", "refresh_refused"),  # Glewlwyd's way to say so
        (401, None, "refresh_refused", "client_refused"),
        (403, None, "refresh_refused", "provider_failed"),  # a firewall's, perhaps
    ],
)
def test_who_must_act(status: int, error: object, code: str, expected: str) -> None:
    found = refused(status, error=error, code=code)
    assert found.code == expected
    wanted = ProviderUnavailable if expected == "provider_failed" else ProviderRefused
    assert isinstance(found, wanted)


def test_metadata_is_no_jwt() -> None:
    """Only userinfo may come as a JWT; any other document is a JSON object."""
    jwt = answer(b"a.b.c", headers="Content-Type: application/jwt\r\n")
    with raw_server(always(jwt)) as server:
        client = ClientConfig(name="default", issuer=server.url.rstrip("/"), client_id="site")
        provider = Provider(client, Http(timeout=5), on_call=lambda describe: None)
        with pytest.raises(ProviderUnavailable) as caught:
            provider.metadata(NOW)
    assert caught.value.code == "provider_answer"
    assert caught.value.detail == "discovery: no JSON object"
