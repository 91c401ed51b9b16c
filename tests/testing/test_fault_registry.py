"""Misbehaving on demand: each fault spoils what it says and nothing else, and heals."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from flask_parjar.testing import FAULTS, DevProvider, Fault
from tests.testing.hand_made_client import NOW, SECRET, HandMadeClient, response

PLACES = {
    "metadata": {"metadata", "metadata_oauth"},
    "jwks": {"jwks"},
    "par": {"par"},
    "response": {"response"},
    "token": {"token"},
    "id_token": {"token"},
    "userinfo": {"userinfo"},
}
#: Faults that are seen at fewer places than their seam has, and why.
NARROWER = {"metadata_openid_404": {"metadata"}}
_RANDOM = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")


@pytest.fixture(scope="module")
def client() -> HandMadeClient:
    return HandMadeClient(DevProvider("https://op.example", now=lambda: NOW))


def seen(answer: requests.Response) -> dict[str, Any]:
    """What a client sees of an answer; of a flood, the beginning."""
    body = answer.raw.read(1_500_000)
    answer.close()
    headers = ("Content-Type", "Location", "Retry-After")
    return {
        "status": answer.status_code,
        "headers": [answer.headers.get(name) for name in headers],
        "body": body.decode(errors="backslashreplace"),
    }


def without_randomness(
    client: HandMadeClient, answer: dict[str, Any], jwks: list[dict[str, Any]]
) -> dict[str, Any]:
    """The same, with whatever is new each time put away, and the ID token taken apart."""
    try:
        token = json.loads(answer["body"])["id_token"]
        header, payload, _ = (base64.urlsafe_b64decode(p + "===") for p in token.split("."))
        try:
            client.verify(token, jwks)
            proof = "holds"
        except (AssertionError, KeyError, RecursionError, TypeError, ValueError) as exc:
            proof = f"fails: {type(exc).__name__}"
        decoded = payload.decode(errors="backslashreplace")
        decoded = re.sub(r'"(at_hash|sid)": "[^"]{22}"', r'"\1": "?"', decoded)
        if '"at_hash": "LDktKdoQak3Pk0cnXxCltA"' in payload.decode(errors="ignore"):
            decoded += " of another access token"
        answer["id_token"] = (header.decode(), decoded, proof)
        answer["body"] = answer["body"].replace(token, "?")
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    answer["body"] = _RANDOM.sub("?", answer["body"])
    return answer


def observe(client: HandMadeClient, access_token: str, fault: str | None = None) -> dict[str, Any]:
    """Everything that leaves the provider, with or without a fault."""
    provider = client.provider
    url, code = client.start(), client.code()
    jwks = client.jwks()
    client.http.stream = True
    if fault is not None:
        provider.fault(fault)
    try:
        well_known = "https://op.example/.well-known/"
        back = urlsplit(provider.sign_in(url))
        return {
            "metadata": seen(client.http.get(well_known + "openid-configuration")),
            "metadata_oauth": seen(client.http.get(well_known + "oauth-authorization-server")),
            "jwks": seen(client.http.get("https://op.example/jwks.json")),
            "par": without_randomness(client, seen(client.push()), jwks),
            "response": [
                (name, _RANDOM.sub("?", value))
                for name, value in parse_qsl(back.query, keep_blank_values=True)
            ],
            "token": without_randomness(client, seen(client.redeem(code)), jwks),
            "userinfo": seen(client.userinfo(access_token)),
        }
    finally:
        provider.heal()
        client.http.stream = False


@pytest.fixture(scope="module")
def access_token(client: HandMadeClient) -> str:
    return str(client.tokens()["access_token"])


@pytest.fixture(scope="module")
def healthy(client: HandMadeClient, access_token: str) -> dict[str, Any]:
    first = observe(client, access_token)
    assert observe(client, access_token) == first, "nothing random is left"
    return first


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_spoils_its_place_and_nothing_else(
    client: HandMadeClient, access_token: str, healthy: dict[str, Any], name: str
) -> None:
    spoilt = observe(client, access_token, name)
    expected = set().union(*(PLACES[seam] for seam, _ in FAULTS[name].acts))
    assert {p for p in healthy if healthy[p] != spoilt[p]} == NARROWER.get(name, expected)


def test_everything_is_well_after_all_that(
    client: HandMadeClient, access_token: str, healthy: dict[str, Any]
) -> None:
    assert observe(client, access_token) == healthy


@pytest.mark.parametrize("fault", FAULTS.values(), ids=str)
def test_a_fault_is_named_by_its_place_and_says_what_it_does(fault: Fault) -> None:
    first_seam, _ = fault.acts[0]
    # The ID token is lost at the token endpoint, and belongs to the ID token's faults all the same.
    assert fault.name.startswith((f"{first_seam}_", "id_token_"))
    assert fault.summary.endswith(".")
    assert "\n" not in fault.summary
    assert fault.oidf is None or "client-test-" in fault.oidf


def test_what_the_first_issues_ask_for_is_there() -> None:
    assert len(FAULTS) > 150
    modules = {fault.oidf for fault in FAULTS.values()} - {None}
    assert len(modules) > 20


def test_an_unknown_fault(provider: DevProvider) -> None:
    with pytest.raises(ValueError, match="no fault is called 'id_token_aud_foriegn'") as error:
        provider.fault("id_token_aud_foriegn")
    assert "Did you mean 'id_token_aud_foreign'?" in str(error.value)
    for name in FAULTS:
        assert name in str(error.value)
    with pytest.raises(ValueError, match="'xyzzy'. There are: id_token_acr_missing, "):
        provider.fault("xyzzy")


def pushes(client: HandMadeClient, count: int) -> list[int]:
    return [client.push().status_code for _ in range(count)]


def test_a_fault_in_a_block(client: HandMadeClient) -> None:
    with client.provider.fault("par_500") as fault:
        assert pushes(client, 2) == [500, 500]
        assert (fault.fault.name, fault.acted) == ("par_500", 2)
        with client.provider.fault("par_500"):
            assert pushes(client, 1) == [500]
        assert pushes(client, 1) == [500], "the outer one is still on"
    assert pushes(client, 1) == [201]


def test_a_fault_that_heals_by_itself(client: HandMadeClient) -> None:
    with client.provider.fault("par_503_once"):
        assert pushes(client, 3) == [503, 201, 201]
    with client.provider.fault("par_503", times=2) as fault:
        assert pushes(client, 3) == [503, 503, 201]
        assert fault.acted == 2


def test_healing_by_name(client: HandMadeClient) -> None:
    client.provider.fault("par_500")
    client.provider.fault("userinfo_500")
    client.provider.heal("par_500")
    assert pushes(client, 1) == [201]
    assert client.userinfo(client.tokens()["access_token"]).status_code == 500
    client.provider.heal()
    assert client.userinfo(client.tokens()["access_token"]).status_code == 200


def test_a_fault_does_not_hide_what_the_client_did_wrong(client: HandMadeClient) -> None:
    with client.provider.fault("par_html") as fault:
        assert client.push(client.request(aud="x")).json()["error"] == "invalid_request_object"
        assert fault.acted == 0


def test_two_faults_at_once(client: HandMadeClient) -> None:
    with (
        client.provider.fault("id_token_nonce_missing"),
        client.provider.fault("id_token_sub_empty"),
    ):
        claims = client.verify(client.tokens()["id_token"])[1]
    assert claims["sub"] == ""
    assert "nonce" not in claims


def test_faults_belong_to_one_provider(client: HandMadeClient) -> None:
    other = HandMadeClient(DevProvider("https://other.example", now=lambda: NOW))
    with client.provider.fault("par_500"):
        assert pushes(other, 1) == [201]


@pytest.fixture(scope="module", params=["RS256", "EdDSA"])
def other_client(request: pytest.FixtureRequest) -> HandMadeClient:
    """One whose ID tokens are signed otherwise than by default."""
    return HandMadeClient(
        DevProvider("https://op.example", now=lambda: NOW),
        id_token_signed_response_alg=request.param,
        method="client_secret_basic",
    )


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if fault.acts[0][0] == "id_token"]
)
def test_id_token_faults_do_not_depend_on_the_algorithm(
    other_client: HandMadeClient, name: str
) -> None:
    with other_client.provider.fault(name) as fault:
        assert other_client.tokens(scope="openid")["id_token"]
        assert fault.acted == 1


def test_hs256_with_the_clients_secret_is_really_that() -> None:
    import hashlib
    import hmac

    provider = DevProvider("https://op.example", now=lambda: NOW)
    client = HandMadeClient(provider, method="client_secret_basic")
    with provider.fault("id_token_hs256_with_client_secret"):
        token = client.tokens()["id_token"]
    signing_input, _, signature = token.rpartition(".")
    expected = hmac.digest(SECRET.encode(), signing_input.encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(signature + "=") == expected


def test_slash_faults_also_take_a_slash_away() -> None:
    client = HandMadeClient(DevProvider("https://op.example/", now=lambda: NOW))
    with client.provider.fault("id_token_iss_slash"):
        claims = client.verify(client.tokens()["id_token"])[1]
    assert claims["iss"] == "https://op.example"
    with client.provider.fault("metadata_issuer_slash"):
        document = client.http.get("https://op.example/.well-known/openid-configuration").json()
    assert document["issuer"] == "https://op.example"


def test_spoilt_key_sets_also_when_there_are_no_keys(client: HandMadeClient) -> None:
    with client.provider.fault("jwks_not_a_list"), client.provider.fault("jwks_use_enc"):
        assert client.http.get("https://op.example/jwks.json").json() == {"keys": []}


def test_a_member_can_be_changed_only_where_there_are_members(client: HandMadeClient) -> None:
    with client.provider.fault("par_not_an_object"), client.provider.fault("par_expires_in_zero"):
        assert client.push().json() == {"expires_in": 0}


def test_an_error_keeps_state_and_issuer(client: HandMadeClient) -> None:
    with client.provider.fault("response_error_access_denied"):
        back = response(client.provider.sign_in(client.start()))
    assert back["error"] == "access_denied"
    assert (back["state"], back["iss"]) == ("the-state", "https://op.example")


def test_a_request_uri_that_nobody_knows(client: HandMadeClient) -> None:
    from flask_parjar.testing import Stopped

    with client.provider.fault("par_request_uri_unknown"):
        url = client.start()
    with pytest.raises(Stopped, match="request_uri is not known"):
        client.provider.sign_in(url)
