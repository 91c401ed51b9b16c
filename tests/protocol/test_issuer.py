from __future__ import annotations

from typing import Any

import pytest

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.issuer import AcceptedIssuer, find_template
from tests.support.errors import refused

ONE = AcceptedIssuer("https://op.example")
A, B, FOREIGN = "aaaa-1", "bbbb-2", "cccc-3"
MANY = AcceptedIssuer("https://login.example/organizations/v2.0", frozenset((B, A)))
TEMPLATE = "https://login.example/{tenantid}/v2.0"


def of(tenant: str) -> str:
    return f"https://login.example/{tenant}/v2.0"


@pytest.mark.parametrize(
    "issuer, template",
    [
        ("https://login.example/organizations/v2.0", TEMPLATE),
        ("https://login.example/common/v2.0", TEMPLATE),
        ("https://login.example/common/", "https://login.example/{tenantid}/"),
        ("https://login.example/common", "https://login.example/{tenantid}"),
        ("https://login.example/consumers/v2.0", None),
        ("https://login.example/commons/v2.0", None),
        ("https://login.example/Common/v2.0", None),
        ("https://common.example/", None),
        ("https://login.example/common/organizations", None),
        ("https://op.example", None),
    ],
)
def test_template_of_an_issuer(issuer: str, template: str | None) -> None:
    assert find_template(issuer) == template


def test_what_is_published() -> None:
    assert ONE.published == "https://op.example"
    assert MANY.published == TEMPLATE
    assert AcceptedIssuer("https://op.example", frozenset("a")).published == "https://op.example"


def test_the_issuers_of_people() -> None:
    assert ONE.issuers == ("https://op.example",)
    assert MANY.issuers == (of(A), of(B))


@pytest.mark.parametrize("issuer", [of(A), of(B)])
def test_people_of_an_allowed_tenant(issuer: str) -> None:
    assert MANY.includes(issuer) and MANY.may_answer(issuer)
    assert not ONE.includes(issuer) and not ONE.may_answer(issuer)


@pytest.mark.parametrize(
    "issuer",
    [
        of(FOREIGN),
        of("organizations"),
        of(""),
        of(A).upper(),
        f"{of(A)}/",
        A,
        f"https://login.example/{A}",
        f"{A}/v2.0",
        "https://login.example//v2.0",
        f"https://login.example/{A}/{B}/v2.0",
        "https://login.example/v2.0",
        "",
        None,
        7,
        [of(A)],
    ],
)
def test_people_of_no_allowed_tenant(issuer: Any) -> None:
    assert not MANY.includes(issuer)
    assert not MANY.may_answer(issuer)


def test_a_response_may_name_the_template_and_no_person_is_of_it() -> None:
    assert MANY.may_answer(TEMPLATE) and not MANY.includes(TEMPLATE)
    assert ONE.may_answer("https://op.example") and ONE.includes("https://op.example")


@pytest.mark.parametrize("tenant_named", [True, False])
def test_a_token_of_an_allowed_tenant(tenant_named: bool) -> None:
    for tenant in (A, B):
        MANY.verify({"iss": of(tenant), "tid": tenant}, tenant_named=tenant_named)
    ONE.verify({"iss": "https://op.example", "tid": [FOREIGN]}, tenant_named=tenant_named)


def test_a_token_that_need_not_name_its_tenant() -> None:
    MANY.verify({"iss": of(A)}, tenant_named=False)
    MANY.verify({"iss": of(A), "tid": None}, tenant_named=False)
    for iss in (of(FOREIGN), TEMPLATE):
        with refused(TokenRejected, "token_issuer", TEMPLATE, f"{iss!r}"):
            MANY.verify({"iss": iss}, tenant_named=False)


@pytest.mark.parametrize("tenant_named", [True, False])
@pytest.mark.parametrize(
    "iss, tid",
    [
        (of(FOREIGN), A),
        (of(B), A),
        (of(A), FOREIGN),
        (TEMPLATE, A),
        ([of(A)], A),
        (None, A),
    ],
)
def test_iss_and_tid_of_two_tenants(iss: Any, tid: str, tenant_named: bool) -> None:
    with refused(TokenRejected, "token_issuer", f"{of(tid)!r}", f"{str(iss)!r}"):
        MANY.verify({"iss": iss, "tid": tid}, tenant_named=tenant_named)


@pytest.mark.parametrize("tenant_named", [True, False])
@pytest.mark.parametrize("tid", [FOREIGN, "organizations"])
def test_a_tenant_that_is_not_allowed(tid: str, tenant_named: bool) -> None:
    with refused(TokenRejected, "tenant_refused", f"tid={tid!r}"):
        MANY.verify({"iss": of(tid), "tid": tid}, tenant_named=tenant_named)


@pytest.mark.parametrize("tenant_named", [True, False])
@pytest.mark.parametrize(
    "tid", ["{tenantid}", "a/b", "..", A.upper(), f"{A}\n", "x" * 65, "x" * 81, "", 1, [A]]
)
def test_a_tid_that_names_no_tenant(tid: Any, tenant_named: bool) -> None:
    with refused(TokenRejected, "token_issuer", f"tid={str(tid)[:80]!r}"):
        MANY.verify({"iss": of(str(tid)), "tid": tid}, tenant_named=tenant_named)


@pytest.mark.parametrize("tenant_named", [True, False])
@pytest.mark.parametrize("claims", [{"iss": of(A), "tid": [A]}, {"tid": A}])
def test_claims_that_are_no_text_or_missing(claims: dict[str, Any], tenant_named: bool) -> None:
    with refused(TokenRejected, "token_issuer"):
        MANY.verify(claims, tenant_named=tenant_named)


@pytest.mark.parametrize("tenant_named", [True, False])
def test_a_key_signs_for_its_issuer_alone(tenant_named: bool) -> None:
    claims = {"iss": of(A), "tid": A}
    for key_issuer in (None, TEMPLATE, of(A)):
        MANY.verify(claims, tenant_named=tenant_named, key_issuer=key_issuer)
    for key_issuer in (of(B), of(FOREIGN), "", of("organizations"), "['x']"):
        with refused(TokenRejected, "token_issuer", key_issuer, f"{of(A)!r}"):
            MANY.verify(claims, tenant_named=tenant_named, key_issuer=key_issuer)
    # Where there are no tenants, the member has no meaning.
    ONE.verify({"iss": ONE.configured}, tenant_named=tenant_named, key_issuer=of(B))


def test_a_token_that_does_not_name_its_tenant() -> None:
    for claims in ({"iss": of(A)}, {"iss": of(A), "tid": None}, {}):
        with refused(TokenRejected, "token_issuer", "tid='None'"):
            MANY.verify(claims, tenant_named=True)
    with refused(TokenRejected, "token_issuer", TEMPLATE, "'None'"):
        MANY.verify({}, tenant_named=False)


@pytest.mark.parametrize("iss", ["https://op.example/", "", None, ["https://op.example"]])
def test_a_token_of_another_issuer(iss: Any) -> None:
    with refused(TokenRejected, "token_issuer", f"{ONE.configured!r}", f"{str(iss)!r}"):
        ONE.verify({"iss": iss}, tenant_named=False)
