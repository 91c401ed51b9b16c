"""The provider itself: it requires what the other tests say, and its record is right.

Written with joserfc and requests alone, without the package. If these tests fail, the results of
``test_oidc_provider.py`` mean nothing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser

pytestmark = pytest.mark.interop

CLIENT_ID = "by-hand"
REDIRECT_URI = "http://localhost/callback"
KEY = ECKey.generate_key("P-256", {"kid": "by-hand-1"})


@pytest.fixture(scope="module", params=["http", "https"])
def provider(request: pytest.FixtureRequest, oidc_provider: StartProvider) -> ProviderProcess:
    """One that knows a single client, with ``private_key_jwt`` and ES256."""
    client = {
        "client_id": CLIENT_ID,
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": ["http://localhost/"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "request_object_signing_alg": "ES256",
        "id_token_signed_response_alg": "ES256",
        "jwks": {"keys": [KEY.as_dict(private=False)]},
    }
    return oidc_provider(clients=[client], https=request.param == "https")


@pytest.fixture
def metadata(provider: ProviderProcess) -> dict[str, Any]:
    """The provider's own description; the record starts empty after the look at it."""
    document = provider.metadata
    provider.forget_calls()
    return document


@pytest.fixture
def session(provider: ProviderProcess) -> Iterator[requests.Session]:
    """The client's way to the provider."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(provider.ca_bundle or True)
        session.headers["Accept"] = "application/json"
        yield session


def authorization_request() -> tuple[dict[str, str], str]:
    """Return the parameters of an authorization request, and the verifier behind its challenge."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    parameters = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid profile email reports:read",
        "state": secrets.token_urlsafe(8),
        "nonce": secrets.token_urlsafe(8),
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
    }
    return parameters, verifier


def signed(metadata: dict[str, Any], claims: dict[str, Any], *, key: ECKey = KEY) -> str:
    """Return ``claims`` as a JWT of the client for this provider, valid for a minute."""
    now = int(time.time())
    common = {"iss": CLIENT_ID, "aud": metadata["issuer"], "iat": now, "exp": now + 60}
    unique = {"jti": secrets.token_urlsafe(16)}
    return jwt.encode({"alg": "ES256", "kid": KEY.kid}, common | unique | claims, key)


def authentication(metadata: dict[str, Any]) -> dict[str, str]:
    """Return the form fields of ``private_key_jwt``."""
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed(metadata, {"sub": CLIENT_ID}),
    }


def push(
    session: requests.Session, metadata: dict[str, Any], fields: dict[str, str]
) -> requests.Response:
    """Push ``fields`` with the client's authentication."""
    return session.post(
        metadata["pushed_authorization_request_endpoint"],
        data={"client_id": CLIENT_ID, **fields, **authentication(metadata)},
        timeout=10,
    )


def test_it_requires_par_jar_and_pkce_and_its_metadata_says_so(metadata: dict[str, Any]) -> None:
    assert metadata["require_pushed_authorization_requests"] is True
    assert metadata["require_signed_request_object"] is True
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    algorithms = {"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
    assert set(metadata["request_object_signing_alg_values_supported"]) == algorithms
    assert set(metadata["id_token_signing_alg_values_supported"]) == algorithms
    assert set(metadata["token_endpoint_auth_signing_alg_values_supported"]) == {
        "HS256",
        *algorithms,
    }


def test_a_login_by_hand_reaches_the_person_and_the_record_shows_each_step(
    provider: ProviderProcess,
    metadata: dict[str, Any],
    session: requests.Session,
    open_browser: OpenBrowser,
) -> None:
    parameters, verifier = authorization_request()
    pushed = push(session, metadata, {"request": signed(metadata, parameters)})
    assert pushed.status_code == 201, pushed.text

    two = {"client_id": CLIENT_ID, "request_uri": pushed.json()["request_uri"]}
    browser = open_browser(provider)
    callback = browser.sign_in(metadata["authorization_endpoint"] + "?" + urlencode(two))
    assert browser.headings == ["Sign-in", "Authorize"]
    assert callback.startswith(REDIRECT_URI + "?")
    response = dict(parse_qsl(urlsplit(callback).query))
    assert response.keys() == {"code", "state", "iss"}
    assert (response["state"], response["iss"]) == (parameters["state"], metadata["issuer"])

    grant = {
        "grant_type": "authorization_code",
        "code": response["code"],
        "redirect_uri": REDIRECT_URI,
        "code_verifier": verifier,
    }
    tokens = session.post(
        metadata["token_endpoint"], data=grant | authentication(metadata), timeout=10
    ).json()
    keys = KeySet.import_key_set(session.get(metadata["jwks_uri"], timeout=10).json())
    id_token = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
    assert id_token.claims["sub"] == "ada"
    assert id_token.claims["nonce"] == parameters["nonce"]
    assert tokens["scope"] == "openid profile email reports:read"

    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = session.get(metadata["userinfo_endpoint"], headers=bearer, timeout=10).json()
    assert (userinfo["name"], userinfo["email"]) == ("Ada", "ada@example.com")

    calls = provider.calls()
    assert [(call.endpoint, call.method, call.status) for call in calls] == [
        ("pushed_authorization_request", "POST", 201),
        ("authorization", "GET", 303),
        ("token", "POST", 200),
        ("jwks", "GET", 200),
        ("userinfo", "GET", 200),
    ]
    proof = ["client_assertion_type", "client_assertion"]
    assert [name for name, _ in calls[0].form] == ["client_id", "request", *proof]
    assert calls[0].query == []
    assert calls[1].query == list(two.items())
    assert calls[2].form[:4] == list(grant.items())
    assert [call.authorization for call in calls] == [None, None, None, None, "bearer"]


def test_signing_out_asks_and_ends_the_session_at_the_provider(
    provider: ProviderProcess,
    metadata: dict[str, Any],
    session: requests.Session,
    open_browser: OpenBrowser,
) -> None:
    browser = open_browser(provider)

    def sign_in() -> None:
        parameters, _ = authorization_request()
        request_uri = push(session, metadata, {"request": signed(metadata, parameters)}).json()[
            "request_uri"
        ]
        query = urlencode({"client_id": CLIENT_ID, "request_uri": request_uri})
        browser.sign_in(metadata["authorization_endpoint"] + "?" + query)

    sign_in()
    sign_in()
    leave = {"client_id": CLIENT_ID, "post_logout_redirect_uri": "http://localhost/", "state": "s"}
    assert browser.sign_out(metadata["end_session_endpoint"] + "?" + urlencode(leave)) == (
        "http://localhost/?state=s"
    )
    sign_in()
    host = urlsplit(metadata["issuer"]).netloc
    asked = [f"Do you want to sign-out from {host}?"]
    assert browser.headings == ["Sign-in", "Authorize", *asked, "Sign-in", "Authorize"]


def test_a_person_who_cancels_comes_back_with_access_denied(
    provider: ProviderProcess,
    metadata: dict[str, Any],
    session: requests.Session,
    open_browser: OpenBrowser,
) -> None:
    parameters, _ = authorization_request()
    pushed = push(session, metadata, {"request": signed(metadata, parameters)}).json()
    query = urlencode({"client_id": CLIENT_ID, "request_uri": pushed["request_uri"]})
    callback = open_browser(provider).cancel_sign_in(
        metadata["authorization_endpoint"] + "?" + query
    )
    assert dict(parse_qsl(urlsplit(callback).query))["error"] == "access_denied"


def test_it_refuses_a_request_that_was_not_pushed(
    metadata: dict[str, Any], session: requests.Session
) -> None:
    parameters, _ = authorization_request()
    front_channel = {"client_id": CLIENT_ID, "request": signed(metadata, parameters)}
    answer = session.get(
        metadata["authorization_endpoint"],
        params=front_channel,
        allow_redirects=False,
        timeout=10,
    )
    refusal = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert refusal["error"] == "invalid_request"
    assert refusal["error_description"] == "Pushed Authorization Request must be used"


def test_it_refuses_a_pushed_request_that_is_not_signed(
    provider: ProviderProcess, metadata: dict[str, Any], session: requests.Session
) -> None:
    parameters, _ = authorization_request()
    answer = push(session, metadata, parameters)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    (call,) = provider.calls()
    assert call.error is not None
    assert call.error["description"] == "Request Object must be used by this client"


def test_it_refuses_a_request_object_signed_with_another_key(
    metadata: dict[str, Any], session: requests.Session
) -> None:
    parameters, _ = authorization_request()
    another = ECKey.generate_key("P-256")
    answer = push(session, metadata, {"request": signed(metadata, parameters, key=another)})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_object")


def test_it_refuses_a_request_without_a_code_challenge(
    metadata: dict[str, Any], session: requests.Session
) -> None:
    parameters, _ = authorization_request()
    del parameters["code_challenge"], parameters["code_challenge_method"]
    answer = push(session, metadata, {"request": signed(metadata, parameters)})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_record_shows_duplicated_and_unknown_fields_as_they_came(
    provider: ProviderProcess, metadata: dict[str, Any], session: requests.Session
) -> None:
    body = [("client_id", CLIENT_ID), ("odd", "ä+ &="), ("scope", "a"), ("scope", "b")]
    session.post(metadata["pushed_authorization_request_endpoint"], data=body, timeout=10)
    (call,) = provider.calls("pushed_authorization_request")
    assert call.form == body


def test_https_is_out_of_reach_without_the_ca_bundle(
    oidc_provider: StartProvider, ca_bundle: Path
) -> None:
    provider = oidc_provider(clients=[], https=True)
    assert provider.ca_bundle == ca_bundle
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(provider.issuer + "/jwks", timeout=10)
