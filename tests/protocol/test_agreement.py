"""What client and provider agree on; and where they do not, why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from flask_parjar.error_codes import CODES
from flask_parjar.protocol.agreement import (
    Agreement,
    Disagreement,
    RequestSigning,
    agree,
    negotiate_userinfo_algs,
)
from flask_parjar.protocol.algorithms import ASYMMETRIC_ALGORITHMS
from flask_parjar.protocol.binding import begin_bearer
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.client_auth import (
    ClientAssertion,
    FormerKey,
    GivenAssertion,
    PublicClient,
    SecretInBody,
    SecretInHeader,
)
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.jwe import (
    Decryption,
    Encryption,
    RequestEncryption,
    parse_decryption_keys,
)
from flask_parjar.protocol.keys import parse_shared_secret
from flask_parjar.protocol.metadata import ProviderMetadata
from flask_parjar.protocol.mutual_tls import CertificateAuth, CertificateBinding
from flask_parjar.protocol.profiles import OPENID_CONNECT
from flask_parjar.protocol.request_level import REQUEST_LEVELS
from tests.protocol.examples import (
    CLIENT_ID,
    ENDPOINTS,
    ISSUER,
    P384_JWK,
    make_client,
    make_metadata,
    rsa_key_for,
    signing_key,
)

CLIENT = make_client(signing_keys=(signing_key("ES256"),))


class Disagreed(Exception):
    """What `agreed` raises where there is no agreement."""


def agreed(client: ClientConfig, metadata: ProviderMetadata) -> Agreement:
    found = agree(client, metadata, OPENID_CONNECT)
    if isinstance(found, tuple):
        raise Disagreed(*found)
    return found


@contextmanager
def disagreed(code: str, *values: str) -> Generator[None, None, None]:
    """Expect this to be the first thing that there is no agreement on.

    :param values: what the operator finds in the detail
    """
    with pytest.raises(Disagreed) as caught:
        yield
    first = caught.value.args[0]
    assert first.code == code
    assert [value for value in values if value not in first.detail] == []


def request_alg(agreement: Agreement) -> str | None:
    return agreement.request_signing.alg if agreement.request_signing else None


def test_the_usual_agreement() -> None:
    assert agreed(CLIENT, make_metadata()) == Agreement(
        issuer=ISSUER,
        client_id=CLIENT_ID,
        endpoints=ENDPOINTS,
        request_signing=RequestSigning(
            key=CLIENT.signing_keys[0],
            alg="ES256",
            announced=False,
            audience=ISSUER,
            lifetime=600,
        ),
        request_encryption=None,
        client_auth=ClientAssertion(
            client_id=CLIENT_ID,
            key=CLIENT.signing_keys[0],
            alg="ES256",
            audience=ISSUER,
            typ="JWT",
        ),
        begin_binding=begin_bearer,
        pkce=True,
        id_token_algs=("RS256",),
        userinfo_algs=("RS256",),
        id_token_decryption=None,
        userinfo_decryption=None,
        response_mode=None,
        https_redirect_uri=False,
        response_algs=(),
        response_decryption=None,
        iss_required=False,
        claims_parameter=False,
        acr_values=(),
        other_account_prompt="login",
        details_types=None,
        authorization_params={},
        trusted_audiences=(),
        fetch_userinfo=False,
        clock_skew=60,
    )


def test_fields_that_are_copied_from_the_configuration_or_the_metadata() -> None:
    client = dataclasses.replace(
        CLIENT,
        response_mode="form_post",
        userinfo=True,
        authorization_params={"audience": "a"},
        trusted_audiences=("https://api.example",),
        tenants=frozenset({"t1", "t2"}),
        clock_skew=5,
    )
    agreement = agreed(
        client,
        make_metadata(
            response_modes_supported=["form_post"],
            userinfo_endpoint=f"{ISSUER}/userinfo",
            revocation_endpoint=f"{ISSUER}/revoke",
            end_session_endpoint=f"{ISSUER}/end",
            authorization_response_iss_parameter_supported=True,
            authorization_details_types_supported=["payment", "account"],
        ),
    )
    assert agreement.endpoints == dataclasses.replace(
        ENDPOINTS,
        userinfo=f"{ISSUER}/userinfo",
        revocation=f"{ISSUER}/revoke",
        end_session=f"{ISSUER}/end",
    )
    assert (agreement.response_mode, agreement.fetch_userinfo) == ("form_post", True)
    assert agreement.authorization_params == {"audience": "a"}
    assert agreement.trusted_audiences == ("https://api.example",)
    assert agreement.tenants == {"t1", "t2"}
    assert agreement.details_types == ("payment", "account")
    assert (agreement.clock_skew, agreement.iss_required) == (5, True)


def test_a_provider_s_logout_url_is_left_out_where_logouts_stay_here() -> None:
    metadata = make_metadata(end_session_endpoint=f"{ISSUER}/end")
    client = dataclasses.replace(CLIENT, provider_logout=False)
    assert agreed(client, metadata).endpoints.end_session is None


def test_nothing_secret_is_printed() -> None:
    client = dataclasses.replace(CLIENT, client_secret="hunter2", client_auth="client_secret_post")
    printed = repr(agreed(client, make_metadata()))
    assert "hunter2" not in printed and "SigningKey" not in printed


def test_everything_that_stands_against_an_agreement_is_reported() -> None:
    """In one order: the first is what a login ends with."""
    client = dataclasses.replace(CLIENT, response_mode="form_post", userinfo=True)
    metadata = make_metadata(
        code_challenge_methods_supported=["plain"],
        response_modes_supported=["query"],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        pushed_authorization_request_endpoint=None,
        request_object_signing_alg_values_supported=["PS256"],
        id_token_signing_alg_values_supported=["HS256"],
    )
    disagreements = agree(client, metadata, OPENID_CONNECT)
    assert isinstance(disagreements, tuple)
    assert [each.code for each in disagreements] == [
        "pkce_unsupported",
        "response_mode_unsupported",
        "userinfo_unsupported",
        "client_auth_unsupported",
        "par_unsupported",
        "signing_alg_unsupported",
        "id_token_alg_unsupported",
    ]
    assert all(each.code in CODES for each in disagreements)
    assert all(isinstance(each, Disagreement) for each in disagreements)
    assert "['plain']" in disagreements[0].detail


def test_one_field_does_not_hide_another() -> None:
    metadata = make_metadata(
        code_challenge_methods_supported=["plain"], id_token_signing_alg_values_supported=[]
    )
    disagreements = agree(CLIENT, metadata, OPENID_CONNECT)
    assert isinstance(disagreements, tuple)
    codes = [each.code for each in disagreements]
    assert codes == ["pkce_unsupported", "id_token_alg_unsupported"]


def test_the_profile_says_what_an_unlisted_algorithm_means() -> None:
    profile = dataclasses.replace(
        OPENID_CONNECT, unlisted_algs={**OPENID_CONNECT.unlisted_algs, "RSA": "PS256"}
    )
    client = make_client(signing_keys=(signing_key("RS256"),))
    agreement = agree(client, make_metadata(), profile)
    assert isinstance(agreement, Agreement)
    assert request_alg(agreement) == "PS256"
    assert isinstance(agreement.client_auth, ClientAssertion)
    assert agreement.client_auth.alg == "PS256"


@pytest.mark.parametrize(
    ("name", "fields"),
    [("RS256", {"signing_alg": "RS256"}), ("ES256", {}), ("EdDSA", {"signing_alg": "EdDSA"})],
)
def test_no_key_signs_what_the_profile_does_not_permit(name: str, fields: dict[str, Any]) -> None:
    """Not even where the configuration names it and the provider lists nothing."""
    profile = dataclasses.replace(OPENID_CONNECT, algs=OPENID_CONNECT.algs - {name})
    client = make_client(signing_keys=(signing_key(name),), **fields)
    assert isinstance(agree(client, make_metadata(), OPENID_CONNECT), Agreement)
    found = agree(client, make_metadata(), profile)
    assert isinstance(found, tuple)
    assert {each.code for each in found} == {"client_auth_unsupported", "signing_alg_unsupported"}


@pytest.mark.parametrize(
    "said, read", [(True, True), (False, False), (None, False), ("true", False)]
)
def test_whether_claims_are_read(said: object, read: bool) -> None:
    """Silence means no; so does another word, and no login ends because of it."""
    metadata = make_metadata(claims_parameter_supported=said)
    assert agreed(CLIENT, metadata).claims_parameter is read


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        (["pwd", "mfa"], ("pwd", "mfa")),
        ([], ()),
        (None, ()),
        ("mfa", ()),
        ([1, "mfa", None], ("mfa",)),
    ],
)
def test_the_levels_that_are_listed(said: object, listed: tuple[str, ...]) -> None:
    """A list of another form counts as silence, and no login ends because of it."""
    assert agreed(CLIENT, make_metadata(acr_values_supported=said)).acr_values == listed


@pytest.mark.parametrize(
    ("said", "prompt"),
    [
        (["login", "select_account"], "select_account"),
        (["login", "consent"], "login"),
        ([], "login"),
        (None, "login"),
        ("select_account", "login"),
    ],
)
def test_the_prompt_for_another_account(said: object, prompt: str) -> None:
    """Every provider must know ``login`` (OpenID Connect Core 15.1)."""
    metadata = make_metadata(prompt_values_supported=said)
    assert agreed(CLIENT, metadata).other_account_prompt == prompt


@pytest.mark.parametrize("challenges", [["S256"], ["plain", "S256"], None])
def test_pkce(challenges: list[str] | None) -> None:
    assert agreed(CLIENT, make_metadata(code_challenge_methods_supported=challenges)).pkce is True


@pytest.mark.parametrize("challenges", [["S256"], ["plain"], [], None])
def test_the_configuration_alone_switches_pkce_off(challenges: list[str] | None) -> None:
    client = dataclasses.replace(CLIENT, pkce=False)
    metadata = make_metadata(code_challenge_methods_supported=challenges)
    assert agreed(client, metadata).pkce is False


@pytest.mark.parametrize("challenges", [[], ["plain"], ["s256"]])
def test_no_pkce(challenges: list[str]) -> None:
    with disagreed("pkce_unsupported", f"{challenges}"):
        agreed(CLIENT, make_metadata(code_challenge_methods_supported=challenges))


@pytest.mark.parametrize(
    ("mode", "modes"),
    [
        (None, None),
        (None, ["fragment", "query"]),
        ("query", None),
        ("query", ["query"]),
        ("form_post", ["form_post"]),
        ("form_post", ["query", "form_post"]),
        ("jwt", ["jwt"]),
        ("query.jwt", ["query.jwt"]),
        ("form_post.jwt", ["query", "form_post.jwt"]),
    ],
)
def test_response_mode(mode: str | None, modes: list[str] | None) -> None:
    client = dataclasses.replace(CLIENT, response_mode=mode)
    assert agreed(client, make_metadata(response_modes_supported=modes)).response_mode == mode


@pytest.mark.parametrize(
    ("mode", "modes", "listed"),
    [
        ("form_post", ["query"], ["query"]),
        ("form_post", None, ["query", "fragment"]),
        ("query", [], []),
        ("jwt", None, ["query", "fragment"]),
        ("jwt", ["query", "query.jwt"], ["query", "query.jwt"]),
        ("form_post.jwt", ["form_post", "jwt"], ["form_post", "jwt"]),
        (None, [], []),
        (None, ["jwt"], ["jwt"]),
        (None, ["fragment", "form_post"], ["fragment", "form_post"]),
    ],
)
def test_no_response_mode(mode: str | None, modes: list[str] | None, listed: list[str]) -> None:
    """The default is query, and a provider without a list has query and fragment (Discovery 3)."""
    client = dataclasses.replace(CLIENT, response_mode=mode)
    with disagreed("response_mode_unsupported", mode or "query", f"{listed}"):
        agreed(client, make_metadata(response_modes_supported=modes))


# Signed responses.

_LISTED = "authorization_signing_alg_values_supported"


def signed_responses(**members: Any) -> ProviderMetadata:
    return make_metadata(response_modes_supported=["query", "jwt"], **members)


@pytest.mark.parametrize(
    ("pinned", "listed", "algs"),
    [
        (None, None, ("RS256",)),
        (None, ["HS256", "none", "ES256", "PS256"], ("PS256", "ES256")),
        (("ES256", "PS256"), ["PS256", "RS256", "ES256"], ("ES256", "PS256")),
        (("ES256", "RS256"), None, ("RS256",)),
    ],
)
def test_the_algorithms_of_signed_responses(
    pinned: tuple[str, ...] | None, listed: list[str] | None, algs: tuple[str, ...]
) -> None:
    client = dataclasses.replace(CLIENT, response_mode="jwt", id_token_algs=pinned)
    assert agreed(client, signed_responses(**{_LISTED: listed})).response_algs == algs


@pytest.mark.parametrize(
    ("pinned", "listed", "found"),
    [
        (None, [], []),
        (None, ["none", "HS256"], ["none", "HS256"]),
        (("ES256",), None, ["RS256"]),
        (("ES256",), ["PS256"], ["PS256"]),
    ],
)
def test_no_algorithm_for_signed_responses(
    pinned: tuple[str, ...] | None, listed: list[str] | None, found: list[str]
) -> None:
    client = dataclasses.replace(CLIENT, response_mode="jwt", id_token_algs=pinned)
    with disagreed("response_alg_unsupported", f"{found}"):
        agreed(client, signed_responses(**{_LISTED: listed}))


def test_where_responses_are_plain_no_algorithm_is_needed() -> None:
    assert agreed(CLIENT, make_metadata(**{_LISTED: ["HS256"]})).response_algs == ()


# What tokens are bound to.


@pytest.mark.parametrize("listed", [None, [], ["ES256"]])
def test_tokens_are_bound_to_nothing_unless_that_is_configured(listed: list[str] | None) -> None:
    metadata = make_metadata(dpop_signing_alg_values_supported=listed)
    assert agreed(CLIENT, metadata).begin_binding is begin_bearer


@pytest.mark.parametrize(
    ("listed", "alg"),
    [
        (None, "ES256"),
        (["RS256", "ES512", "ES384", "EdDSA", "Ed25519", "ES256"], "ES256"),
        (["RS256", "ES512", "ES384", "EdDSA", "Ed25519"], "Ed25519"),
        (["ES512", "ES384", "EdDSA"], "EdDSA"),
        (["ES512", "ES384"], "ES384"),
        (["RS256", "ES512"], "ES512"),
    ],
)
def test_the_algorithm_of_dpop_proofs(listed: list[str] | None, alg: str) -> None:
    metadata = make_metadata(dpop_signing_alg_values_supported=listed)
    for at_par in (True, False):
        client = dataclasses.replace(CLIENT, dpop=True, dpop_at_par=at_par)
        assert agreed(client, metadata).begin_binding == BeginDPoP(alg=alg, at_par=at_par)


@pytest.mark.parametrize("listed", [[], ["RS256", "PS256"], ["HS256", "none", "es256"]])
def test_no_algorithm_for_dpop_proofs(listed: list[str]) -> None:
    """RSA alone counts as none: such a key cannot be made for each login."""
    client = dataclasses.replace(CLIENT, dpop=True)
    with disagreed("dpop_alg_unsupported", "ES256", str(listed)):
        agreed(client, make_metadata(dpop_signing_alg_values_supported=listed))


def test_dpop_proofs_where_the_provider_lists_nothing_are_signed_with_es256_alone() -> None:
    client = dataclasses.replace(CLIENT, dpop=True, request="pushed", client_auth="none")
    profile = dataclasses.replace(OPENID_CONNECT, algs=OPENID_CONNECT.algs - {"ES256"})
    found = agree(client, make_metadata(), profile)
    assert isinstance(found, tuple)
    assert [each.code for each in found] == ["dpop_alg_unsupported"]
    assert "['ES256']" in found[0].detail


def test_userinfo() -> None:
    client = dataclasses.replace(CLIENT, userinfo=True)
    there = make_metadata(userinfo_endpoint=f"{ISSUER}/userinfo")
    assert agreed(client, there).fetch_userinfo is True
    assert agreed(CLIENT, there).fetch_userinfo is False
    assert agreed(CLIENT, make_metadata()).fetch_userinfo is False
    with disagreed("userinfo_unsupported"):
        agreed(client, make_metadata())


PUSHED = ("pushed+signed", "pushed")
SIGNED = ("pushed+signed", "signed")


@pytest.mark.parametrize("level", REQUEST_LEVELS)
@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("endpoint", [False, True])
def test_pushed_or_not(level: str, required: bool, endpoint: bool) -> None:
    metadata = make_metadata(
        pushed_authorization_request_endpoint=f"{ISSUER}/par" if endpoint else None,
        require_pushed_authorization_requests=required,
        request_parameter_supported=True,
    )
    client = dataclasses.replace(CLIENT, request=level)
    if level in PUSHED and not endpoint:
        with disagreed("par_unsupported", f"PARJAR_REQUEST is {level}", f"issuer {ISSUER}"):
            agreed(client, metadata)
    elif level not in PUSHED and required:
        with disagreed("par_required", f"PARJAR_REQUEST is {level}"):
            agreed(client, metadata)
    else:
        push = agreed(client, metadata).endpoints.push
        assert push == (f"{ISSUER}/par" if level in PUSHED else None)


@pytest.mark.parametrize("level", REQUEST_LEVELS)
@pytest.mark.parametrize("required", [False, True])
def test_signed_or_not(level: str, required: bool) -> None:
    metadata = make_metadata(
        require_signed_request_object=required, request_parameter_supported=True
    )
    client = dataclasses.replace(CLIENT, request=level)
    if level not in SIGNED and required:
        with disagreed("jar_required", f"PARJAR_REQUEST is {level}"):
            agreed(client, metadata)
    else:
        assert request_alg(agreed(client, metadata)) == ("ES256" if level in SIGNED else None)


@pytest.mark.parametrize("level", REQUEST_LEVELS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"request_object_signing_alg_values_supported": ["ES256"]},
        {"require_signed_request_object": True},
    ],
)
def test_a_provider_that_says_it_takes_no_signed_requests(level: str, more: dict[str, Any]) -> None:
    metadata = make_metadata(request_parameter_supported=False, **more)
    client = dataclasses.replace(CLIENT, request=level)
    if level in SIGNED:
        with disagreed("jar_unsupported", f"PARJAR_REQUEST is {level}", ISSUER):
            agreed(client, metadata)
    elif "require_signed_request_object" not in more:
        assert agreed(client, metadata).request_signing is None


@pytest.mark.parametrize(
    "members",
    [
        {"request_parameter_supported": True},
        {"require_signed_request_object": True},
        {"request_object_signing_alg_values_supported": ["ES256"]},
    ],
)
def test_an_unpushed_signed_request_needs_one_member_that_speaks_of_them(
    members: dict[str, Any],
) -> None:
    """The browser would end at an error page of the provider, if it takes none."""
    client = dataclasses.replace(CLIENT, request="signed")
    assert request_alg(agreed(client, make_metadata(**members))) == "ES256"
    with disagreed("jar_unsupported", "PARJAR_REQUEST is signed"):
        agreed(client, make_metadata())
    assert request_alg(agreed(CLIENT, make_metadata())) == "ES256"  # the push shows it


def test_everything_that_the_metadata_has_against_a_level_is_found() -> None:
    metadata = make_metadata(
        require_pushed_authorization_requests=True, require_signed_request_object=True
    )
    client = dataclasses.replace(CLIENT, request="plain")
    found = agree(client, metadata, OPENID_CONNECT)
    assert isinstance(found, tuple)
    assert [each.code for each in found] == ["par_required", "jar_required"]


@pytest.mark.parametrize(
    ("members", "announced"),
    [
        ({}, False),
        ({"request_parameter_supported": None}, False),
        ({"request_parameter_supported": "false"}, False),
        ({"request_parameter_supported": True}, True),
        ({"require_signed_request_object": True}, True),
        ({"request_object_signing_alg_values_supported": ["ES256"]}, True),
        ({"token_endpoint_auth_signing_alg_values_supported": ["ES256"]}, False),
    ],
)
def test_whether_signed_requests_are_announced(members: dict[str, Any], announced: bool) -> None:
    signing = agreed(CLIENT, make_metadata(**members)).request_signing
    assert signing is not None and signing.announced is announced


def test_unsigned_requests_need_no_key() -> None:
    client = make_client(client_secret="secret", request="pushed")
    agreement = agreed(client, make_metadata())
    assert agreement.request_signing is None
    assert agreement.client_auth == SecretInHeader(client_id=CLIENT_ID, client_secret="secret")


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
    assert request_alg(agreed(client, metadata)) == chosen


@pytest.mark.parametrize(
    ("key", "assertions", "pinned", "chosen"),
    [
        ("RS256", ["PS256", "ES256"], None, "PS256"),
        ("RS256", ["RS256", "PS256"], None, "PS256"),
        ("RS256", ["RS512"], None, "RS512"),
        ("RS256", ["PS256"], "RS384", "RS384"),
        ("RS256", ["HS256", "ES256"], None, "RS256"),
        ("ES384", ["ES256"], None, "ES384"),
        ("Ed25519", ["Ed25519"], None, "Ed25519"),
        ("RS256", [], None, "RS256"),
    ],
)
def test_without_a_list_for_request_objects_that_of_assertions_is_used(
    key: str, assertions: list[str], pinned: str | None, chosen: str
) -> None:
    """If it has none for this key, it says nothing of request objects."""
    client = make_client(
        signing_keys=(signing_key(key),),
        signing_alg=pinned,
        client_secret="secret",
    )
    metadata = make_metadata(token_endpoint_auth_signing_alg_values_supported=assertions)
    assert request_alg(agreed(client, metadata)) == chosen


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
    with disagreed("signing_alg_unsupported", "ES256", str(pinned), str(listed or [])):
        agreed(client, make_metadata(request_object_signing_alg_values_supported=listed))


def test_an_rsa_key_says_all_that_it_can() -> None:
    client = make_client(signing_keys=(signing_key("RS256"),))
    ours = "PS256, RS256, PS384, RS384, PS512, RS512"
    with disagreed("signing_alg_unsupported", ours, "None", "['ES256']"):
        agreed(client, make_metadata(request_object_signing_alg_values_supported=["ES256"]))


@pytest.mark.parametrize(
    ("setting", "audience"),
    [
        ("issuer", "https://tenant.auth.example/"),
        ("authorization_endpoint", f"{ISSUER}/authorize"),
        ("https://id.example/oidc", "https://id.example/oidc"),
    ],
)
def test_the_audience_of_request_objects(setting: str, audience: str) -> None:
    """An issuer stays as it is written, with its trailing slash."""
    client = dataclasses.replace(
        CLIENT, issuer="https://tenant.auth.example/", request_audience=setting
    )
    signing = agreed(client, make_metadata()).request_signing
    assert signing is not None and signing.audience == audience


def test_the_lifetime_of_request_objects() -> None:
    for client, lifetime in (
        (CLIENT, 600),
        (dataclasses.replace(CLIENT, request_lifetime=90), 90),
    ):
        signing = agreed(client, make_metadata()).request_signing
        assert signing is not None and signing.lifetime == lifetime


def test_what_is_sent_beside_request_objects() -> None:
    client = dataclasses.replace(CLIENT, request_beside=("scope", "nonce"))
    signing = agreed(client, make_metadata()).request_signing
    assert signing is not None and signing.beside == ("scope", "nonce")


def test_the_first_key_signs() -> None:
    client = make_client(signing_keys=(signing_key("ES384"), signing_key("ES256")))
    signing = agreed(client, make_metadata()).request_signing
    assert signing is not None
    assert (signing.key, signing.alg) == (signing_key("ES384"), "ES384")
    assert not signing.announced
    assert request_alg(agreed(client, make_metadata())) == "ES384"


def read_assertion() -> str:
    return "e30.e30.AA"


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
        ({"client_assertion": read_assertion}, None, "given"),
        ({"client_assertion": read_assertion}, ["private_key_jwt"], "given"),
        ({**SECRET, "client_assertion": read_assertion}, None, "client_secret_basic"),
        ({"client_auth": "none"}, ["none"], "none"),
        ({"client_auth": "none"}, None, "none"),
        ({"client_auth": "none"}, ["private_key_jwt"], "none"),
        ({"client_auth": "none"}, [], "none"),
    ],
)
def test_client_authentication(
    fields: dict[str, Any], methods: list[str] | None, chosen: str
) -> None:
    client = dataclasses.replace(CLIENT, **fields)
    agreement = agreed(client, make_metadata(token_endpoint_auth_methods_supported=methods))
    assert (
        agreement.client_auth
        == {
            "private_key_jwt": ClientAssertion(
                client_id=CLIENT_ID,
                key=CLIENT.signing_keys[0],
                alg="ES256",
                audience=ISSUER,
                typ="JWT",
            ),
            "client_secret_basic": SecretInHeader(client_id=CLIENT_ID, client_secret="secret"),
            "client_secret_post": SecretInBody(client_id=CLIENT_ID, client_secret="secret"),
            "none": PublicClient(client_id=CLIENT_ID),
            "given": GivenAssertion(client_id=CLIENT_ID, read=read_assertion),
        }[chosen]
    )


def test_a_missing_secret_is_an_empty_one() -> None:
    for method, proof in (
        ("client_secret_post", SecretInBody(client_id=CLIENT_ID, client_secret="")),
        ("client_secret_basic", SecretInHeader(client_id=CLIENT_ID, client_secret="")),
    ):
        client = dataclasses.replace(CLIENT, client_auth=method)
        assert agreed(client, make_metadata()).client_auth == proof


@pytest.mark.parametrize(
    ("setting", "audience"),
    [
        ("issuer", ISSUER),
        ("endpoint", None),
        ("token_endpoint", f"{ISSUER}/token"),
        ("https://id.example/oidc", "https://id.example/oidc"),
    ],
)
def test_the_audience_of_the_assertion(setting: str, audience: str | None) -> None:
    client = dataclasses.replace(CLIENT, assertion_audience=setting)
    proof = agreed(client, make_metadata()).client_auth
    assert isinstance(proof, ClientAssertion)
    assert proof.audience == audience


def test_the_further_claims_of_the_assertion() -> None:
    def further_claims() -> dict[str, Any]:
        return {"tenant": "t1"}

    client = dataclasses.replace(CLIENT, assertion_claims=further_claims)
    proof = agreed(client, make_metadata()).client_auth
    assert isinstance(proof, ClientAssertion)
    assert proof.further_claims is further_claims


@pytest.mark.parametrize(
    ("listed", "algs"),
    [
        (None, {"EdDSA": "EdDSA", "RS256": "RS256"}),
        (["ES256", "PS256", "Ed25519"], {"EdDSA": "Ed25519", "RS256": "PS256"}),
        (["ES256", "PS256"], {"RS256": "PS256"}),
        (["ES256"], {}),
    ],
)
def test_former_keys_have_their_own_algorithms(
    listed: list[str] | None, algs: dict[str, str]
) -> None:
    """A key whose algorithms the provider does not list is left out."""
    client = make_client(signing_keys=tuple(map(signing_key, ("ES256", "EdDSA", "RS256"))))
    metadata = make_metadata(token_endpoint_auth_signing_alg_values_supported=listed)
    proof = agreed(client, metadata).client_auth
    assert isinstance(proof, ClientAssertion)
    assert proof.former == {
        signing_key(name).mark: FormerKey(signing_key(name), alg) for name, alg in algs.items()
    }


@pytest.mark.parametrize(
    ("fields", "methods", "ours"),
    [
        ({}, ["client_secret_basic"], "private_key_jwt"),
        ({}, [], "private_key_jwt"),
        (SECRET, ["private_key_jwt"], "client_secret_basic, client_secret_post"),
        ({**SECRET, "client_auth": "client_secret_post"}, ["client_secret_basic"], None),
        ({}, ["none"], "private_key_jwt"),
        (SECRET, ["none"], "client_secret_basic, client_secret_post"),
    ],
)
def test_no_client_authentication(
    fields: dict[str, Any], methods: list[str], ours: str | None
) -> None:
    client = dataclasses.replace(CLIENT, **fields)
    with disagreed("client_auth_unsupported", ours or "client_secret_post", str(methods)):
        agreed(client, make_metadata(token_endpoint_auth_methods_supported=methods))


def assertion_alg(client: ClientConfig, listed: list[str] | None) -> str:
    metadata = make_metadata(token_endpoint_auth_signing_alg_values_supported=listed)
    proof = agreed(client, metadata).client_auth
    assert isinstance(proof, ClientAssertion)
    return proof.alg


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
    proof = agreed(client, make_metadata()).client_auth
    assert isinstance(proof, ClientAssertion)
    assert proof.key is client.assertion_keys[0]
    assert request_alg(agreed(client, make_metadata())) == "RS256"


def test_the_assertion_of_a_shared_secret() -> None:
    client = dataclasses.replace(
        CLIENT, client_auth="client_secret_jwt", client_secret="s", secret_key=SECRET_KEY
    )
    proof = agreed(client, make_metadata()).client_auth
    assert isinstance(proof, ClientAssertion)
    assert proof.key is SECRET_KEY
    assert assertion_alg(client, None) == "HS256"
    assert assertion_alg(client, ["RS256", "HS512"]) == "HS512"


@pytest.mark.parametrize("listed", [[], ["RS256"], ["HS256"]])
def test_no_algorithm_for_the_assertion(listed: list[str]) -> None:
    with disagreed("client_auth_unsupported", "private_key_jwt", "ES256", str(listed)):
        assertion_alg(CLIENT, listed)


def test_the_algorithm_of_request_objects_is_not_that_of_assertions() -> None:
    client = make_client(signing_keys=(signing_key("RS256"),), signing_alg="RS512")
    assert assertion_alg(client, ["RS256"]) == "RS256"
    assert request_alg(agreed(client, make_metadata())) == "RS512"
    values = ("private_key_jwt", "PS256, RS256, PS384, RS384, PS512, RS512", "['ES256']")
    with disagreed("client_auth_unsupported", *values):
        assertion_alg(client, ["ES256"])


def test_a_key_whose_own_alg_the_provider_does_not_take() -> None:
    client = make_client(
        signing_keys=(signing_key("ES256"),), assertion_keys=(rsa_key_for("PS512"),)
    )
    with disagreed("client_auth_unsupported", "private_key_jwt", "PS512", "['PS256']"):
        assertion_alg(client, ["PS256"])


@pytest.mark.parametrize(
    ("listed", "ours", "algs"),
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
    listed: list[str] | None, ours: tuple[str, ...] | None, algs: tuple[str, ...]
) -> None:
    client = dataclasses.replace(CLIENT, id_token_algs=ours)
    metadata = make_metadata(id_token_signing_alg_values_supported=listed)
    assert agreed(client, metadata).id_token_algs == algs


@pytest.mark.parametrize(
    ("listed", "ours"),
    [([], None), (["HS256", "none"], None), (["RS256"], ("ES256",)), ([], ("ES256",))],
)
def test_no_algorithm_for_the_id_token(listed: list[str], ours: tuple[str, ...] | None) -> None:
    client = dataclasses.replace(CLIENT, id_token_algs=ours)
    with disagreed("id_token_alg_unsupported", f"{listed}"):
        agreed(client, make_metadata(id_token_signing_alg_values_supported=listed))


@pytest.mark.parametrize(
    ("listed", "ours", "algs"),
    [
        (None, None, ("ES256",)),
        (["PS256"], None, ("PS256",)),
        (["none", "HS256", "RS256"], None, ("RS256",)),
        (["PS256", "ES256"], ("ES256",), ("ES256",)),
        (["none"], None, ()),
        (["PS256"], ("ES256",), ()),
    ],
)
def test_the_algorithms_of_signed_userinfo(
    listed: list[str] | None, ours: tuple[str, ...] | None, algs: tuple[str, ...]
) -> None:
    """That there is none ends no login: most userinfo is not signed."""
    client = dataclasses.replace(CLIENT, id_token_algs=ours)
    metadata = make_metadata(
        id_token_signing_alg_values_supported=["ES256"],
        userinfo_signing_alg_values_supported=listed,
    )
    assert agreed(client, metadata).userinfo_algs == algs


def test_signed_userinfo_has_no_algorithm_where_the_id_token_has_none() -> None:
    metadata = make_metadata(id_token_signing_alg_values_supported=["none"])
    assert negotiate_userinfo_algs(CLIENT, metadata, OPENID_CONNECT) == ()


# Encryption.

KEYS_TO_DECRYPT = parse_decryption_keys(P384_JWK)
REGISTERED = Encryption(alg="ECDH-ES", encs=("A256GCM", "A128GCM"))


#: What may be encrypted for us, and how the names of the provider's lists begin.
ENCRYPTED = {"id_token": "id_token", "userinfo": "userinfo", "response": "authorization"}


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_encryption_that_was_registered_and_what_the_provider_lists(kind: str) -> None:
    client = dataclasses.replace(
        CLIENT, encryption_keys=KEYS_TO_DECRYPT, **{f"{kind}_encryption": REGISTERED}
    )

    def outcome(**lists: list[str]) -> Agreement | tuple[Disagreement, ...]:
        start = f"{ENCRYPTED[kind]}_encryption"
        listed = {f"{start}_{what}_values_supported": v for what, v in lists.items()}
        return agree(client, make_metadata(**listed), OPENID_CONNECT)

    expected = Decryption(encryption=REGISTERED, keys=KEYS_TO_DECRYPT)
    for lists in ({}, {"alg": ["RSA1_5", "ECDH-ES"]}, {"enc": ["A128GCM", "A192GCM"]}):
        found = outcome(**lists)
        assert isinstance(found, Agreement)
        assert {each: getattr(found, f"{each}_decryption") for each in ENCRYPTED} == {
            **dict.fromkeys(ENCRYPTED),
            kind: expected,
        }
    for lists in ({"alg": ["RSA-OAEP"]}, {"alg": []}, {"enc": ["A256CBC-HS512"]}, {"enc": []}):
        found = outcome(**lists)
        assert isinstance(found, tuple)
        assert [each.code for each in found] == [f"{kind}_encryption_unsupported"]
        values = (REGISTERED.alg, *REGISTERED.encs, *map(str, lists.values()))
        assert [value for value in values if value not in found[0].detail] == []


_ALG = "request_object_encryption_alg_values_supported"
_ENC = "request_object_encryption_enc_values_supported"


@pytest.mark.parametrize(
    ("pinned", "listed", "chosen"),
    [
        (None, None, "A128CBC-HS256"),
        (None, ["A128GCM", "A256CBC-HS512"], "A256CBC-HS512"),
        ("A128GCM", ["A128GCM", "A256GCM"], "A128GCM"),
        ("A128CBC-HS256", None, "A128CBC-HS256"),
    ],
)
def test_the_encryption_of_request_objects(
    pinned: str | None, listed: list[str] | None, chosen: str
) -> None:
    client = dataclasses.replace(
        CLIENT, request_encryption_alg="RSA-OAEP-256", request_encryption_enc=pinned
    )
    agreement = agreed(client, make_metadata(**{_ALG: ["RSA-OAEP-256"], _ENC: listed}))
    assert agreement.request_encryption == RequestEncryption(alg="RSA-OAEP-256", enc=chosen)


@pytest.mark.parametrize(
    ("pinned", "lists"),
    [
        (None, {}),
        (None, {_ALG: []}),
        (None, {_ALG: ["RSA-OAEP"]}),
        (None, {_ALG: ["RSA-OAEP-256"], _ENC: ["A192GCM"]}),
        ("A256GCM", {_ALG: ["RSA-OAEP-256"]}),
        ("A256GCM", {_ALG: ["RSA-OAEP-256"], _ENC: ["A128GCM"]}),
    ],
)
def test_an_encryption_of_requests_that_is_not_listed(
    pinned: str | None, lists: dict[str, Any]
) -> None:
    client = dataclasses.replace(
        CLIENT, request_encryption_alg="RSA-OAEP-256", request_encryption_enc=pinned
    )
    found = agree(client, make_metadata(**lists), OPENID_CONNECT)
    assert isinstance(found, tuple)
    assert [each.code for each in found] == ["request_encryption_unsupported"]
    listed = lists.get(_ALG, []), lists.get(_ENC, ["A128CBC-HS256"])
    values = ("RSA-OAEP-256", pinned or "", *map(str, listed))
    assert [value for value in values if value not in found[0].detail] == []


# Mutual TLS (RFC 8705).

ALIASES = {
    "token_endpoint": "https://mtls.op.example/token",
    "pushed_authorization_request_endpoint": "https://mtls.op.example/par",
    "userinfo_endpoint": "https://mtls.op.example/userinfo",
    "revocation_endpoint": "https://mtls.op.example/revoke",
}
BOUND = {"tls_client_certificate_bound_access_tokens": True}
BY_CERTIFICATE = dataclasses.replace(CLIENT, client_auth="tls_client_auth")
BINDING = dataclasses.replace(CLIENT, bound_tokens=True)


def mtls_metadata(**members: Any) -> Any:
    methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
    given = {"token_endpoint_auth_methods_supported": methods, **BOUND, **members}
    return make_metadata(**given)


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_client_authentication_by_certificate(method: str) -> None:
    client = dataclasses.replace(CLIENT, client_auth=method)
    assert agreed(client, mtls_metadata()).client_auth == CertificateAuth(
        client_id=CLIENT.client_id
    )
    listed = ["private_key_jwt"]
    with disagreed("client_auth_unsupported", method, str(listed)):
        agreed(client, mtls_metadata(token_endpoint_auth_methods_supported=listed))


@pytest.mark.parametrize("client", [BY_CERTIFICATE, BINDING], ids=["auth", "binding"])
def test_aliases_are_used_where_there_are_some(client: Any) -> None:
    plain = agreed(client, mtls_metadata()).endpoints
    assert agreed(client, mtls_metadata(mtls_endpoint_aliases={})).endpoints == plain
    for name, field in (
        ("token_endpoint", "token"),
        ("pushed_authorization_request_endpoint", "push"),
        ("userinfo_endpoint", "userinfo"),
        ("revocation_endpoint", "revocation"),
    ):
        found = agreed(client, mtls_metadata(mtls_endpoint_aliases={name: ALIASES[name]})).endpoints
        assert found == dataclasses.replace(plain, **{field: ALIASES[name]})


def test_no_alias_is_used_if_the_provider_does_not_look_at_the_certificate() -> None:
    faulty = {**ALIASES, "token_endpoint": 7}
    for aliases in (ALIASES, faulty):
        with_them = mtls_metadata(mtls_endpoint_aliases=aliases)
        assert agreed(CLIENT, with_them) == agreed(CLIENT, mtls_metadata())


@pytest.mark.parametrize("client", [BY_CERTIFICATE, BINDING], ids=["auth", "binding"])
def test_an_alias_that_cannot_be_used_ends_the_login(client: Any) -> None:
    aliases = {**ALIASES, "userinfo_endpoint": "http://mtls.op.example/userinfo"}
    with disagreed("mtls_alias_unusable", "userinfo_endpoint"):
        agreed(client, mtls_metadata(mtls_endpoint_aliases=aliases))


def test_an_alias_of_the_push_endpoint_does_not_make_requests_pushed() -> None:
    client = dataclasses.replace(BY_CERTIFICATE, request="plain")
    assert agreed(client, mtls_metadata(mtls_endpoint_aliases=ALIASES)).endpoints.push is None


@pytest.mark.parametrize("said", [False, None])
def test_tokens_are_bound_to_a_certificate_if_the_provider_says_so(said: bool | None) -> None:
    assert agreed(BINDING, mtls_metadata()).begin_binding("x") == CertificateBinding()
    with disagreed("bound_tokens_unsupported", ISSUER):
        agreed(BINDING, mtls_metadata(tls_client_certificate_bound_access_tokens=said))
