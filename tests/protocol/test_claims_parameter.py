from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.protocol.claims_parameter import (
    Demands,
    check_claims,
    demands_of,
    merge_claims,
    requested_values,
)
from tests.support.errors import invalid
from tests.support.untrusted import bounded, documents

# OpenID Connect Core 5.5
EXAMPLE = {
    "userinfo": {
        "given_name": {"essential": True},
        "nickname": None,
        "email": {"essential": True},
        "http://example.info/claims/groups": None,
    },
    "id_token": {
        "auth_time": {"essential": True},
        "acr": {"values": ["urn:mace:incommon:iap:silver"]},
    },
}


def of_id_token(**requests: Any) -> dict[str, Any]:
    return {"id_token": requests}


def test_the_example_of_openid_connect_core() -> None:
    check_claims(EXAMPLE)
    assert demands_of(EXAMPLE) == Demands(acr_values=(), present=("auth_time",), subjects=())


@pytest.mark.parametrize(
    ("claims", "demands"),
    [
        ({}, ((), (), ())),
        ({"id_token": None, "userinfo": None}, ((), (), ())),
        ({"userinfo": {"acr": {"essential": True}, "sub": {"value": "1"}}}, ((), (), ())),
        (of_id_token(acr=None, auth_time=None, sub=None), ((), (), ())),
        (of_id_token(acr={"value": "phr"}), ((), (), ())),
        (of_id_token(acr={"essential": False, "values": ["phr"]}), ((), (), ())),
        (of_id_token(acr={"essential": True}), ((), ("acr",), ())),
        (of_id_token(acr={"essential": True, "values": []}), ((), ("acr",), ())),
        (of_id_token(acr={"essential": True, "value": "phr"}), (("phr",), (), ())),
        (of_id_token(acr={"essential": True, "values": ["a", "b"]}), (("a", "b"), (), ())),
        (of_id_token(acr={"essential": True, "values": ("a",)}), (("a",), (), ())),
        (of_id_token(auth_time={"essential": True}), ((), ("auth_time",), ())),
        (of_id_token(auth_time={"essential": False}), ((), (), ())),
        (of_id_token(auth_time={"value": 5}), ((), (), ())),
        (
            of_id_token(acr={"essential": True}, auth_time={"essential": True}),
            ((), ("acr", "auth_time"), ()),
        ),
        (of_id_token(sub={"value": "248289761001"}), ((), (), ("248289761001",))),
        (of_id_token(sub={"essential": True, "value": "1"}), ((), (), ("1",))),
        (of_id_token(sub={"values": ["1", "2"]}), ((), (), ("1", "2"))),
        (of_id_token(sub={"essential": True}), ((), (), ())),
        (of_id_token(email={"essential": True, "value": "a@b"}), ((), (), ())),
        (MappingProxyType(of_id_token(sub=MappingProxyType({"value": "1"}))), ((), (), ("1",))),
    ],
)
def test_what_binds_the_answer(claims: Any, demands: tuple[Any, ...]) -> None:
    """OpenID Connect Core 5.5.1 and 5.5.1.1."""
    check_claims(claims)
    assert demands_of(claims) == Demands(*demands)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        *((wrong, "claims") for wrong in (None, "{}", [], 1, True, [("id_token", {})])),
        *(
            ({place: wrong}, place)
            for place in ("id_token", "userinfo")
            for wrong in ([], "acr", 0, False, "")
        ),
        *(
            (of_id_token(**{name: wrong}), name)
            for name in ("acr", "auth_time", "sub")
            for wrong in ("phr", ["phr"], 0, False, True)
        ),
        *(
            (of_id_token(**{name: {"essential": wrong}}), f"essential of {name}")
            for name in ("acr", "auth_time", "sub")
            for wrong in (None, 1, "true")
        ),
        *(
            (of_id_token(**{name: {"values": wrong}}), f"values of {name}")
            for name in ("acr", "auth_time", "sub")
            for wrong in (None, "phr", {"phr": 1}, 5)
        ),
        *(
            (of_id_token(**{name: wrong}), name)
            for name in ("acr", "sub")
            for wrong in ({"value": None}, {"value": 1}, {"values": ["a", 1]}, {"value": ["a"]})
        ),
    ],
)
def test_another_shape(claims: Any, reason: str) -> None:
    with invalid(reason):
        check_claims(claims)


def test_values_of_a_single_claim() -> None:
    assert requested_values({}) == []
    assert requested_values({"value": "a"}) == ["a"]
    assert requested_values({"value": "a", "values": ["b", "c"]}) == ["b", "c"]


def test_nothing_over_nothing() -> None:
    assert merge_claims() == merge_claims(None, {}, None) == {}


def test_a_later_claim_wins_and_no_other_is_lost() -> None:
    first = {"id_token": {"a": 1, "b": 1}, "userinfo": {"c": 1}, "x": {"d": 1}}
    second = {"id_token": {"b": None}, "userinfo": None, "x": {"e": 2}}
    assert merge_claims(first, second) == {
        "id_token": {"a": 1, "b": None},
        "userinfo": {"c": 1},
        "x": {"e": 2},
    }
    capable = {"access_token": {"xms_cc": {"values": ["cp1"]}}}
    asked = {"access_token": {"acrs": {"value": "c1"}}}
    assert merge_claims(capable, asked) == {
        "access_token": {**capable["access_token"], **asked["access_token"]}
    }
    assert merge_claims({"access_token": 1}, asked) == asked
    assert merge_claims(asked, {"access_token": 1}) == {"access_token": 1}
    assert merge_claims({"id_token": None}, {"id_token": {"a": 1}}) == {"id_token": {"a": 1}}
    assert first["id_token"] == {"a": 1, "b": 1}


@bounded
@given(documents({**EXAMPLE, **of_id_token(acr={"essential": True}, sub={"value": "1"})}))
def test_claims_of_any_shape_are_read_or_refused(claims: dict[str, Any]) -> None:
    try:
        check_claims(claims)
    except ValueError:
        return
    demands = demands_of(merge_claims(claims, claims))
    assert all(isinstance(each, str) for each in (*demands.acr_values, *demands.subjects))
