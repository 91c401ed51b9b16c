"""Who is logged in after a renewal: each rule for itself."""

from __future__ import annotations

from typing import Any

import pytest

from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.renewed_identity import renew_identity

LOGIN = {
    "acr": "mfa",
    "amr": ["pwd", "otp"],
    "auth_time": 100,
    "sid": "s1",
    "name": "Ada",
    "email": "ada@people.example",
    "email_verified": True,
    "groups": ["admins"],
}
ADA = Identity(
    issuer="https://op.example",
    subject="ada",
    provider="default",
    claims=LOGIN,
    scopes=frozenset({"openid", "reports:read"}),
)


def renew(
    id_token: dict[str, Any] | None = None,
    said: dict[str, Any] | None = None,
    scopes: tuple[str, ...] = ("openid",),
) -> Identity:
    return renew_identity(ADA, scopes=scopes, id_token=id_token or {}, said=said)


def test_with_nothing_newer_only_the_scopes_change() -> None:
    renewed = renew()
    assert dict(renewed.claims) == LOGIN
    assert renewed.scopes == {"openid"}
    assert ADA.scopes == {"openid", "reports:read"}  # it was not changed itself


def test_who_it_is_never_changes() -> None:
    other = {"iss": "https://other.example", "sub": "eve", "aud": "x", "azp": "x", "nonce": "n"}
    renewed = renew(other, other)
    assert (renewed.issuer, renewed.subject, renewed.provider) == (
        "https://op.example",
        "ada",
        "default",
    )
    assert renewed.claims.keys().isdisjoint(other)


@pytest.mark.parametrize("said", [{}, {"groups": []}, {"groups": None}, {"groups": ["users"]}])
def test_a_right_is_what_is_said_now(said: dict[str, Any]) -> None:
    renewed = renew(said, said)
    assert renewed.claims.get("groups", "missing") == said.get("groups", "missing")


@pytest.mark.parametrize(
    "acr, left",
    [
        ("mfa", {"acr": "mfa", "amr": ["pwd", "otp"]}),
        (None, {"acr": "mfa", "amr": ["pwd", "otp"]}),
        ("pwd", {}),
        ("stronger", {}),
        (7, {}),
    ],
)
def test_acr_and_amr_are_those_of_the_login_or_none(acr: Any, left: dict[str, Any]) -> None:
    id_token = {"acr": acr, "amr": ["hwk"], "auth_time": 999, "sid": "s2"}
    for said in (None, id_token):
        claims = renew(id_token, said).claims
        assert {name: claims[name] for name in ("acr", "amr") if name in claims} == left
        assert (claims["auth_time"], claims["sid"]) == (100, "s1")


def test_a_login_without_acr_gets_none_by_a_renewal() -> None:
    login = Identity(issuer="i", subject="s", provider="p", claims={"groups": ["a"]})
    id_token = {"acr": "mfa", "amr": ["otp"], "auth_time": 5, "sid": "s9", "groups": ["a"]}
    renewed = renew_identity(login, scopes=(), id_token=id_token, said=id_token)
    assert dict(renewed.claims) == {"groups": ["a"]}


@pytest.mark.parametrize(
    "said, expected",
    [
        ({}, ("ada@people.example", True)),
        ({"email": "ada@new.example"}, ("ada@new.example", None)),
        ({"email_verified": False}, (None, False)),
        ({"email": "ada@new.example", "email_verified": True}, ("ada@new.example", True)),
    ],
)
def test_an_address_and_whether_it_is_verified_belong_together(
    said: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    claims = renew(said, said).claims
    assert (claims.get("email"), claims.get("email_verified")) == expected


@pytest.mark.parametrize("before, newer, after", [(50, 70, 70), (50, None, 50), (None, 70, 70)])
def test_the_end_of_the_session_is_moved_by_an_id_token_alone(
    before: int | None, newer: int | None, after: int
) -> None:
    claims = {} if before is None else {"session_expiry": before}
    login = Identity(issuer="i", subject="s", provider="p", claims=claims)
    id_token = {"session_expiry": newer}
    renewed = renew_identity(login, scopes=(), id_token=id_token, said={"session_expiry": 9})
    assert renewed.claims["session_expiry"] == after
