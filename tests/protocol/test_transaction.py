from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re

import pytest

from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.transaction import derive, new_seed
from tests.protocol.examples import make_transaction


class Rfc7636:
    """Appendix B."""

    VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_challenge_is_the_hash_of_the_verifier() -> None:
    hashed = b64encode(hashlib.sha256(Rfc7636.VERIFIER.encode()).digest())
    assert hashed == Rfc7636.CHALLENGE  # so the formula below is that of the RFC
    transaction = make_transaction()
    digest = hashlib.sha256(transaction.code_verifier.encode()).digest()
    assert transaction.code_challenge == b64encode(digest)


@pytest.mark.parametrize(
    ("attribute", "label"),
    [("state_id", "state"), ("nonce", "nonce"), ("code_verifier", "code_verifier")],
)
def test_each_value_is_made_from_the_seed_under_a_label_of_its_own(
    attribute: str, label: str
) -> None:
    transaction = make_transaction()
    digest = hmac.new(transaction.seed.encode(), label.encode(), hashlib.sha256).digest()
    assert getattr(transaction, attribute) == b64encode(digest)
    assert derive(transaction.seed, label) == b64encode(digest)


def test_a_value_as_openssl_makes_it() -> None:
    assert derive("seed", "label") == "xuERVAXMqSDVNI9qxabbBjUkutqeGzC6z5QKa5h1oTM"


def test_the_values_differ_from_each_other_and_from_those_of_another_seed() -> None:
    first, second = make_transaction(seed=new_seed()), make_transaction(seed=new_seed())
    values = [
        getattr(transaction, name)
        for transaction in (first, second)
        for name in ("seed", "state_id", "nonce", "code_verifier", "code_challenge")
    ]
    assert len(set(values)) == 10


def test_each_value_is_256_bits_in_the_letters_of_rfc_7636() -> None:
    transaction = make_transaction(seed=new_seed())
    for value in (transaction.state_id, transaction.nonce, transaction.code_verifier):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
        assert len(b64decode(value)) == 32


def test_seeds_are_256_bits_and_fresh() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(b64decode(seed)) for seed in seeds} == {32}


def test_no_secret_is_printed() -> None:
    transaction = make_transaction()
    printed = repr(transaction)
    secrets = (transaction.seed, transaction.state, transaction.nonce, transaction.code_verifier)
    assert not any(secret in printed for secret in secrets)
    assert transaction.issuer in printed


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_transaction().issuer = "https://evil.example"  # type: ignore[misc]


def test_nothing_is_asked_of_the_sign_in_unless_said() -> None:
    transaction = make_transaction()
    assert (transaction.max_age, transaction.acr_values) == (None, ())
