"""Requests that are not pushed, not signed, or neither: what is allowed, and by what refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from werkzeug.test import Client

from flask_parjar.testing import ClientMetadata, DevProvider
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import CALLBACK, GONE, HandMadeClient, response

OP = "https://op.example"
PUSHED = ("pushed+signed", "pushed")
SIGNED = ("pushed+signed", "signed")
LEVELS = ("pushed+signed", "pushed", "signed", "plain")


def requested(client: HandMadeClient, level: str) -> str | None:
    """The error with which a request of that level is refused; None if it is not."""
    if level in PUSHED:
        answer = client.push() if level in SIGNED else client.push_unsigned()
        return None if answer.status_code == 201 else str(answer.json()["error_description"])
    return opened(client.provider, client.by_value() if level in SIGNED else client.plain())


def opened(provider: DevProvider, url: str) -> str | None:
    """Open a URL as a browser does: the text of the error page, or None for the next step."""
    parts = urlsplit(url)
    answer = Client(provider.app).open(parts.path, base_url=OP, query_string=parts.query)
    assert answer.status_code in (303, 400)
    if answer.status_code == 303:
        assert "/interaction/" in answer.headers["Location"]
        return None
    return answer.text


def refused(provider: DevProvider, url: str, reason: str) -> None:
    """A page of the provider's own: the error is not sent to anybody."""
    assert reason in (opened(provider, url) or "")


def sent_back(client: HandMadeClient, url: str) -> dict[str, str]:
    """The error that the browser carries back to the client at once."""
    parts = urlsplit(url)
    answer = Client(client.provider.app).open(parts.path, base_url=OP, query_string=parts.query)
    assert answer.status_code == 303, answer.text
    found = response(answer.headers["Location"])
    assert found.get("iss") == OP
    return found


@pytest.mark.parametrize("allowed", LEVELS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_request_is_as_strong_as_the_provider_demands(
    client: HandMadeClient, allowed: str, level: str
) -> None:
    client.provider.allow_requests(allowed)
    error = requested(client, level)
    if level not in PUSHED and allowed in PUSHED:
        assert "must be pushed" in (error or "")
    elif level not in SIGNED and allowed in SIGNED:
        assert "must be signed" in (error or "")
    else:
        assert error is None


def test_levels_that_are_allowed_add_up(client: HandMadeClient) -> None:
    for level in ("signed", "pushed"):
        client.provider.allow_requests(level)
    assert requested(client, "plain") is None
    with pytest.raises(ValueError, match="'sealed' is not one of pushed"):
        client.provider.allow_requests("sealed")


@pytest.mark.parametrize("level", LEVELS)
def test_a_client_can_be_held_to_more_than_the_provider_demands(
    provider: DevProvider, clock: Clock, level: str
) -> None:
    provider.allow_requests("plain")
    client = HandMadeClient(
        provider,
        now=clock,
        require_pushed_authorization_requests=True,
        require_signed_request_object=True,
    )
    assert (requested(client, level) is None) is (level == "pushed+signed")


@pytest.mark.parametrize("level", LEVELS)
def test_a_whole_login(client: HandMadeClient, level: str) -> None:
    client.provider.allow_requests(level)
    if level in PUSHED:
        pushed = client.push() if level in SIGNED else client.push_unsigned()
        url = client.url(request_uri=pushed.json()["request_uri"])
    else:
        url = client.by_value() if level in SIGNED else client.plain()
    back = response(client.provider.sign_in(url))
    assert (back["state"], back["iss"]) == ("the-state", OP)
    answer = client.redeem(back["code"])
    assert answer.status_code == 200
    claims = client.verify(answer.json()["id_token"])[1]
    assert (claims["sub"], claims["nonce"]) == ("ada", "the-nonce")


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "expected 'code'"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request", "is not one of"),
        ({"redirect_uri": GONE}, "invalid_request", "is not one of"),
        ({"response_mode": "fragment"}, "invalid_request", "'fragment' is not supported"),
        ({"prompt": "none login"}, "invalid_request", "prompt 'none login'"),
        ({"scope": "profile"}, "invalid_scope", "has no openid"),
        ({"scope": "openid admin"}, "invalid_scope", "not registered for this client: admin"),
        ({"code_challenge": GONE}, "invalid_request", "43 characters"),
        ({"code_challenge_method": "plain"}, "invalid_request", "must be S256"),
        ({"max_age": "-1"}, "invalid_request", "max_age is '-1'"),
        ({"max_age": "soon"}, "invalid_request", "max_age is 'soon'"),
        ({"claims": "{'id_token': None}"}, "invalid_request", "claims is not JSON"),
        ({"claims": "[" * 20_000}, "invalid_request", "claims is not JSON"),
        ({"claims": '["id_token"]'}, "invalid_request", "claims is not a JSON object"),
        ({"authorization_details": "type"}, "invalid_request", "authorization_details is not JSON"),
        ({"request_uri": "urn:x"}, "invalid_request", "a pushed request has no request_uri"),
        ({"client_id": GONE}, "invalid_request", "client_id is missing"),
    ],
)
def test_parameters_of_an_unsigned_push(
    client: HandMadeClient, changes: dict[str, Any], error: str, reason: str
) -> None:
    client.provider.allow_requests("pushed")
    answer = client.push_unsigned(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert reason in answer.json()["error_description"]


@pytest.mark.parametrize("level", ["pushed", "plain"])
def test_numbers_and_json_values_are_text_in_an_unsigned_request(
    client: HandMadeClient, level: str
) -> None:
    client.provider.allow_requests(level)
    asked = {
        "max_age": "60",
        "claims": '{"id_token": {"acr": {"essential": true, "values": ["mfa"]}}}',
    }
    if level == "pushed":
        pushed = client.push_unsigned(**asked)
        url = client.url(request_uri=pushed.json()["request_uri"])
    else:
        url = client.plain(**asked)
    code = response(client.provider.sign_in(url))["code"]
    claims = client.verify(client.redeem(code).json()["id_token"])[1]
    assert claims["acr"] == "mfa"
    assert "auth_time" in claims


def test_only_resource_may_be_repeated(client: HandMadeClient) -> None:
    """RFC 8707 section 2."""
    client.provider.allow_requests("plain")
    apis = [("resource", "https://a.example"), ("resource", "https://b.example")]
    assert opened(client.provider, f"{client.plain()}&{urlencode(apis)}") is None
    refused(client.provider, f"{client.plain()}&state=x", "more than once: state")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": GONE}, "invalid_request"),
        ({"code_challenge_method": GONE}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
    ],
)
def test_an_error_of_a_plain_request_is_sent_to_the_client(
    client: HandMadeClient, changes: dict[str, Any], error: str
) -> None:
    """RFC 6749 section 4.1.2.1."""
    client.provider.allow_requests("plain")
    back = sent_back(client, client.plain(**changes))
    assert (back["error"], back["state"]) == (error, "the-state")
    assert "state" not in sent_back(client, client.plain(state=GONE, **changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": "unknown"}, "no client is registered"),
        ({"client_id": ""}, "no client is registered"),
        ({"redirect_uri": "https://evil.example/"}, "is not one of"),
        ({"redirect_uri": f"{CALLBACK}/"}, "is not one of"),
        ({"response_mode": "fragment"}, "is not supported"),
    ],
)
def test_no_error_is_sent_to_an_address_that_is_not_known(
    client: HandMadeClient, changes: dict[str, Any], reason: str
) -> None:
    client.provider.allow_requests("plain")
    refused(client.provider, client.plain(**changes), reason)


@pytest.mark.parametrize(
    ("beside", "reason"),
    [
        ({"response_type": GONE}, "response_type=code"),
        ({"response_type": "token"}, "response_type=code"),
        ({"scope": GONE}, "scope with openid"),
        ({"scope": "profile"}, "scope with openid"),
    ],
)
def test_what_must_stand_beside_a_request_object(
    client: HandMadeClient, beside: dict[str, Any], reason: str
) -> None:
    """OpenID Connect Core section 6.1."""
    client.provider.allow_requests("signed")
    back = sent_back(client, client.by_value(**beside))
    assert back["error"] == "invalid_request"
    assert reason in back["error_description"]


def test_other_parameters_beside_a_request_object_are_ignored(client: HandMadeClient) -> None:
    """RFC 9101 section 6.3."""
    client.provider.allow_requests("plain")
    other = {"state": "other", "redirect_uri": "https://evil.example/", "nonce": "other"}
    back = response(client.provider.sign_in(client.by_value(**other)))
    assert back["state"] == "the-state"


def test_a_request_object_in_the_url_is_as_good_as_a_pushed_one(client: HandMadeClient) -> None:
    client.provider.allow_requests("signed")
    for changes, reason in (
        ({"aud": "https://other.example"}, "aud is"),
        ({"exp": 1}, "exp was"),
        ({"client_id": "other"}, "client_id is"),
        ({"redirect_uri": "https://evil.example/"}, "is not one of"),
    ):
        refused(client.provider, client.by_value(client.request(**changes)), reason)
    head, _, _ = client.request().rpartition(".")
    refused(client.provider, client.by_value(f"{head}.AAAA"), "signature does not fit")
    refused(client.provider, client.by_value(client_id="unknown"), "no client is registered")
    refused(client.provider, client.by_value(request_uri="urn:x"), "not both")


def test_a_request_object_in_the_url_is_accepted_once(client: HandMadeClient) -> None:
    client.provider.allow_requests("signed")
    url = client.by_value()
    assert opened(client.provider, url) is None
    assert sent_back(client, url)["error"] == "invalid_request_object"
    back = sent_back(client, client.by_value(client.request(scope="profile")))
    assert (back["error"], back["state"]) == ("invalid_scope", "the-state")
    back = sent_back(client, client.by_value(client.request(state=7)))
    assert back["error"] == "invalid_request_object"
    assert "state" not in back


@pytest.mark.parametrize("level", SIGNED)
def test_a_provider_that_says_it_takes_no_request_objects_takes_none(
    client: HandMadeClient, level: str
) -> None:
    client.provider.allow_requests("plain")
    client.provider.metadata["request_parameter_supported"] = False
    assert "no request objects" in (requested(client, level) or "")
    del client.provider.metadata["request_parameter_supported"]
    assert requested(client, level) is None


def test_a_client_that_signs_nothing_needs_no_keys(provider: DevProvider, clock: Clock) -> None:
    provider.allow_requests("plain")
    for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt", "none"):
        client = HandMadeClient(provider, method=method, now=clock, jwks=None)
        assert requested(client, "pushed") is None
        assert requested(client, "plain") is None
        assert "is not known" in (requested(client, "signed") or "")
        with pytest.raises(ValueError, match="give jwks or jwks_uri"):
            HandMadeClient(provider, method=method, jwks=None, require_signed_request_object=True)
    with pytest.raises(ValueError, match="give jwks or jwks_uri"):
        provider.register(ClientMetadata(client_id="c", redirect_uris=[CALLBACK]))
