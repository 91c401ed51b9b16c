from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re

import pytest

from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.sealing import derive_key
from flask_parjar.protocol.transaction import derive, mix, new_seed
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


@pytest.mark.parametrize("label", ["nonce", "code_verifier"])
def test_each_value_is_made_from_the_secret_under_a_label_of_its_own(label: str) -> None:
    transaction = make_transaction()
    digest = hmac.new(transaction.secret.encode(), label.encode(), hashlib.sha256).digest()
    assert getattr(transaction, label) == b64encode(digest)
    assert derive(transaction.secret, label) == b64encode(digest)


def test_a_value_as_openssl_makes_it() -> None:
    assert derive("seed", "label") == "xuERVAXMqSDVNI9qxabbBjUkutqeGzC6z5QKa5h1oTM"


def test_the_values_differ_from_each_other_and_from_those_of_another_secret() -> None:
    values = [
        getattr(transaction, name)
        for transaction in (
            make_transaction(),
            make_transaction(secret=new_seed(), seed=new_seed()),
        )
        for name in ("seed", "nonce", "code_verifier", "code_challenge")
    ]
    assert len(set(values)) == 8


def test_each_value_is_256_bits_in_the_letters_of_rfc_7636() -> None:
    made = make_transaction(secret=new_seed())
    for value in (derive(made.secret, "state"), made.nonce, made.code_verifier):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
        assert len(b64decode(value)) == 32


def test_the_secret_is_made_from_the_seed_and_the_secret_of_the_app() -> None:
    seed = new_seed()
    key = derive_key(b"of the app", "login")
    digest = hmac.new(key, seed.encode(), hashlib.sha256).digest()
    assert mix(seed, b"of the app") == b64encode(digest)
    made = {mix(each, app) for each in (seed, new_seed()) for app in (b"of the app", b"another")}
    assert len(made) == 4


def test_seeds_are_256_bits_and_fresh() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(b64decode(seed)) for seed in seeds} == {32}


def test_no_secret_is_printed() -> None:
    transaction = make_transaction()
    printed = repr(transaction)
    names = ("seed", "secret", "state", "nonce", "code_verifier")
    secrets = [getattr(transaction, name) for name in names]
    assert not any(secret in printed for secret in secrets)
    assert transaction.issuer in printed


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_transaction().issuer = "https://evil.example"  # type: ignore[misc]


def test_nothing_is_asked_of_the_sign_in_unless_said() -> None:
    transaction = make_transaction()
    assert (transaction.max_age, transaction.acr_values) == (None, ())
