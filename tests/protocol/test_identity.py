from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from flask_parjar.protocol.id_token import IDTokenClaims
from flask_parjar.protocol.identity import ANONYMOUS, Identity
from flask_parjar.protocol.userinfo import UserInfo

ISSUER = "https://op.example"
TOKEN_CLAIMS = dict.fromkeys(
    ("iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "jti", "rat")
)


def verified(claims: dict[str, Any]) -> IDTokenClaims:
    return IDTokenClaims(header={}, claims=claims, checked=(), jws="")


def make_identity(*, userinfo: dict[str, Any] | None = None, **claims: Any) -> Identity:
    return Identity.from_claims(
        verified({"sub": "24400320", **claims}),
        None if userinfo is None else UserInfo(claims=userinfo),
        issuer=ISSUER,
        provider="default",
        scopes=("openid", "email", "openid"),
    )


def test_claims_about_the_person_are_kept() -> None:
    identity = make_identity(**TOKEN_CLAIMS, name="Ada", sid="s1", org="acme", amr=["pwd"])
    assert identity == Identity(
        issuer=ISSUER,
        subject="24400320",
        provider="default",
        claims={"name": "Ada", "sid": "s1", "org": "acme", "amr": ["pwd"]},
        scopes=frozenset({"openid", "email"}),
        user=None,
    )


def test_the_issuer_is_not_what_a_claim_says() -> None:
    assert make_identity(iss="https://evil.example").issuer == ISSUER


def test_the_claims_given_are_not_changed() -> None:
    claims = {"sub": "1", "iss": ISSUER}
    said = {"sub": "1", "acr": "x"}
    Identity.from_claims(
        verified(claims), UserInfo(claims=said), issuer=ISSUER, provider="default", scopes=()
    )
    assert claims == {"sub": "1", "iss": ISSUER}
    assert said == {"sub": "1", "acr": "x"}


def test_userinfo_adds_what_the_id_token_does_not_say() -> None:
    said = {"sub": "24400320", "name": "Countess", "email": "a@b"}
    identity = make_identity(userinfo=said, name="Ada")
    assert identity.claims == {"name": "Ada", "email": "a@b"}
    assert identity.subject == "24400320"


@pytest.mark.parametrize("name", [*TOKEN_CLAIMS, "acr", "amr", "auth_time", "sid"])
def test_userinfo_says_nothing_of_the_token_or_of_the_sign_in(name: str) -> None:
    assert make_identity(userinfo={"sub": "24400320", name: "x"}).claims == {}
    assert make_identity(userinfo={name: "x"}, acr="phr").claims == {"acr": "phr"}


def test_an_identity_is_true_and_its_absence_false() -> None:
    assert make_identity()
    assert make_identity().is_authenticated is True
    assert not ANONYMOUS
    assert ANONYMOUS.is_authenticated is False
    assert ANONYMOUS == Identity(
        issuer="", subject="", provider="", claims={}, scopes=frozenset(), user=None
    )
    assert (ANONYMOUS.name, ANONYMOUS.email, ANONYMOUS.acr, ANONYMOUS.amr, ANONYMOUS.auth_time) == (
        *(None, None, None),
        *((), None),
    )


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada", "preferred_username": "ada", "email": "a@b"}, "Ada"),
        ({"name": "", "preferred_username": "ada", "email": "a@b"}, "ada"),
        ({"name": ["Ada"], "preferred_username": None, "email": "a@b"}, "a@b"),
        ({"name": 5, "preferred_username": {}, "email": ""}, "24400320"),
        ({}, "24400320"),
    ],
)
def test_name(claims: dict[str, Any], name: str) -> None:
    assert make_identity(**claims).name == name


@pytest.mark.parametrize("member", ["email", "acr"])
def test_texts(member: str) -> None:
    assert getattr(make_identity(**{member: "x"}), member) == "x"
    assert getattr(make_identity(**{member: ""}), member) == ""
    assert getattr(make_identity(), member) is None
    for value in (None, 5, True, ["x"], {"x": "x"}):
        assert getattr(make_identity(**{member: value}), member) is None


@pytest.mark.parametrize(
    ("amr", "methods"),
    [
        (["pwd", "otp"], ("pwd", "otp")),
        ([], ()),
        ("pwd", ()),
        (None, ()),
        ({"pwd": 1}, ()),
        (5, ()),
        ([1, "pwd", None, ["otp"], {}], ("pwd",)),
    ],
)
def test_amr(amr: object, methods: tuple[str, ...]) -> None:
    assert make_identity(amr=amr).amr == methods


@pytest.mark.parametrize(
    ("auth_time", "seconds"),
    [(1_800_000_000, 1_800_000_000), (1_800_000_000.9, 1_800_000_000), (0, 0)],
)
def test_auth_time(auth_time: float, seconds: int) -> None:
    value = make_identity(auth_time=auth_time).auth_time
    assert value == seconds
    assert type(value) is int


@pytest.mark.parametrize(
    "auth_time", [None, "1800000000", True, [], {}, math.inf, math.nan, 10**300]
)
def test_no_auth_time(auth_time: object) -> None:
    assert make_identity(auth_time=auth_time).auth_time is None


def test_the_apps_own_user_stands_beside() -> None:
    user = object()
    identity = make_identity(name="Ada")
    with_user = identity.with_user(user)
    assert with_user.user is user
    assert identity.user is None
    assert with_user == identity  # the user is no part of who it is
    assert with_user.claims == {"name": "Ada"}


def test_the_claims_are_not_printed() -> None:
    assert "hunter2" not in repr(make_identity(secret="hunter2"))


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_identity().subject = "root"  # type: ignore[misc]
