"""What providers send that DevProvider does not: allowed by the standards, or harmless."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from werkzeug.wrappers import Response

from flask_parjar.testing import DevProvider
from tests.protocol.examples import EC_JWK, OKP_JWK, RSA_JWK, make_token, public, signing_key
from tests.support.after_login import age, token_site
from tests.support.altered_answers import KID, PUSH, TOKEN, USERINFO, AlteredAnswers
from tests.support.pages import code_of
from tests.support.site import ISSUER, Visitor, make_site

API = "https://api.example"
CLIENT = "flask-parjar"
#: Where a login leads that went well.
THERE = (302, "/me")


@pytest.fixture
def answers(provider: DevProvider) -> AlteredAnswers:
    return AlteredAnswers(provider)


def landed(provider: DevProvider, **config: Any) -> tuple[int, str | None]:
    """Log in: the status of the last answer, and where it leads, or its error code."""
    visitor = Visitor(make_site(provider, **config), provider)
    response = visitor.log_in("/login?next=/me")
    return response.status_code, response.location or code_of(response)


# ID tokens.


@pytest.mark.parametrize("audience", [[CLIENT, CLIENT], [CLIENT, API]], ids=["twice", "trusted"])
def test_several_trusted_audiences_need_no_azp(
    provider: DevProvider, answers: AlteredAnswers, audience: list[str]
) -> None:
    """OpenID Connect Core 3.1.3.7 (4), errata set 2: ``azp`` is looked at where there is one."""
    answers.id_token(aud=audience)
    assert landed(provider, PARJAR_TRUSTED_AUDIENCES=[API]) == THERE


@pytest.mark.parametrize(
    "name, value",
    [
        ("x5c", ["MIIB"]),
        ("jku", f"{ISSUER}/jwks.json"),
        ("x5u", f"{ISSUER}/certificate"),
        ("jwk", public(EC_JWK)),
    ],
)
def test_a_header_may_say_where_its_key_lies(
    provider: DevProvider, answers: AlteredAnswers, name: str, value: Any
) -> None:
    """It is not used: the key is the published one of that ``kid`` (RFC 8725 section 3.10)."""
    answers.id_token(header={name: value})
    assert landed(provider) == THERE


@pytest.mark.parametrize("name, value", [("jwk", public(EC_JWK)), ("jku", f"{ISSUER}/other.json")])
def test_a_key_that_only_the_header_names_proves_nothing(
    provider: DevProvider, answers: AlteredAnswers, name: str, value: Any
) -> None:
    answers.publish(public(OKP_JWK, kid="another"))
    answers.id_token(header={name: value})
    assert landed(provider) == (502, "token_key")


@pytest.mark.parametrize("name", ["nbf", "at_hash", "azp", "auth_time", "acr"])
def test_an_optional_claim_that_is_null_is_absent(
    provider: DevProvider, answers: AlteredAnswers, name: str
) -> None:
    answers.id_token(**{name: None})
    assert landed(provider) == THERE


# Keys.


@pytest.mark.parametrize(
    "members",
    [
        {"use": None},
        {"alg": None},
        {"key_ops": None},
        {"kid": None},
        {"x5u": "no URL"},
        {"x5c": "no list"},
    ],
    ids="".join,
)
def test_a_key_is_read_whatever_else_stands_beside_it(
    provider: DevProvider, answers: AlteredAnswers, members: dict[str, Any]
) -> None:
    """A member that is null says nothing; of a certificate nothing is needed."""
    answers.publish({**public(EC_JWK, kid=KID), **members})
    answers.id_token(header={"kid": None} if "kid" in members else {})
    assert landed(provider) == THERE


@pytest.mark.parametrize(
    "modulus", [f"{RSA_JWK['n']}==", RSA_JWK["n"][:171]], ids=["padded", "1024 bits"]
)
def test_a_key_that_cannot_be_read_is_named_in_the_log(
    provider: DevProvider,
    answers: AlteredAnswers,
    caplog: pytest.LogCaptureFixture,
    modulus: str,
) -> None:
    left_out = public(RSA_JWK, kid="this one is left out", n=modulus)
    answers.publish(public(EC_JWK, kid=KID), left_out)
    answers.id_token()
    with caplog.at_level(logging.DEBUG, "flask_parjar"):
        assert landed(provider) == THERE
    assert "this one is left out" in caplog.text


@pytest.mark.parametrize("of_key, of_token", [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_ed25519_has_two_names(
    provider: DevProvider, answers: AlteredAnswers, of_key: str, of_token: str
) -> None:
    """RFC 8037 section 3.1 has the first, RFC 9864 section 2.2 the second: the key is the same."""
    answers.publish(public(OKP_JWK, kid=KID, alg=of_key))
    answers.id_token(alg=of_token, without=["at_hash"])
    assert landed(provider) == THERE


# The token endpoint.


def test_as_many_scopes_may_be_granted_as_were_asked_for(provider: DevProvider) -> None:
    scopes = ["openid", *(f"patient/Resource{number}.read" for number in range(60))]
    assert len(" ".join(scopes)) > 1024
    visitor = Visitor(make_site(provider, PARJAR_SCOPES=scopes), provider)
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["scopes"] == sorted(scopes)


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_token_that_is_not_kept_may_be_long(
    provider: DevProvider, answers: AlteredAnswers, name: str
) -> None:
    answers.members(TOKEN, **{name: "x" * 17_000})
    answers.id_token(without=["at_hash"])
    assert landed(provider) == THERE


def test_an_empty_refresh_token_counts_as_missing(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    answers.members(TOKEN, refresh_token="")
    visitor = Visitor(token_site(provider, "memory"), provider)
    assert visitor.log_in().status_code == 302
    assert visitor.get("/kept").json["refresh_token"] is None


def test_an_empty_refresh_token_of_a_renewal_leaves_the_old_one(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    before = visitor.get("/kept").json
    age(visitor, left=-1)
    answers.members(TOKEN, refresh_token="")
    assert visitor.get("/token").status_code == 200
    kept = visitor.get("/kept").json
    assert kept["refresh_token"] == before["refresh_token"]
    assert kept["access_token"] != before["access_token"]


def test_a_lifetime_may_be_digits_in_a_string(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    answers.members(TOKEN, expires_in="3600")
    visitor = Visitor(token_site(provider, "memory"), provider)
    assert visitor.log_in().status_code == 302
    assert 3590 < visitor.get("/kept").json["expires_at"] - time.time() <= 3600


def test_granted_scopes_may_be_a_list(provider: DevProvider, answers: AlteredAnswers) -> None:
    answers.members(TOKEN, scope=["openid", "email"])
    visitor = Visitor(make_site(provider), provider)
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["scopes"] == ["email", "openid"]


# The push.


@pytest.mark.parametrize("expires_in", [60.0, "60"])
def test_the_lifetime_of_a_pushed_request_may_be_written_in_another_way(
    provider: DevProvider, answers: AlteredAnswers, expires_in: object
) -> None:
    """JSON knows one kind of number: 60.0 is the integer 60 (RFC 8259 section 6)."""
    answers.members(PUSH, expires_in=expires_in)
    assert landed(provider) == THERE


# Signed userinfo (OpenID Connect Core 5.3.2).


def signed_userinfo(alg: str, kid: str, **claims: Any) -> str:
    given = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "nickname": "Countess", **claims}
    return make_token({"alg": alg, "kid": kid}, given, alg=alg, key=signing_key(alg))


def as_jwt(response: Response, token: str) -> None:
    response.content_type = "application/jwt"
    response.set_data(token)


def test_userinfo_signed_by_a_key_that_is_new(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    """OpenID Connect Core 10.1.1: an unknown ``kid`` is looked for, whatever it has signed."""

    def how(response: Response) -> None:
        answers.publish(public(EC_JWK, kid=KID), public(RSA_JWK, kid="new"))
        as_jwt(response, signed_userinfo("PS256", "new"))

    answers.publish(public(EC_JWK, kid=KID))
    answers.id_token()
    answers.change(USERINFO, how)
    visitor = Visitor(make_site(provider, PARJAR_USERINFO=True), provider)
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["claims"]["nickname"] == "Countess"


def test_the_algorithms_of_userinfo_are_those_that_the_provider_lists_for_it(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    provider.metadata.update(
        id_token_signing_alg_values_supported=["ES256"],
        userinfo_signing_alg_values_supported=["PS256"],
    )
    answers.publish(public(EC_JWK, kid=KID), public(RSA_JWK, kid="rsa"))
    answers.id_token()
    answers.change(USERINFO, lambda response: as_jwt(response, signed_userinfo("PS256", "rsa")))
    visitor = Visitor(make_site(provider, PARJAR_USERINFO=True), provider)
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["claims"]["nickname"] == "Countess"


def test_signed_userinfo_that_has_expired_is_refused(
    provider: DevProvider, answers: AlteredAnswers
) -> None:
    long_ago = int(time.time()) - 3600
    token = signed_userinfo("ES256", KID, exp=long_ago)
    answers.change(USERINFO, lambda response: as_jwt(response, token))
    assert landed(provider, PARJAR_USERINFO=True) == (502, "token_expired")
