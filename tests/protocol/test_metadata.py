from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import LoginError, ProviderUnavailable
from flask_parjar.protocol.algorithms import ASYMMETRIC_ALGORITHMS
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.keys import parse_shared_secret
from flask_parjar.protocol.metadata import (
    Agreement,
    ProviderMetadata,
    agree,
    metadata_urls,
)
from tests.protocol.examples import (
    ISSUER,
    REQUIRED_METADATA,
    make_client,
    make_metadata,
    refused,
    rsa_key_for,
    signing_key,
)
from tests.protocol.strangers import bounded, documents

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL_ENDPOINTS = (
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "end_session_endpoint",
    "revocation_endpoint",
)
LISTS = (
    "request_object_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "id_token_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "response_modes_supported",
)
FLAGS = (
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
)


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        (
            "https://op.example",
            "https://op.example/.well-known/openid-configuration",
            "https://op.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://op.example/",
            "https://op.example/.well-known/openid-configuration",
            "https://op.example/.well-known/oauth-authorization-server",
        ),
        (
            # the example of RFC 8414 section 3.1
            "https://example.com/issuer1",
            "https://example.com/issuer1/.well-known/openid-configuration",
            "https://example.com/.well-known/oauth-authorization-server/issuer1",
        ),
        (
            "http://localhost:9000/a/b/",
            "http://localhost:9000/a/b/.well-known/openid-configuration",
            "http://localhost:9000/.well-known/oauth-authorization-server/a/b",
        ),
        (
            "https://op.example/tenantX/",
            "https://op.example/tenantX/.well-known/openid-configuration",
            "https://op.example/.well-known/oauth-authorization-server/tenantX",
        ),
    ],
)
def test_where_metadata_lies(issuer: str, openid: str, oauth: str) -> None:
    assert metadata_urls(issuer) == (openid, oauth)


# Reading it.


def parse(without: str = "", *, allow_http: bool = False, **members: Any) -> ProviderMetadata:
    document = {
        name: value for name, value in (REQUIRED_METADATA | members).items() if name != without
    }
    return ProviderMetadata.parse(document, expected_issuer=ISSUER, allow_http=allow_http)


def test_what_is_required_and_nothing_else() -> None:
    assert dataclasses.asdict(parse()) == {
        **REQUIRED_METADATA,
        **dict.fromkeys(OPTIONAL_ENDPOINTS),
        **dict.fromkeys(LISTS),
        **dict.fromkeys(FLAGS, False),
    }


def test_everything_that_is_read() -> None:
    document = {
        **REQUIRED_METADATA,
        **{name: f"{ISSUER}/{name}" for name in OPTIONAL_ENDPOINTS},
        **{name: ["a", "b"] for name in LISTS},
        **dict.fromkeys(FLAGS, True),
    }
    parsed = ProviderMetadata.parse(
        {**document, "foo": [{}]}, expected_issuer=ISSUER, allow_http=False
    )
    assert dataclasses.asdict(parsed) == {**document, **{name: ("a", "b") for name in LISTS}}


@pytest.mark.parametrize("name", OPTIONAL_ENDPOINTS + LISTS + FLAGS)
def test_null_is_silence(name: str) -> None:
    assert parse(**{name: None}) == parse()


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_no_silence(name: str) -> None:
    assert getattr(parse(**{name: []}), name) == ()


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", "https://OP.example", "", "https://evil.example"])
def test_the_issuer_is_compared_character_by_character(issuer: str) -> None:
    with refused(ProviderUnavailable, "metadata_issuer", f"expected {ISSUER!r}, found {issuer!r}"):
        parse(issuer=issuer)


@pytest.mark.parametrize("issuer", [None, 1, [ISSUER], {}, True])
def test_the_issuer_is_a_string(issuer: object) -> None:
    with refused(
        ProviderUnavailable, "metadata_issuer", f"expected {ISSUER!r}, found {str(issuer)!r}"
    ):
        parse(issuer=issuer)


def test_the_issuer_is_demanded_and_shown_cut() -> None:
    with refused(ProviderUnavailable, "metadata_issuer", f"expected {ISSUER!r}, found 'None'"):
        parse(without="issuer")
    with refused(
        ProviderUnavailable, "metadata_issuer", f"expected {ISSUER!r}, found {'x' * 200!r}"
    ):
        parse(issuer="x" * 201)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_that_is_required(name: str) -> None:
    for members in ({"without": name}, {name: None}):
        with refused(ProviderUnavailable, "metadata", f"{name}: not a URL"):
            parse(**members)


@pytest.mark.parametrize("name", ENDPOINTS + OPTIONAL_ENDPOINTS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "not a URL"),
        (5, "not a URL"),
        ([f"{ISSUER}/x"], "not a URL"),
        (False, "not a URL"),
        ("/token", "not an https:// URL"),
        ("javascript:alert(1)", "not an https:// URL"),
        ("http://op.example/x", "plain http is accepted on loopback only"),
        ("https://op.example/\n", "it holds a character that no URL has"),
    ],
)
def test_an_endpoint_that_is_no_good(name: str, value: object, reason: str) -> None:
    with refused(ProviderUnavailable, "metadata", f"{name}: {reason}"):
        parse(**{name: value})


@pytest.mark.parametrize("name", ENDPOINTS + OPTIONAL_ENDPOINTS)
def test_plain_http_where_it_is_allowed(name: str) -> None:
    url = "http://op.example/x"
    assert getattr(parse(allow_http=True, **{name: url}), name) == url


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", ["RS256", 1, True, {}, {"RS256": 1}, ["RS256", 1], [None], [[]]])
def test_a_list_is_a_list_of_strings(name: str, value: object) -> None:
    with refused(ProviderUnavailable, "metadata", f"{name}: not a list of strings"):
        parse(**{name: value})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["true", "false", 1, 0, [], {}])
def test_a_flag_is_true_or_false(name: str, value: object) -> None:
    with refused(ProviderUnavailable, "metadata", f"{name}: not true or false"):
        parse(**{name: value})


@bounded
@given(
    documents(
        REQUIRED_METADATA
        | {name: f"{ISSUER}/{name}" for name in OPTIONAL_ENDPOINTS}
        | {name: ["x"] for name in LISTS}
        | dict.fromkeys(FLAGS, True)
    )
)
def test_a_document_of_a_stranger_has_one_error(document: dict[str, Any]) -> None:
    try:
        parsed = ProviderMetadata.parse(document, expected_issuer=ISSUER, allow_http=False)
    except ProviderUnavailable as error:
        assert error.code in ("metadata", "metadata_issuer")
        return
    assert parsed.issuer == ISSUER
    assert all(getattr(parsed, name).startswith("https://") for name in ENDPOINTS)


# Agreeing.

CLIENT = make_client(signing_keys=(signing_key("ES256"),))


def test_the_usual_agreement() -> None:
    assert agree(make_metadata(), CLIENT) == Agreement(
        pushed=True,
        request_object_alg="ES256",
        client_auth="private_key_jwt",
        client_assertion_alg="ES256",
        id_token_algs=("RS256",),
    )


@pytest.mark.parametrize("challenges", [["S256"], ["plain", "S256"], None])
def test_pkce(challenges: list[str] | None) -> None:
    assert agree(make_metadata(code_challenge_methods_supported=challenges), CLIENT)


@pytest.mark.parametrize("challenges", [[], ["plain"], ["s256"]])
def test_no_pkce(challenges: list[str]) -> None:
    with refused(LoginError, "pkce_unsupported", f"listed: {challenges}"):
        agree(make_metadata(code_challenge_methods_supported=challenges), CLIENT)


@pytest.mark.parametrize(
    ("mode", "modes"),
    [
        (None, None),
        (None, []),
        (None, ["fragment"]),
        ("query", None),
        ("form_post", None),
        ("form_post", ["query", "form_post"]),
    ],
)
def test_response_mode(mode: str | None, modes: list[str] | None) -> None:
    client = dataclasses.replace(CLIENT, response_mode=mode)
    assert agree(make_metadata(response_modes_supported=modes), client)


@pytest.mark.parametrize(
    ("mode", "modes", "listed"),
    [
        ("form_post", ["query"], ["query"]),
        ("query", [], []),
        ("jwt", None, ["query", "form_post"]),
    ],
)
def test_no_response_mode(mode: str, modes: list[str] | None, listed: list[str]) -> None:
    client = dataclasses.replace(CLIENT, response_mode=mode)
    with refused(LoginError, "response_mode_unsupported", f"listed: {listed}"):
        agree(make_metadata(response_modes_supported=modes), client)


def test_userinfo() -> None:
    client = dataclasses.replace(CLIENT, userinfo=True)
    assert agree(make_metadata(userinfo_endpoint=f"{ISSUER}/userinfo"), client)
    assert agree(make_metadata(), CLIENT)
    with refused(LoginError, "userinfo_unsupported"):
        agree(make_metadata(), client)


@pytest.mark.parametrize(
    ("endpoint", "required", "insecure", "outcome"),
    [
        (True, False, False, True),
        (True, True, False, True),
        (True, False, True, False),
        (True, True, True, "par_required"),
        (False, False, False, "par_unsupported"),
        (False, True, False, "par_unsupported"),
        (False, False, True, False),
        (False, True, True, "par_required"),
    ],
)
def test_pushed_or_not(endpoint: bool, required: bool, insecure: bool, outcome: bool | str) -> None:
    metadata = make_metadata(
        pushed_authorization_request_endpoint=f"{ISSUER}/par" if endpoint else None,
        require_pushed_authorization_requests=required,
    )
    client = dataclasses.replace(CLIENT, insecure_unpushed_request=insecure)
    if isinstance(outcome, bool):
        assert agree(metadata, client).pushed is outcome
    else:
        detail = f"issuer {ISSUER}" if outcome == "par_unsupported" else ""
        with refused(LoginError, outcome, detail):
            agree(metadata, client)


@pytest.mark.parametrize(
    ("required", "insecure", "outcome"),
    [
        (False, False, "ES256"),
        (True, False, "ES256"),
        (False, True, None),
        (True, True, "jar_required"),
    ],
)
def test_signed_or_not(required: bool, insecure: bool, outcome: str | None) -> None:
    metadata = make_metadata(require_signed_request_object=required)
    client = dataclasses.replace(CLIENT, insecure_unsigned_request=insecure)
    if outcome != "jar_required":
        assert agree(metadata, client).request_object_alg == outcome
    else:
        with refused(LoginError, "jar_required"):
            agree(metadata, client)


def test_unsigned_requests_need_no_key() -> None:
    client = make_client(client_secret="secret", insecure_unsigned_request=True)
    assert agree(make_metadata(), client) == Agreement(
        pushed=True,
        request_object_alg=None,
        client_auth="client_secret_basic",
        client_assertion_alg=None,
        id_token_algs=("RS256",),
    )


@pytest.mark.parametrize(
    ("key", "listed", "pinned", "chosen"),
    [
        ("RS256", None, None, "RS256"),
        ("RS256", ["RS256", "PS256"], None, "PS256"),
        ("RS256", ["RS256", "PS256"], "RS256", "RS256"),
        ("ES256", ["RS256", "ES256"], None, "ES256"),
        ("Ed25519", ["EdDSA"], None, "EdDSA"),
    ],
)
def test_the_algorithm_of_the_request_object(
    key: str, listed: list[str] | None, pinned: str | None, chosen: str
) -> None:
    client = make_client(signing_keys=(signing_key(key),), signing_alg=pinned)
    metadata = make_metadata(request_object_signing_alg_values_supported=listed)
    assert agree(metadata, client).request_object_alg == chosen


@pytest.mark.parametrize(
    ("listed", "pinned"),
    [
        (["RS256", "PS256"], None),
        ([], None),
        (["none"], None),
        (["ES256"], "RS256"),
        (None, "RS256"),
    ],
)
def test_no_algorithm_for_the_request_object(listed: list[str] | None, pinned: str | None) -> None:
    client = dataclasses.replace(CLIENT, signing_alg=pinned)
    detail = (
        f"our EC key signs ES256; PARJAR_SIGNING_ALG is {pinned}; the provider lists {listed or []}"
    )
    with refused(LoginError, "signing_alg_unsupported", detail):
        agree(make_metadata(request_object_signing_alg_values_supported=listed), client)


def test_an_rsa_key_says_all_that_it_can() -> None:
    client = make_client(signing_keys=(signing_key("RS256"),))
    detail = (
        "our RSA key signs PS256, RS256, PS384, RS384, PS512, RS512; PARJAR_SIGNING_ALG is None; "
        "the provider lists ['ES256']"
    )
    with refused(LoginError, "signing_alg_unsupported", detail):
        agree(make_metadata(request_object_signing_alg_values_supported=["ES256"]), client)


def test_the_first_key_signs() -> None:
    client = make_client(signing_keys=(signing_key("ES384"), signing_key("ES256")))
    assert agree(make_metadata(), client).request_object_alg == "ES384"


SECRET = {"client_secret": "secret"}
SECRET_KEY = parse_shared_secret("a client secret of more than 32 bytes")


@pytest.mark.parametrize(
    ("fields", "methods", "chosen"),
    [
        ({}, None, "private_key_jwt"),
        ({}, ["client_secret_basic", "private_key_jwt"], "private_key_jwt"),
        (SECRET, None, "client_secret_basic"),
        (SECRET, ["client_secret_post", "client_secret_basic"], "client_secret_basic"),
        (SECRET, ["client_secret_post"], "client_secret_post"),
        ({**SECRET, "client_auth": "client_secret_post"}, None, "client_secret_post"),
        ({**SECRET, "client_auth": "private_key_jwt"}, None, "private_key_jwt"),
        ({"client_auth": "none"}, ["none"], "none"),
        ({"client_auth": "none"}, None, "none"),
    ],
)
def test_client_authentication(
    fields: dict[str, Any], methods: list[str] | None, chosen: str
) -> None:
    client = dataclasses.replace(CLIENT, **fields)
    agreement = agree(make_metadata(token_endpoint_auth_methods_supported=methods), client)
    assert agreement.client_auth == chosen
    assert agreement.client_assertion_alg == ("ES256" if chosen == "private_key_jwt" else None)


@pytest.mark.parametrize(
    ("fields", "methods", "ours"),
    [
        ({}, ["client_secret_basic"], "private_key_jwt"),
        ({}, [], "private_key_jwt"),
        (SECRET, ["private_key_jwt"], "client_secret_basic, client_secret_post"),
        ({**SECRET, "client_auth": "client_secret_post"}, ["client_secret_basic"], None),
        ({"client_auth": "none"}, ["private_key_jwt"], "none"),
    ],
)
def test_no_client_authentication(
    fields: dict[str, Any], methods: list[str], ours: str | None
) -> None:
    client = dataclasses.replace(CLIENT, **fields)
    detail = f"ours: {ours or 'client_secret_post'}; the provider's: {methods}"
    with refused(LoginError, "client_auth_unsupported", detail):
        agree(make_metadata(token_endpoint_auth_methods_supported=methods), client)


def assertion_alg(client: ClientConfig, listed: list[str] | None) -> str | None:
    metadata = make_metadata(token_endpoint_auth_signing_alg_values_supported=listed)
    return agree(metadata, client).client_assertion_alg


def test_the_algorithm_of_the_assertion() -> None:
    rsa = make_client(signing_keys=(signing_key("RS256"),))
    assert assertion_alg(rsa, None) == "RS256"
    assert assertion_alg(rsa, ["RS256", "PS256"]) == "PS256"
    pinned = dataclasses.replace(rsa, signing_alg="RS512")
    assert assertion_alg(pinned, None) == "RS512"
    assert assertion_alg(pinned, ["RS256", "RS512"]) == "RS512"


def test_the_assertion_may_have_a_key_of_its_own() -> None:
    """PARJAR_SIGNING_ALG pins it only where that key can sign so."""
    client = make_client(
        signing_keys=(signing_key("RS256"),),
        assertion_keys=(signing_key("ES256"),),
        signing_alg="RS256",
    )
    assert assertion_alg(client, None) == "ES256"
    assert agree(make_metadata(), client).request_object_alg == "RS256"


def test_the_assertion_of_a_shared_secret() -> None:
    client = dataclasses.replace(
        CLIENT, client_auth="client_secret_jwt", client_secret="s", secret_key=SECRET_KEY
    )
    assert agree(make_metadata(), client).client_auth == "client_secret_jwt"
    assert assertion_alg(client, None) == "HS256"
    assert assertion_alg(client, ["RS256", "HS512"]) == "HS512"


@pytest.mark.parametrize("listed", [[], ["RS256"], ["HS256"]])
def test_no_algorithm_for_the_assertion(listed: list[str]) -> None:
    detail = (
        f"private_key_jwt: our key signs ES256; the provider lists {listed} for client assertions"
    )
    with refused(LoginError, "client_auth_unsupported", detail):
        assertion_alg(CLIENT, listed)


def test_a_pinned_algorithm_is_not_exchanged_for_another() -> None:
    client = make_client(signing_keys=(signing_key("RS256"),), signing_alg="RS512")
    detail = (
        "private_key_jwt: our key signs PS256, RS256, PS384, RS384, PS512, RS512; "
        "the provider lists ['RS256'] for client assertions"
    )
    with refused(LoginError, "client_auth_unsupported", detail):
        assertion_alg(client, ["RS256"])


def test_a_key_whose_own_alg_the_provider_does_not_take() -> None:
    client = make_client(
        signing_keys=(signing_key("ES256"),), assertion_keys=(rsa_key_for("PS512"),)
    )
    detail = (
        "private_key_jwt: our key signs PS512; the provider lists ['PS256'] for client assertions"
    )
    with refused(LoginError, "client_auth_unsupported", detail):
        assertion_alg(client, ["PS256"])


@pytest.mark.parametrize(
    ("listed", "ours", "agreed"),
    [
        (None, None, ("RS256",)),
        (None, ("ES256",), ("ES256",)),
        (["ES256", "RS256"], None, ("RS256", "ES256")),
        (["HS256", "none", "ES256"], None, ("ES256",)),
        (list(ASYMMETRIC_ALGORITHMS), None, ASYMMETRIC_ALGORITHMS),
        (["RS256", "ES256"], ("ES256",), ("ES256",)),
        (["RS256", "ES256"], ("PS256", "ES256", "RS256"), ("ES256", "RS256")),
    ],
)
def test_the_algorithms_of_the_id_token(
    listed: list[str] | None, ours: tuple[str, ...] | None, agreed: tuple[str, ...]
) -> None:
    client = dataclasses.replace(CLIENT, id_token_algs=ours)
    metadata = make_metadata(id_token_signing_alg_values_supported=listed)
    assert agree(metadata, client).id_token_algs == agreed


@pytest.mark.parametrize(
    ("listed", "ours"),
    [([], None), (["HS256", "none"], None), (["RS256"], ("ES256",)), ([], ("ES256",))],
)
def test_no_algorithm_for_the_id_token(listed: list[str], ours: tuple[str, ...] | None) -> None:
    client = dataclasses.replace(CLIENT, id_token_algs=ours)
    with refused(LoginError, "id_token_alg_unsupported", f"listed: {listed}"):
        agree(make_metadata(id_token_signing_alg_values_supported=listed), client)
