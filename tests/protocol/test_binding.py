from __future__ import annotations

from collections.abc import Mapping

import pytest

from flask_parjar.protocol.binding import (
    BEARER,
    KINDS,
    Bearer,
    BeginBinding,
    begin_bearer,
    read_binding,
)
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.mutual_tls import begin_certificate
from flask_parjar.protocol.outbound import Answer, Outbound
from flask_parjar.protocol.transaction import new_seed
from flask_parjar.provider.nonces import Nonces
from tests.protocol.examples import NOW
from tests.support.errors import invalid

URL = "https://op.example/userinfo"
NONCES = Nonces()


#: How a binding of each kind begins.
BEGINNINGS: Mapping[str, BeginBinding] = {
    "bearer": begin_bearer,
    "dpop": BeginDPoP(alg="ES256", at_par=True),
    "certificate": begin_certificate,
}


def test_each_kind_that_begins_can_be_stored() -> None:
    assert BEGINNINGS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_a_binding_is_named_by_its_row_and_can_be_stored(kind: str) -> None:
    binding = BEGINNINGS[kind](new_seed())
    assert binding.kind == kind
    assert read_binding(kind, binding.to_text()) == binding


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_the_same_seed_makes_the_same_binding(kind: str) -> None:
    """What the callback makes again is what the request was made with."""
    seed = new_seed()
    assert BEGINNINGS[kind](seed) == BEGINNINGS[kind](seed)


@pytest.mark.parametrize("kind", ["", "DPoP", "Bearer", "x" * 100])
def test_a_kind_that_this_version_does_not_have(kind: str) -> None:
    with invalid(repr(kind)[:40]):
        read_binding(kind, "")


# Bearer tokens.


def test_a_bearer_token_is_bound_to_nothing() -> None:
    assert begin_bearer(new_seed()) == BEARER == Bearer()
    assert BEARER.parameters() == {}
    assert BEARER.proofs(nonces=NONCES) == BEARER.push_proofs(nonces=NONCES) == ()
    assert BEARER.to_text() == ""


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_type_of_a_bearer_token(token_type: str) -> None:
    assert BEARER.accepts(token_type)


@pytest.mark.parametrize("token_type", ["", "DPoP", "mac", "N_A", " bearer", "bearer\n", "bearer2"])
def test_another_type_is_no_bearer_token(token_type: str) -> None:
    assert not BEARER.accepts(token_type)


def test_a_bearer_token_goes_into_the_header() -> None:
    """RFC 6750 section 2.1; never into the URL or the form."""
    (proof,) = BEARER.proofs("SlAV32hkKG", nonces=NONCES)
    outbound = proof.apply(Outbound(method="GET", url=URL), now=NOW)
    assert outbound == Outbound(
        method="GET", url=URL, headers={"Authorization": "Bearer SlAV32hkKG"}
    )
    assert "SlAV32hkKG" not in repr(proof)
    assert "SlAV32hkKG" not in repr(outbound)


@pytest.mark.parametrize("status", [200, 401])
def test_a_bearer_token_learns_nothing(status: int) -> None:
    (proof,) = BEARER.proofs("x", nonces=NONCES)
    answer = Answer(status=status, headers={"DPoP-Nonce": "n"}, body=b"", document=None)
    assert proof.learn(answer) is False
