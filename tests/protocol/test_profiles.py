from __future__ import annotations

import pytest

from flask_parjar.protocol.agreement import Agreement, agree
from flask_parjar.protocol.algorithms import ALGORITHMS, ASYMMETRIC_ALGORITHMS
from flask_parjar.protocol.client_auth import ClientAssertion
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.profiles import FAPI2, OPENID_CONNECT
from tests.protocol.examples import P384_JWK, make_client, make_metadata, signing_key


def test_every_key_of_ours_has_an_algorithm_where_nothing_is_listed() -> None:
    """By its curve, and by its type where the type has no curves."""
    needed = {needs.crv or needs.kty for name, needs in ALGORITHMS.items()}
    assert set(OPENID_CONNECT.unlisted_algs) == needed
    for key, alg in OPENID_CONNECT.unlisted_algs.items():
        assert key in (ALGORITHMS[alg].crv, ALGORITHMS[alg].kty)


NOTHING_LISTED = {
    "request_object_signing_alg_values_supported": None,
    "token_endpoint_auth_signing_alg_values_supported": None,
    "id_token_signing_alg_values_supported": None,
}


@pytest.mark.parametrize("name, alg", [("PS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")])
def test_what_fapi_uses_where_nothing_is_listed(name: str, alg: str) -> None:
    client = make_client(signing_keys=(signing_key(name),))
    agreement = agree(client, make_metadata(**NOTHING_LISTED), FAPI2)
    assert isinstance(agreement, Agreement)
    assert agreement.request_signing is not None and agreement.request_signing.alg == alg
    assert isinstance(agreement.client_auth, ClientAssertion)
    assert agreement.client_auth.alg == alg
    assert set(agreement.id_token_algs) == {"PS256", "ES256", "EdDSA", "Ed25519"}
    assert (agreement.iss_required, agreement.https_redirect_uri) == (True, True)


def test_a_curve_of_which_fapi_knows_nothing_signs_nothing() -> None:
    (key,) = parse_signing_keys(P384_JWK)
    found = agree(make_client(signing_keys=(key,)), make_metadata(**NOTHING_LISTED), FAPI2)
    assert isinstance(found, tuple)
    assert {each.code for each in found} == {"client_auth_unsupported", "signing_alg_unsupported"}


def test_what_fapi_accepts_of_a_longer_list() -> None:
    every = list(ASYMMETRIC_ALGORITHMS)
    metadata = make_metadata(
        request_object_signing_alg_values_supported=every,
        id_token_signing_alg_values_supported=every,
        userinfo_signing_alg_values_supported=["RS256", "ES384", "ES256"],
    )
    client = make_client(signing_keys=(signing_key("RS256"),))
    agreement = agree(client, metadata, FAPI2)
    assert isinstance(agreement, Agreement)
    assert agreement.request_signing is not None and agreement.request_signing.alg == "PS256"
    assert set(agreement.id_token_algs) == {"PS256", "ES256", "EdDSA", "Ed25519"}
    assert agreement.userinfo_algs == ("ES256",)
