"""A private key that lies elsewhere: an object signs in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

from flask_parjar import ConfigError
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, token_site
from tests.support.pages import code_of
from tests.support.site import Visitor, make_site

FAILED = (503, "signer_failed")


class Module:
    """A key as a hardware module has it: what is asked is signed, and the key stays inside.

    :param der: whether it gives signatures as AWS does, and not as JWS has them.
    """

    alg = "ES256"

    def __init__(self, *, der: bool = False) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._der = der
        self.signed = 0
        self.fails: Exception | None = None
        self.public_jwk: Mapping[str, Any] = ECKey.import_key(self._key.public_key()).as_dict()

    def sign(self, data: bytes) -> bytes:
        if self.fails is not None:
            raise self.fails
        self.signed += 1
        der = self._key.sign(data, ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(der)
        return der if self._der else r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_whole_login_with_a_key_that_lies_elsewhere(provider: DevProvider) -> None:
    module = Module()
    visitor = Visitor(token_site(provider, "memory", PARJAR_SIGNING_KEY=module), provider)
    assert visitor.log_in().location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert module.signed == 4  # request object and assertion, the code, the refresh token
    (published,) = visitor.get("/.well-known/jwks.json").json["keys"]
    assert "d" not in published
    assert (published["x"], published["alg"]) == (module.public_jwk["x"], "ES256")


def test_it_may_sign_assertions_alone(provider: DevProvider) -> None:
    module = Module()
    app = make_site(provider, PARJAR_ASSERTION_KEY=module)
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    assert module.signed == 2


def test_a_module_that_fails(provider: DevProvider) -> None:
    """As in an outage: a renewal is tried again later, and no session ends."""
    module = Module()
    app = token_site(provider, "memory", PARJAR_SIGNING_KEY=module)
    visitor = Visitor(app, provider)
    visitor.log_in()
    module.fails = TimeoutError("of the module")
    for page in (Visitor(app, provider).get("/login"), _renewal(visitor)):
        assert (page.status_code, code_of(page)) == FAILED
        assert "of the module" not in page.text
    assert visitor.get("/me").status_code == 200


def _renewal(visitor: Visitor) -> Any:
    age(visitor, left=-1)
    return visitor.get("/token")


def test_a_signature_of_another_form_or_key_is_not_sent(provider: DevProvider) -> None:
    of_another = Module()
    of_another.public_jwk = Module().public_jwk
    for module in (Module(der=True), of_another):
        app = make_site(provider, PARJAR_SIGNING_KEY=module)
        page = Visitor(app, provider).get("/login")
        assert (page.status_code, code_of(page)) == FAILED
        assert "pushed_authorization_request" not in [call.endpoint for call in provider.calls]


@pytest.mark.parametrize(
    ("public_jwk", "alg"),
    [
        (None, "ES384"),
        (None, "RS256"),
        (None, None),
        ("text", "ES256"),
        ({}, "ES256"),
        ({"kty": "oct", "k": "AAAA"}, "HS256"),
        (ECKey.generate_key("P-256").as_dict(private=True), "ES256"),
    ],
)
def test_faults(provider: DevProvider, public_jwk: Any, alg: Any) -> None:
    module = Module()
    module.alg = alg
    module.public_jwk = module.public_jwk if public_jwk is None else public_jwk
    with pytest.raises(ConfigError) as caught:
        make_site(provider, PARJAR_SIGNING_KEY=module)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["PARJAR_SIGNING_KEY"]
