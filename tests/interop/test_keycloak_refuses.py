"""What Keycloak refuses, so that its consent to the requests of this package proves something.

The requests are written by hand. ``flask_parjar`` makes none of them.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from tests.interop.client_site import EC, SITE
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_by_hand import HandMade
from tests.interop.keycloak_client import register
from tests.interop.keycloak_process import KeycloakProcess

pytestmark = pytest.mark.interop

NOT_VERIFIED = "Failed to verify signature on 'request' object"
NOT_PUSHED = "Pushed Authorization Request is only allowed."
NOT_SIGNED = "Client is required to use 'request' or 'request_uri' parameter."
UNKNOWN = "PAR not found, not issued or used multiple times."


@pytest.fixture(scope="module")
def by_hand(keycloak: KeycloakProcess) -> HandMade:
    """A client that must push, sign and use PKCE."""
    register(keycloak, "by-hand")
    register(keycloak, "another-by-hand")
    return HandMade(keycloak, "by-hand")


@pytest.fixture
def misconfigured(keycloak: KeycloakProcess) -> HandMade:
    """A client with settings that ``docs/providers`` warns of; each test adds one."""
    register(keycloak, "misconfigured")
    return HandMade(keycloak, "misconfigured")


def unsigned(claims: dict[str, Any]) -> str:
    """A request object with ``alg: none`` (RFC 7519 section 6)."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    encoded = [urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def refused_push(keycloak: KeycloakProcess) -> set[str]:
    """What Keycloak recorded of the last push that it refused: codes and reasons of two events."""
    found: set[str] = set()
    for event in keycloak.events("by-hand", "PUSHED_AUTHORIZATION_REQUEST_ERROR")[:2]:
        found |= {event["error"], event["details"].get("reason", "")}
    return found - {"", "invalid_request"}


def refused_login(keycloak: KeycloakProcess) -> str:
    """Why Keycloak sent the last browser no further, in its own record."""
    reason: str = keycloak.events("by-hand", "LOGIN_ERROR")[0]["details"]["reason"]
    return reason


def test_a_signed_request_by_hand_is_accepted(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    """So what follows is refused for the reason that the test names."""
    before = len(by_hand.keycloak.events("by-hand", "LOGIN"))
    url = by_hand.authorization_url(request_uri=by_hand.push_signed())
    back = parse_qs(urlsplit(keycloak_browser.sign_in(url)).query)
    assert (back["state"], back["iss"]) == (["a-state"], [by_hand.keycloak.issuer])
    assert len(by_hand.keycloak.events("by-hand", "LOGIN")) == before + 1


def test_a_request_object_with_alg_none_is_refused(by_hand: HandMade) -> None:
    answer = by_hand.push(request=unsigned(by_hand.claims()))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_object")
    assert refused_push(by_hand.keycloak) == {
        "invalid_request_object",
        "Request object signed with different algorithm than client requested algorithm",
    }


def test_if_no_algorithm_is_set_a_request_object_with_alg_none_is_accepted(
    misconfigured: HandMade,
) -> None:
    misconfigured.keycloak.change_client("misconfigured", {"request.object.signature.alg": ""})
    assert misconfigured.push(request=unsigned(misconfigured.claims())).status_code == 201


def test_with_request_only_the_push_is_accepted_and_the_browser_is_refused(
    misconfigured: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    misconfigured.keycloak.change_client(
        "misconfigured", {"request.object.required": "request only"}
    )
    url = misconfigured.authorization_url(request_uri=misconfigured.push_signed())
    assert keycloak_browser.open(url).status_code == 400


def test_a_push_without_a_request_object_is_refused(by_hand: HandMade) -> None:
    plain = {name: str(value) for name, value in by_hand.claims().items() if name != "client_id"}
    answer = by_hand.push(**plain)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert refused_push(by_hand.keycloak) == {"Client is required to use 'request' parameter."}


def test_a_request_object_with_an_unknown_kid_is_refused(by_hand: HandMade) -> None:
    answer = by_hand.push(request=by_hand.request_object(kid="unknown"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_object")
    assert refused_push(by_hand.keycloak) == {"invalid_request_object", NOT_VERIFIED}


def test_a_request_object_of_another_key_is_refused(by_hand: HandMade) -> None:
    another = ECKey.generate_key("P-256", {"kid": EC.kid})
    answer = by_hand.push(request=by_hand.request_object(key=another))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_object")
    assert refused_push(by_hand.keycloak) == {"invalid_request_object", NOT_VERIFIED}


def test_a_request_object_without_a_code_challenge_is_refused(by_hand: HandMade) -> None:
    claims = by_hand.claims()
    del claims["code_challenge"], claims["code_challenge_method"]
    answer = by_hand.push(request=by_hand.request_object(claims=claims))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_assertion_is_accepted_once(by_hand: HandMade) -> None:
    assertion = by_hand.assertion()
    first = by_hand.push(assertion=assertion, request=by_hand.request_object())
    assert first.status_code == 201
    again = by_hand.push(assertion=assertion, request=by_hand.request_object())
    assert again.status_code == 401
    assert refused_push(by_hand.keycloak) == {"invalid_client_credentials"}


def test_a_request_that_was_not_pushed_is_refused(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    url = by_hand.authorization_url(request=by_hand.request_object())
    back = parse_qs(urlsplit(keycloak_browser.sign_in(url)).query)
    assert back["error"] == ["invalid_request"]
    assert keycloak_browser.steps == []
    assert refused_login(by_hand.keycloak) == NOT_PUSHED


def test_a_request_that_was_neither_pushed_nor_signed_is_refused(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    plain = {name: str(value) for name, value in by_hand.claims().items() if name != "client_id"}
    answer = keycloak_browser.open(by_hand.authorization_url(**plain))
    assert answer.status_code == 400
    assert refused_login(by_hand.keycloak) == NOT_SIGNED


def test_a_request_uri_is_of_no_use_after_its_code(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    url = by_hand.authorization_url(request_uri=by_hand.push_signed())
    assert keycloak_browser.sign_in(url).startswith(f"{SITE}/callback?")
    assert keycloak_browser.open(url).status_code == 400
    assert refused_login(by_hand.keycloak) == UNKNOWN


def test_a_request_uri_is_of_no_use_when_it_is_too_old(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    with by_hand.keycloak.request_uris_that_live_for(1):
        url = by_hand.authorization_url(request_uri=by_hand.push_signed())
    time.sleep(1.1)
    assert keycloak_browser.open(url).status_code == 400
    assert refused_login(by_hand.keycloak) == UNKNOWN


def test_the_request_uri_of_another_client_is_refused(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    request_uri = by_hand.push_signed()
    url = by_hand.authorization_url(client_id="another-by-hand", request_uri=request_uri)
    assert keycloak_browser.open(url).status_code == 400
    own = keycloak_browser.sign_in(by_hand.authorization_url(request_uri=request_uri))
    assert own.startswith(f"{SITE}/callback?")


def test_a_request_uri_that_keycloak_did_not_give_is_refused(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    made_up = "urn:ietf:params:oauth:request_uri:6d8a4a4e-8e0b-4a5c-9a0f-3f4d8b0f5b11"
    url = by_hand.authorization_url(request_uri=made_up)
    assert keycloak_browser.open(url).status_code == 400
    assert refused_login(by_hand.keycloak) == UNKNOWN


def test_a_person_who_is_slower_than_the_request_uri_is_refused_with_the_right_password(
    by_hand: HandMade, keycloak_browser: KeycloakBrowser
) -> None:
    """Why ``docs/providers`` sets parRequestUriLifespan (keycloak#51761).

    ``test_keycloak_slow.py`` waits for the minute that is the default.
    """
    with by_hand.keycloak.request_uris_that_live_for(1):
        url = by_hand.authorization_url(request_uri=by_hand.push_signed())
    form = keycloak_browser.open(url)
    assert form.status_code == 200
    time.sleep(1.1)
    assert keycloak_browser.fill_in(form, login="ada").status_code == 400
    (refused, *_) = by_hand.keycloak.events("by-hand", "LOGIN_ERROR")
    assert refused["error"] == "invalid_user_credentials"
