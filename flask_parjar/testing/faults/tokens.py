"""Faults of the token endpoint and of userinfo, but for what is inside the ID token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bodies import error, oversized, page, redirect
from .table import FaultTable

if TYPE_CHECKING:
    from ..answers import Answer

table: FaultTable = FaultTable()


@table.at("token")
def id_token_missing(answer: Answer) -> None:
    """The tokens come without an ID token."""
    answer.drop("id_token")


@table.at("token")
def token_error_invalid_grant(answer: Answer) -> None:
    """The code is refused."""
    error(answer, "invalid_grant")


@table.at("token")
def token_error_invalid_client(answer: Answer) -> None:
    """The client is not known to the token endpoint."""
    error(answer, "invalid_client", status=401)


@table.at("token")
def token_html(answer: Answer) -> None:
    """The tokens are a page for people."""
    page(answer, 200)


@table.at("token")
def token_not_an_object(answer: Answer) -> None:
    """The tokens are a JSON array."""
    answer.members = [answer.members]


@table.at("token")
def token_duplicated_member(answer: Answer) -> None:
    """The answer has two access tokens."""
    answer.body = '{"access_token":"another",' + answer.text()[1:]


@table.at("token")
def token_500(answer: Answer) -> None:
    """The provider fails while it redeems the code."""
    page(answer, 500)


@table.at("token")
def token_redirect(answer: Answer) -> None:
    """The token request is redirected to an address inside."""
    redirect(answer)


@table.at("token")
def token_oversized(answer: Answer) -> None:
    """The tokens have 50 MB."""
    oversized(answer)


@table.at("token")
def token_access_token_missing(answer: Answer) -> None:
    """There is no access token."""
    answer.drop("access_token")


@table.at("token")
def token_access_token_not_a_string(answer: Answer) -> None:
    """The access token is a number."""
    answer.put("access_token", 12345)


@table.at("token")
def token_type_missing(answer: Answer) -> None:
    """The access token has no type."""
    answer.drop("token_type")


@table.at("token")
def token_type_mac(answer: Answer) -> None:
    """The access token is of a type that nobody asked for."""
    answer.put("token_type", "mac")


@table.at("token", oidf="fapi2-security-profile-final-client-test-token-type-case-insensitivity")
def token_type_lower_case(answer: Answer) -> None:
    """The type is written `bearer`: it counts all the same."""
    answer.put("token_type", "bearer")


_NO_EXPIRY = "fapi2-security-profile-final-client-test-token-endpoint-response-without-expires_in"


@table.at("token", oidf=_NO_EXPIRY)
def token_expires_in_missing(answer: Answer) -> None:
    """The answer does not say how long the access token holds: it counts all the same."""
    answer.drop("expires_in")


@table.at("token")
def token_expires_in_string(answer: Answer) -> None:
    """The lifetime of the access token is a word."""
    answer.put("expires_in", "soon")


@table.at("token")
def token_scope_missing(answer: Answer) -> None:
    """The answer names no scope: it is what was asked for."""
    answer.drop("scope")


@table.at("token")
def token_scope_narrower(answer: Answer) -> None:
    """The answer grants `openid` alone."""
    answer.put("scope", "openid")


@table.at("userinfo", oidf="oidcc-client-test-userinfo-invalid-sub")
def userinfo_sub_foreign(answer: Answer) -> None:
    """Userinfo tells of another person."""
    answer.put("sub", "somebody-else")


@table.at("userinfo")
def userinfo_sub_missing(answer: Answer) -> None:
    """Userinfo does not say of whom it tells."""
    answer.drop("sub")


@table.at("userinfo")
def userinfo_not_json(answer: Answer) -> None:
    """Userinfo is not JSON, although it says so."""
    answer.body = b"sub=ada&name=Ada"


@table.at("userinfo")
def userinfo_html(answer: Answer) -> None:
    """Userinfo is a page for people."""
    page(answer, 200)


@table.at("userinfo")
def userinfo_not_an_object(answer: Answer) -> None:
    """Userinfo is a JSON array."""
    answer.members = [answer.members]


@table.at("userinfo")
def userinfo_oversized(answer: Answer) -> None:
    """Userinfo has 50 MB."""
    oversized(answer)


@table.at("userinfo")
def userinfo_401(answer: Answer) -> None:
    """Userinfo does not take the access token that was just issued."""
    error(answer, "invalid_token", status=401)


@table.at("userinfo")
def userinfo_500(answer: Answer) -> None:
    """The provider fails while it looks the person up."""
    page(answer, 500)


@table.at("userinfo")
def userinfo_redirect(answer: Answer) -> None:
    """Userinfo redirects to an address inside."""
    redirect(answer)
