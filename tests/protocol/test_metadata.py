from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.metadata import ProviderMetadata, metadata_urls
from flask_parjar.protocol.urls import check_endpoint
from tests.protocol.examples import (
    ISSUER,
    REQUIRED_METADATA,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
NOT_NEEDED = ("userinfo_endpoint", "end_session_endpoint", "revocation_endpoint")
OPTIONAL_ENDPOINTS = ("pushed_authorization_request_endpoint", *NOT_NEEDED)
ENCRYPTION_LISTS = tuple(
    f"{kind}_encryption_{what}_values_supported"
    for kind in ("id_token", "userinfo", "request_object", "authorization")
    for what in ("alg", "enc")
)
LISTS = (
    "request_object_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "authorization_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "response_modes_supported",
    "dpop_signing_alg_values_supported",
    "authorization_details_types_supported",
)
FLAGS = (
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "tls_client_certificate_bound_access_tokens",
)
#: Lists that count as empty if they are missing or wrong.
OPTIONAL_STRINGS = ("acr_values_supported", "prompt_values_supported")


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


def test_only_the_required_members() -> None:
    assert dataclasses.asdict(parse()) == {
        **REQUIRED_METADATA,
        **dict.fromkeys(OPTIONAL_ENDPOINTS),
        **dict.fromkeys((*LISTS, *ENCRYPTION_LISTS)),
        **dict.fromkeys((*FLAGS, "claims_parameter_supported"), False),
        "request_parameter_supported": None,
        **dict.fromkeys(OPTIONAL_STRINGS, ()),
        "mtls_endpoint_aliases": {},
        "faulty_aliases": {},
        "ignored": (),
    }


def test_everything_that_is_read() -> None:
    document = {
        **REQUIRED_METADATA,
        **{name: f"{ISSUER}/{name}" for name in OPTIONAL_ENDPOINTS},
        **{name: ["a", "b"] for name in (*LISTS, *ENCRYPTION_LISTS)},
        **dict.fromkeys((*FLAGS, "claims_parameter_supported"), True),
        "request_parameter_supported": True,
        **{name: ["a", "b"] for name in OPTIONAL_STRINGS},
        "mtls_endpoint_aliases": {"token_endpoint": f"{ISSUER}:8443/token"},
    }
    parsed = ProviderMetadata.parse(
        {**document, "foo": [{}]}, expected_issuer=ISSUER, allow_http=False
    )
    assert dataclasses.asdict(parsed) == {
        **document,
        **{name: ("a", "b") for name in (*LISTS, *ENCRYPTION_LISTS, *OPTIONAL_STRINGS)},
        "faulty_aliases": {},
        "ignored": (),
    }


@pytest.mark.parametrize("value", [None, "true", 1, []])
def test_whether_signed_requests_are_taken_is_said_by_a_boolean_alone(value: object) -> None:
    assert parse(request_parameter_supported=value).request_parameter_supported is None


@pytest.mark.parametrize("name", OPTIONAL_ENDPOINTS + LISTS + ENCRYPTION_LISTS + FLAGS)
def test_null_is_silence(name: str) -> None:
    assert parse(**{name: None}) == parse()


@pytest.mark.parametrize("name", ENCRYPTION_LISTS)
@pytest.mark.parametrize("value", ["A256GCM", {}, [1]])
def test_a_wrong_list_about_encryption_counts_as_missing(name: str, value: object) -> None:
    parsed = parse(**{name: value})
    assert getattr(parsed, name) is None
    assert [each.split(":")[0] for each in parsed.ignored] == [name]


@pytest.mark.parametrize("name", [*LISTS, *ENCRYPTION_LISTS])
def test_null_in_a_list_is_left_out(name: str) -> None:
    assert getattr(parse(**{name: [None, "RS256"]}), name) == ("RS256",)
    assert getattr(parse(**{name: [None]}), name) == ()


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_no_silence(name: str) -> None:
    assert getattr(parse(**{name: []}), name) == ()


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", "https://OP.example", "", "https://evil.example"])
def test_the_issuer_is_compared_character_by_character(issuer: str) -> None:
    with refused(ProviderUnavailable, "metadata_issuer", f"{ISSUER!r}", f"{issuer!r}"):
        parse(issuer=issuer)


@pytest.mark.parametrize("issuer", [None, 1, [ISSUER], {}, True])
def test_the_issuer_is_a_string(issuer: object) -> None:
    with refused(ProviderUnavailable, "metadata_issuer", f"{ISSUER!r}", f"{str(issuer)!r}"):
        parse(issuer=issuer)


def test_the_issuer_is_demanded_and_shown_cut() -> None:
    with refused(ProviderUnavailable, "metadata_issuer", f"{ISSUER!r}", "'None'"):
        parse(without="issuer")
    with refused(ProviderUnavailable, "metadata_issuer", f"{ISSUER!r}", f"{'x' * 200!r}"):
        parse(issuer="x" * 201)


def test_an_issuer_that_is_a_template() -> None:
    """Its code tells the operator of PARJAR_TENANTS, unless a template was expected already."""
    template, other = (f"https://{name}.example/{{tenantid}}/v2.0" for name in ("login", "other"))
    with refused(ProviderUnavailable, "metadata_issuer_template", f"{ISSUER!r}", f"{template!r}"):
        parse(issuer=template)
    document = REQUIRED_METADATA | {"issuer": template}
    parsed = ProviderMetadata.parse(document, expected_issuer=template, allow_http=False)
    assert parsed.issuer == template
    for issuer in (other, ISSUER):
        with refused(ProviderUnavailable, "metadata_issuer", f"{template!r}", f"{issuer!r}"):
            ProviderMetadata.parse(
                document | {"issuer": issuer}, expected_issuer=template, allow_http=False
            )


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_that_is_required(name: str) -> None:
    for members in ({"without": name}, {name: None}):
        with refused(ProviderUnavailable, "metadata", name, "missing"):
            parse(**members)


no_good = pytest.mark.parametrize(
    "value",
    [
        "",
        5,
        [f"{ISSUER}/x"],
        False,
        "/token",
        "javascript:alert(1)",
        "http://op.example/x",
        "https://op.example/\n",
    ],
)


@pytest.mark.parametrize("name", [*ENDPOINTS, "pushed_authorization_request_endpoint"])
@no_good
def test_an_endpoint_that_is_no_good(name: str, value: object) -> None:
    with refused(ProviderUnavailable, "metadata", name):
        parse(**{name: value})


@pytest.mark.parametrize("name", NOT_NEEDED)
@no_good
def test_an_endpoint_that_no_login_needs_and_that_is_no_good(name: str, value: object) -> None:
    """It counts as missing, and is named to the operator."""
    parsed = parse(**{name: value})
    assert dataclasses.replace(parsed, ignored=()) == parse()
    (reason,) = parsed.ignored
    assert reason.startswith(f"{name}: ")


def test_all_that_is_wrong_is_named() -> None:
    wrong = {"jwks_uri": "", "end_session_endpoint": ""}
    wrong["require_pushed_authorization_requests"] = "yes"
    with refused(ProviderUnavailable, "metadata", *wrong):
        parse(**wrong)


@pytest.mark.parametrize("name", ENDPOINTS + OPTIONAL_ENDPOINTS)
def test_plain_http_where_it_is_allowed(name: str) -> None:
    url = "http://op.example/x"
    assert getattr(parse(allow_http=True, **{name: url}), name) == url


LOOPBACK = ("http://127.0.0.1:9000/x", "http://localhost/x", "HTTP://[::1]/x")


@pytest.mark.parametrize("name", ENDPOINTS + OPTIONAL_ENDPOINTS)
@pytest.mark.parametrize("url", LOOPBACK)
def test_plain_http_on_loopback_is_for_a_provider_on_loopback(name: str, url: str) -> None:
    if name in NOT_NEEDED:
        assert getattr(parse(**{name: url}), name) is None
    else:
        with refused(ProviderUnavailable, "metadata", name):
            parse(**{name: url})
    assert getattr(parse(allow_http=True, **{name: url}), name) == url
    for issuer in ("http://localhost:8000", "http://127.0.0.1", "https://[::1]:8443"):
        local = {**REQUIRED_METADATA, "issuer": issuer}
        found = ProviderMetadata.parse(
            {**local, name: url}, expected_issuer=issuer, allow_http=False
        )
        assert getattr(found, name) == url


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_provider_on_loopback_has_no_plain_http_elsewhere(name: str) -> None:
    issuer = "http://localhost:8000"
    document = {**REQUIRED_METADATA, "issuer": issuer, name: "http://op.example/x"}
    with refused(ProviderUnavailable, "metadata", name):
        ProviderMetadata.parse(document, expected_issuer=issuer, allow_http=False)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", ["RS256", 1, True, {}, {"RS256": 1}, ["RS256", 1], [[]]])
def test_a_list_is_a_list_of_strings(name: str, value: object) -> None:
    with refused(ProviderUnavailable, "metadata", name):
        parse(**{name: value})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["true", "false", 1, 0, [], {}])
def test_a_flag_is_true_or_false(name: str, value: object) -> None:
    with refused(ProviderUnavailable, "metadata", name, "true", "false"):
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
def test_any_document_is_read_or_has_one_error(document: dict[str, Any]) -> None:
    try:
        parsed = ProviderMetadata.parse(document, expected_issuer=ISSUER, allow_http=False)
    except ProviderUnavailable as error:
        assert error.error_code in ("metadata", "metadata_issuer")
        return
    assert parsed.issuer == ISSUER
    assert all(getattr(parsed, name).startswith("https://") for name in ENDPOINTS)


# Aliases for mutual TLS (RFC 8705 section 5).

ALIASED = (
    "token_endpoint",
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "revocation_endpoint",
)


def test_aliases_of_another_host_and_of_endpoints_that_we_do_not_call() -> None:
    """The example of RFC 8705 section 5, with userinfo and PAR beside it."""
    aliases = {name: f"https://mtls.other.example/{name}" for name in ALIASED}
    unknown = {
        "introspection_endpoint": "https://mtls.other.example/introspect",
        "authorization_endpoint": "https://mtls.other.example/authorize",
        "jwks_uri": 7,
        "x": {},
    }
    parsed = parse(mtls_endpoint_aliases={**aliases, **unknown})
    assert parsed.mtls_endpoint_aliases == aliases
    assert (parsed.faulty_aliases, parsed.ignored) == ({}, ())


@pytest.mark.parametrize("name", ALIASED)
@pytest.mark.parametrize(
    "url",
    ["http://mtls.op.example/", "http://127.0.0.1/", "javascript:x", 7, [], "", "https://a@b/"],
)
def test_an_alias_that_cannot_be_used(name: str, url: object) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        check_endpoint(url, allow_http=False, allow_loopback=False)
    parsed = parse(mtls_endpoint_aliases={name: url})
    assert parsed.mtls_endpoint_aliases == {}
    assert parsed.faulty_aliases == {name: str(caught.value)}


@pytest.mark.parametrize("aliases", [[], "x", 7, True])
def test_aliases_that_are_no_object(aliases: object) -> None:
    parsed = parse(mtls_endpoint_aliases=aliases)
    assert (parsed.mtls_endpoint_aliases, [*parsed.faulty_aliases]) == ({}, [*ALIASED])
    assert all("mtls_endpoint_aliases" in each for each in parsed.faulty_aliases.values())


@pytest.mark.parametrize("aliases", [None, {}, {"token_endpoint": None}])
def test_no_aliases(aliases: object) -> None:
    assert parse(mtls_endpoint_aliases=aliases) == parse()


def test_an_alias_with_plain_http_where_the_configuration_allows_it() -> None:
    aliases = {"token_endpoint": "http://mtls.op.example/token"}
    assert parse(allow_http=True, mtls_endpoint_aliases=aliases).mtls_endpoint_aliases == aliases
