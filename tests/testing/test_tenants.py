"""The provider with tenants: what its documents, tokens and responses say."""

from __future__ import annotations

import pytest

from flask_parjar.protocol.jws import read_claims
from flask_parjar.testing import DevProvider
from tests.support.after_login import token_site
from tests.support.errors import invalid
from tests.support.headers import FROM_HERE
from tests.support.site import Visitor, path_and_query, query
from tests.support.tenants import ADAS, ISSUER, TENANTS, issuer_of, make_tenants_provider


def test_the_metadata_has_the_template() -> None:
    provider = make_tenants_provider()
    assert provider.metadata["issuer"] == issuer_of("{tenantid}")
    assert str(provider.metadata["token_endpoint"]).startswith(ISSUER)


def test_a_response_has_the_template_and_a_sign_out_the_tenant() -> None:
    provider = make_tenants_provider()
    visitor = Visitor(token_site(provider, "memory", PARJAR_TENANTS=TENANTS), provider)
    browser = provider.browser()
    back = browser.sign_in(visitor.leave(), "ada")
    assert query(back)["iss"] == [issuer_of("{tenantid}")]
    visitor.get(path_and_query(back))
    browser.sign_out(visitor.post("/logout", headers=FROM_HERE).location)
    assert [query(url)["iss"] for url in browser.frames] == [[issuer_of(ADAS)]]


def test_a_logout_token_is_of_the_tenant() -> None:
    provider = make_tenants_provider()
    token_site(provider, "memory", PARJAR_TENANTS=TENANTS)
    assert read_claims(provider.logout_token(sub="ada"))["iss"] == issuer_of(ADAS)


@pytest.mark.parametrize("issuer", ["https://op.example", "https://op.example/common/common"])
def test_an_issuer_without_a_place_for_tenants(issuer: str) -> None:
    with invalid(repr(issuer)):
        DevProvider(issuer).serve_tenants({"ada": ADAS})


def test_a_person_that_there_is_not() -> None:
    with invalid("zoe"):
        DevProvider(ISSUER).serve_tenants({"zoe": ADAS})
