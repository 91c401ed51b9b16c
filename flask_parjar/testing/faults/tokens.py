"""Faults of the token, revocation and userinfo endpoints. Those of the ID token are apart."""

from __future__ import annotations

import itertools
import time

from ..answers import Answer, IDTokenDraft
from .table import FaultTable, busy, error, oversized, page, redirect

SLOW_SECONDS = 1
table: FaultTable = FaultTable()
#: The faults after a login: refreshed tokens and revocation.
refresh_table: FaultTable = FaultTable()


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
    """The token endpoint does not know the client."""
    error(answer, "invalid_client", status=401)


@table.at("token")
def token_html(answer: Answer) -> None:
    """The tokens are an HTML page."""
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
    """The provider fails during the code exchange."""
    page(answer, 500)


@table.at("token")
def token_redirect(answer: Answer) -> None:
    """The token request is redirected to an internal address."""
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
    """The access token has a type that was not requested."""
    answer.put("token_type", "mac")


@table.at("token", oidf="fapi2-security-profile-final-client-test-token-type-case-insensitivity")
def token_type_lower_case(answer: Answer) -> None:
    """The type is written `bearer`: it is accepted."""
    answer.put("token_type", "bearer")


_NO_EXPIRY = "fapi2-security-profile-final-client-test-token-endpoint-response-without-expires_in"


@table.at("token", oidf=_NO_EXPIRY)
def token_expires_in_missing(answer: Answer) -> None:
    """The answer has no `expires_in`: it is accepted."""
    answer.drop("expires_in")


@table.at("token")
def token_expires_in_string(answer: Answer) -> None:
    """The lifetime of the access token is a word."""
    answer.put("expires_in", "soon")


@table.at("token")
def token_scope_missing(answer: Answer) -> None:
    """The answer has no scope: it is the one that was requested."""
    answer.drop("scope")


@table.at("token")
def token_scope_narrower(answer: Answer) -> None:
    """The answer grants `openid` alone."""
    answer.put("scope", "openid")


@table.at("userinfo", oidf="oidcc-client-test-userinfo-invalid-sub")
def userinfo_sub_foreign(answer: Answer) -> None:
    """Userinfo is about another person."""
    answer.put("sub", "another-person")


@table.at("userinfo")
def userinfo_sub_missing(answer: Answer) -> None:
    """Userinfo has no `sub`."""
    answer.drop("sub")


@table.at("userinfo")
def userinfo_sign_in(answer: Answer) -> None:
    """Userinfo also describes the sign-in, as only the ID token may: this is ignored."""
    answer.put("acr", "mfa")
    answer.put("amr", ["otp"])
    answer.put("auth_time", int(time.time()))
    answer.put("sid", "of-userinfo")
    answer.put("azp", "another-client")


@table.at("userinfo")
def userinfo_not_json(answer: Answer) -> None:
    """Userinfo is not JSON, although it says so."""
    answer.body = b"sub=ada&name=Ada"


@table.at("userinfo")
def userinfo_html(answer: Answer) -> None:
    """Userinfo is an HTML page."""
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
    """Userinfo does not accept the access token that was just issued."""
    error(answer, "invalid_token", status=401)


@table.at("userinfo")
def userinfo_500(answer: Answer) -> None:
    """The provider fails during the userinfo request."""
    page(answer, 500)


@table.at("userinfo")
def userinfo_redirect(answer: Answer) -> None:
    """Userinfo redirects to an internal address."""
    redirect(answer)


@refresh_table.at("refresh")
def refresh_invalid_grant(answer: Answer) -> None:
    """The refresh token is refused."""
    error(answer, "invalid_grant")


@refresh_table.at("refresh")
def refresh_overloaded(answer: Answer) -> None:
    """The provider answers 400 and says that this is temporary."""
    error(answer, "temporarily_unavailable")


@refresh_table.at("refresh")
def refresh_503(answer: Answer) -> None:
    """The provider is down for maintenance when tokens should be refreshed."""
    busy(answer, 503, retry_after=None)


@refresh_table.at("refresh")
def refresh_429(answer: Answer) -> None:
    """The provider asks clients to wait for two minutes before the next refresh."""
    busy(answer, 429, retry_after="120")


@refresh_table.at("refresh")
def refresh_invalid_grant_401(answer: Answer) -> None:
    """The refresh token is refused, with the 401 of older servers."""
    error(answer, "invalid_grant", status=401)


@refresh_table.at("refresh")
def refresh_invalid_request(answer: Answer) -> None:
    """The refresh token is refused with another error than that of the standard."""
    error(answer, "invalid_request")


@refresh_table.at("refresh")
def refresh_hangs_up(answer: Answer) -> None:
    """The provider uses the refresh token, then closes the connection before its answer ends."""
    # The beginning is sent first: a server that has sent nothing would keep the connection open.
    beginning = answer.text()[:20].encode()
    answer.body = itertools.chain([beginning], iter(_hang_up, b""))


def _hang_up() -> bytes:
    raise ConnectionResetError("the provider closed the connection")


@refresh_table.at("refresh")
def refresh_slow(answer: Answer) -> None:
    """The provider needs a second to refresh tokens: it is accepted."""
    time.sleep(SLOW_SECONDS)


@refresh_table.at("refresh")
def refresh_without_new_token(answer: Answer) -> None:
    """The refreshed tokens come without a new refresh token: the old one stays valid."""
    answer.drop("refresh_token")


@refresh_table.at("refresh")
def refresh_without_id_token(answer: Answer) -> None:
    """The refreshed tokens come without an ID token: they are accepted."""
    answer.drop("id_token")


@refresh_table.at("refresh_id_token")
def refresh_other_subject(draft: IDTokenDraft) -> None:
    """The refreshed ID token is that of another person."""
    draft.claims["sub"] = "another-person"


@refresh_table.at("refresh_id_token")
def refresh_auth_time_moved(draft: IDTokenDraft) -> None:
    """The refreshed ID token has a later ``auth_time`` than that of the login."""
    draft.claims["auth_time"] = draft.claims["iat"]


@refresh_table.at("refresh_id_token")
def refresh_acr_other(draft: IDTokenDraft) -> None:
    """The refreshed ID token has another ``acr`` than that of the login."""
    draft.claims["acr"] = "another-level"


@refresh_table.at("refresh_id_token")
def refresh_session_expiry_past(draft: IDTokenDraft) -> None:
    """The refreshed ID token has a ``session_expiry`` of a second ago."""
    draft.claims["session_expiry"] = draft.now - 1


@refresh_table.at("refresh_id_token")
def refresh_other_issuer(draft: IDTokenDraft) -> None:
    """The refreshed ID token is of another issuer."""
    draft.claims["iss"] = "https://other-provider.example"


@refresh_table.at("revocation")
def revocation_503(answer: Answer) -> None:
    """The provider is down for maintenance when a token should be revoked."""
    busy(answer, 503, retry_after=None)


@refresh_table.at("revocation")
def revocation_refused(answer: Answer) -> None:
    """The provider does not revoke tokens of this type."""
    error(answer, "unsupported_token_type")
