"""Faults of the ID token's claims. Those of its header and signature are in ``signature.py``."""

from __future__ import annotations

import json

from ..answers import IDTokenDraft
from .table import FaultTable

_OIDC = "oidcc-client-test-"
_FAPI2 = "fapi2-security-profile-final-client-test-"
_DAY = 86_400
table: FaultTable = FaultTable()


@table.at("id_token", oidf=_OIDC + "invalid-iss")
def id_token_iss_foreign(draft: IDTokenDraft) -> None:
    """`iss` is another issuer."""
    draft.claims["iss"] = "https://other-provider.example"


@table.at("id_token", oidf=_FAPI2 + "invalid-missing-iss")
def id_token_iss_missing(draft: IDTokenDraft) -> None:
    """There is no `iss`."""
    del draft.claims["iss"]


@table.at("id_token")
def id_token_iss_slash(draft: IDTokenDraft) -> None:
    """`iss` differs from the issuer by a slash at the end."""
    issuer = str(draft.claims["iss"])
    draft.claims["iss"] = issuer[:-1] if issuer.endswith("/") else issuer + "/"


@table.at("id_token", oidf=_OIDC + "missing-sub")
def id_token_sub_missing(draft: IDTokenDraft) -> None:
    """There is no `sub`."""
    del draft.claims["sub"]


@table.at("id_token")
def id_token_sub_empty(draft: IDTokenDraft) -> None:
    """`sub` is empty."""
    draft.claims["sub"] = ""


@table.at("id_token")
def id_token_sub_too_long(draft: IDTokenDraft) -> None:
    """`sub` has 256 characters; the standard allows 255."""
    draft.claims["sub"] = "s" * 256


@table.at("id_token")
def id_token_sub_not_a_string(draft: IDTokenDraft) -> None:
    """`sub` is a number."""
    draft.claims["sub"] = 42


@table.at("id_token")
def id_token_sub_not_ascii(draft: IDTokenDraft) -> None:
    """`sub` has letters outside ASCII, which may look like others."""
    draft.claims["sub"] = "\N{CYRILLIC SMALL LETTER A}d\N{CYRILLIC SMALL LETTER A}"


@table.at("id_token")
def id_token_sub_other(draft: IDTokenDraft) -> None:
    """It is about another person than the one whose `sub` was requested."""
    draft.claims["sub"] = "another-person"


@table.at("id_token", oidf=_OIDC + "invalid-aud")
def id_token_aud_foreign(draft: IDTokenDraft) -> None:
    """`aud` is another client."""
    draft.claims["aud"] = "another-client"


@table.at("id_token", oidf=_OIDC + "missing-aud")
def id_token_aud_missing(draft: IDTokenDraft) -> None:
    """There is no `aud`."""
    del draft.claims["aud"]


@table.at("id_token", oidf=_FAPI2 + "valid-aud-as-array")
def id_token_aud_array(draft: IDTokenDraft) -> None:
    """`aud` is an array with only this client: it is accepted."""
    draft.claims["aud"] = [draft.client.client_id]


@table.at("id_token")
def id_token_aud_empty_array(draft: IDTokenDraft) -> None:
    """`aud` is an empty array."""
    draft.claims["aud"] = []


@table.at("id_token")
def id_token_aud_not_strings(draft: IDTokenDraft) -> None:
    """`aud` has an object beside this client."""
    draft.claims["aud"] = [draft.client.client_id, {"client": True}]


@table.at("id_token")
def id_token_aud_list_without_azp(draft: IDTokenDraft) -> None:
    """`aud` is this client and one that is not trusted; there is no `azp`."""
    draft.claims["aud"] = [draft.client.client_id, "another-client"]
    draft.claims.pop("azp", None)


@table.at("id_token", oidf=_FAPI2 + "invalid-secondary-aud")
def id_token_aud_list_untrusted(draft: IDTokenDraft) -> None:
    """`aud` is this client and one that is not trusted; `azp` is this client."""
    draft.claims["aud"] = [draft.client.client_id, "another-client"]
    draft.claims["azp"] = draft.client.client_id


@table.at("id_token")
def id_token_aud_foreign_azp_ours(draft: IDTokenDraft) -> None:
    """`aud` is another client, `azp` is this one."""
    draft.claims["aud"], draft.claims["azp"] = "another-client", draft.client.client_id


@table.at("id_token")
def id_token_azp_foreign(draft: IDTokenDraft) -> None:
    """`azp` is another client."""
    draft.claims["azp"] = "another-client"


@table.at("id_token", oidf=_FAPI2 + "invalid-expired-exp")
def id_token_expired(draft: IDTokenDraft) -> None:
    """It expired ten minutes ago."""
    draft.claims["iat"], draft.claims["exp"] = draft.now - 900, draft.now - 600


@table.at("id_token", oidf=_FAPI2 + "invalid-missing-exp")
def id_token_exp_missing(draft: IDTokenDraft) -> None:
    """There is no `exp`."""
    del draft.claims["exp"]


@table.at("id_token")
def id_token_exp_string(draft: IDTokenDraft) -> None:
    """`exp` is a string of digits."""
    draft.claims["exp"] = str(draft.claims["exp"])


@table.at("id_token")
def id_token_exp_boolean(draft: IDTokenDraft) -> None:
    """`exp` is true."""
    draft.claims["exp"] = True


@table.at("id_token")
def id_token_exp_nan(draft: IDTokenDraft) -> None:
    """`exp` is NaN, which is neither less nor greater than any number."""
    draft.claims["exp"] = float("nan")


@table.at("id_token")
def id_token_exp_infinite(draft: IDTokenDraft) -> None:
    """`exp` is 1e999, which a parser may read as infinity."""
    draft.payload = json.dumps({**draft.claims, "exp": "?"}).replace('"?"', "1e999").encode()


@table.at("id_token")
def id_token_exp_huge(draft: IDTokenDraft) -> None:
    """`exp` is a number of 400 digits."""
    draft.claims["exp"] = 10**400


@table.at("id_token", oidf=_OIDC + "missing-iat")
def id_token_iat_missing(draft: IDTokenDraft) -> None:
    """There is no `iat`."""
    del draft.claims["iat"]


@table.at("id_token")
def id_token_iat_string(draft: IDTokenDraft) -> None:
    """`iat` is a string of digits."""
    draft.claims["iat"] = str(draft.now)


@table.at("id_token")
def id_token_iat_future(draft: IDTokenDraft) -> None:
    """`iat` is ten minutes in the future."""
    draft.claims["iat"], draft.claims["exp"] = draft.now + 600, draft.now + 900


@table.at("id_token", oidf="fapi1-advanced-final-client-test-iat-is-week-in-past")
def id_token_iat_absurdly_old(draft: IDTokenDraft) -> None:
    """It was issued a week ago, and is valid for another week."""
    draft.claims["iat"], draft.claims["exp"] = draft.now - 7 * _DAY, draft.now + 7 * _DAY


@table.at("id_token")
def id_token_nbf_future(draft: IDTokenDraft) -> None:
    """`nbf` is ten minutes in the future."""
    draft.claims["nbf"] = draft.now + 600


@table.at("id_token", oidf=_OIDC + "nonce-invalid")
def id_token_nonce_wrong(draft: IDTokenDraft) -> None:
    """`nonce` is that of another login."""
    draft.claims["nonce"] = "the-nonce-of-another-login"


@table.at("id_token", oidf=_FAPI2 + "invalid-missing-nonce")
def id_token_nonce_missing(draft: IDTokenDraft) -> None:
    """There is no `nonce`."""
    draft.claims.pop("nonce", None)


@table.at("id_token")
def id_token_nonce_not_a_string(draft: IDTokenDraft) -> None:
    """`nonce` is an array with the right one in it."""
    draft.claims["nonce"] = [draft.claims.get("nonce")]


@table.at("id_token", oidf=_OIDC + "invalid-athash")
def id_token_at_hash_wrong(draft: IDTokenDraft) -> None:
    """`at_hash` belongs to another access token."""
    draft.claims["at_hash"] = "LDktKdoQak3Pk0cnXxCltA"  # that of the standard's own example


@table.at("id_token")
def id_token_at_hash_not_a_string(draft: IDTokenDraft) -> None:
    """`at_hash` is a number."""
    draft.claims["at_hash"] = 0


@table.at("id_token", oidf=_OIDC + "missing-athash")
def id_token_at_hash_missing(draft: IDTokenDraft) -> None:
    """There is no `at_hash`: in the code flow it is optional."""
    del draft.claims["at_hash"]


@table.at("id_token")
def id_token_auth_time_missing(draft: IDTokenDraft) -> None:
    """There is no `auth_time`, which is required with `max_age`."""
    del draft.claims["auth_time"]


@table.at("id_token")
def id_token_auth_time_old(draft: IDTokenDraft) -> None:
    """The person signed in a day ago, longer than `max_age` allows."""
    draft.claims["auth_time"] = draft.now - _DAY


@table.at("id_token")
def id_token_auth_time_milliseconds(draft: IDTokenDraft) -> None:
    """`auth_time` counts milliseconds, and so lies in the far future."""
    draft.claims["auth_time"] = draft.now * 1000


@table.at("id_token")
def id_token_auth_time_string(draft: IDTokenDraft) -> None:
    """`auth_time` is a string of digits."""
    draft.claims["auth_time"] = str(draft.now)


@table.at("id_token")
def id_token_acr_other(draft: IDTokenDraft) -> None:
    """`acr` is a level that was not requested."""
    draft.claims["acr"] = "another-level"


@table.at("id_token")
def id_token_acr_missing(draft: IDTokenDraft) -> None:
    """There is no `acr`."""
    del draft.claims["acr"]


@table.at("id_token")
def id_token_sid_missing(draft: IDTokenDraft) -> None:
    """There is no `sid`: it is optional."""
    del draft.claims["sid"]


@table.at("id_token")
def id_token_session_expiry_past(draft: IDTokenDraft) -> None:
    """`session_expiry` is a second ago: the session must have ended."""
    draft.claims["session_expiry"] = draft.now - 1


@table.at("id_token")
def id_token_session_expiry_negative(draft: IDTokenDraft) -> None:
    """`session_expiry` is before 1970."""
    draft.claims["session_expiry"] = -draft.now


@table.at("id_token")
def id_token_session_expiry_milliseconds(draft: IDTokenDraft) -> None:
    """`session_expiry` is in milliseconds."""
    draft.claims["session_expiry"] = (draft.now + 3600) * 1000


@table.at("id_token")
def id_token_session_expiry_string(draft: IDTokenDraft) -> None:
    """`session_expiry` is a string of digits."""
    draft.claims["session_expiry"] = str(draft.now + 3600)


@table.at("id_token")
def id_token_session_expiry_boolean(draft: IDTokenDraft) -> None:
    """`session_expiry` is `true`."""
    draft.claims["session_expiry"] = True


@table.at("id_token")
def id_token_session_expiry_huge(draft: IDTokenDraft) -> None:
    """`session_expiry` is an integer of 400 digits."""
    draft.claims["session_expiry"] = 10**400


@table.at("id_token")
def id_token_session_expiry_fraction(draft: IDTokenDraft) -> None:
    """`session_expiry` is half a second after an hour: it counts without the fraction."""
    draft.claims["session_expiry"] = draft.now + 3600.5


@table.at("id_token")
def id_token_session_expiry_null(draft: IDTokenDraft) -> None:
    """`session_expiry` is `null`: it is optional."""
    draft.claims["session_expiry"] = None


@table.at("id_token")
def id_token_duplicated_member(draft: IDTokenDraft) -> None:
    """There are two `sub`: another person, then the right one."""
    draft.payload = b'{"sub":"another-person",' + json.dumps(draft.claims).encode()[1:]


@table.at("id_token")
def id_token_claims_not_an_object(draft: IDTokenDraft) -> None:
    """The claims are a JSON array."""
    draft.payload = json.dumps([draft.claims]).encode()


@table.at("id_token")
def id_token_claims_not_json(draft: IDTokenDraft) -> None:
    """The claims are not JSON."""
    draft.payload = b"sub=ada"


@table.at("id_token")
def id_token_claims_not_utf8(draft: IDTokenDraft) -> None:
    """The claims are not UTF-8."""
    draft.payload = json.dumps({**draft.claims, "name": "?"}).encode().replace(b"?", b"\xff\xfe")


@table.at("id_token")
def id_token_claims_deep(draft: IDTokenDraft) -> None:
    """One claim is 20,000 nested arrays."""
    nested = b"[" * 20_000 + b"]" * 20_000
    draft.payload = b'{"deep":' + nested + b"," + json.dumps(draft.claims).encode()[1:]


@table.at("id_token")
def id_token_oversized(draft: IDTokenDraft) -> None:
    """It has half a megabyte."""
    draft.claims["padding"] = "x" * 500_000
