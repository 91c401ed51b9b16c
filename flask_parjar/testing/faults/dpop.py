"""Faults of DPoP: nonces, keys, and tokens that are not bound."""

from __future__ import annotations

import secrets

from ..answers import Answer, DPoPBindingDraft, DPoPChallengeDraft, DPoPNonceDraft
from .table import FaultTable, error

OVERSIZED_NONCE = 10_000
table: FaultTable = FaultTable()
#: The faults after a login.
refresh_table: FaultTable = FaultTable()


@table.at("metadata")
def metadata_dpop_algs_missing(answer: Answer) -> None:
    """The metadata does not say that there is DPoP: it is used nevertheless."""
    answer.drop("dpop_signing_alg_values_supported")


@table.at("metadata")
def metadata_dpop_algs_rsa(answer: Answer) -> None:
    """The metadata lists RSA algorithms alone for DPoP."""
    answer.put("dpop_signing_alg_values_supported", ["RS256", "PS256"])


@table.at("dpop_nonce")
def dpop_nonce_missing(draft: DPoPNonceDraft) -> None:
    """The provider asks for a nonce in the proof, and gives none."""
    draft.nonce = None


@table.at("dpop_nonce")
def dpop_nonce_wrong(draft: DPoPNonceDraft) -> None:
    """The provider gives nonces that it does not accept, a new one each time."""
    draft.nonce = secrets.token_urlsafe(16)


@table.at("dpop_nonce")
def dpop_nonce_for_ever(draft: DPoPNonceDraft) -> None:
    """The provider asks for a nonce again and again, always for the same one."""
    draft.nonce = "always-the-same"


@table.at("dpop_nonce")
def dpop_nonce_control_characters(draft: DPoPNonceDraft) -> None:
    """The nonce has control characters."""
    draft.nonce = "a\x7fnonce\twith\x01more"


@table.at("dpop_nonce")
def dpop_nonce_oversized(draft: DPoPNonceDraft) -> None:
    """The nonce has 10 kB."""
    draft.nonce = "n" * OVERSIZED_NONCE


@table.at("token")
def token_dpop_bearer(answer: Answer) -> None:
    """The provider issues a bearer token where a bound one was requested."""
    answer.put("token_type", "Bearer")


@table.at("token", oidf="fapi2-security-profile-final-client-test-token-type-case-insensitivity")
def token_dpop_lower_case(answer: Answer) -> None:
    """The type of a bound token is written `dpop`: it is accepted."""
    answer.put("token_type", "dpop")


@table.at("token")
def token_dpop_unasked(answer: Answer) -> None:
    """The provider issues a bound token where a bearer token was requested."""
    answer.put("token_type", "DPoP")


@table.at("token")
def token_dpop_proof_refused(answer: Answer) -> None:
    """The token endpoint does not accept the proof."""
    error(answer, "invalid_dpop_proof")


@table.at("dpop_binding")
def dpop_binding_foreign(draft: DPoPBindingDraft) -> None:
    """The access token is bound to another key than that of the proof."""
    draft.jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"  # of RFC 9449 section 6.1


_FAPI2 = "fapi2-security-profile-final-client-test-"


@table.at("dpop_challenge", oidf=_FAPI2 + "rs-dpop-auth-scheme-case-insensitivity")
def dpop_challenge_other_case(draft: DPoPChallengeDraft) -> None:
    """Userinfo asks for a nonce, and writes the scheme `dPOp`: it is the same scheme."""
    draft.scheme = "dPOp"


@refresh_table.at("refresh")
def refresh_dpop_bearer(answer: Answer) -> None:
    """The provider renews a bound token with a bearer token."""
    answer.put("token_type", "Bearer")


@refresh_table.at("refresh")
def refresh_dpop_unasked(answer: Answer) -> None:
    """The provider renews a bearer token with a bound one."""
    answer.put("token_type", "DPoP")
