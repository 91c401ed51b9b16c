"""Which header members name our key in what it signs, and what becomes of its certificate."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from flask_parjar import ConfigError
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.keys import KEY_HEADERS, parse_signing_keys
from flask_parjar.testing import DevProvider
from tests.support.certificates import make_key_and_certificate
from tests.support.jwt import read_jwt
from tests.support.site import Visitor, make_site

key_and_certificate = functools.cache(make_key_and_certificate)


def certificate_pem() -> str:
    _, der = key_and_certificate()
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


def expected(name: str, kid: str) -> object:
    _, der = key_and_certificate()
    return {
        "kid": kid,
        "x5c": [base64.b64encode(der).decode()],
        "x5t": b64encode(hashlib.sha1(der).digest()),
        "x5t#S256": b64encode(hashlib.sha256(der).digest()),
    }[name]


@pytest.mark.parametrize("order", ["key first", "certificate first", "one line"])
@pytest.mark.parametrize("names", [["x5t#S256"], ["kid", "x5t", "x5c"], list(KEY_HEADERS)])
def test_a_certificate_beside_the_key_names_it(
    provider: DevProvider, order: str, names: list[str]
) -> None:
    pem = key_and_certificate()[0] + certificate_pem()
    if order == "certificate first":
        pem = certificate_pem() + key_and_certificate()[0]
    pem = pem.replace("\n", "\\n") if order == "one line" else pem
    app = make_site(provider, PARJAR_SIGNING_KEY=pem, PARJAR_KEY_HEADERS=names)
    Visitor(app, provider).get("/login")
    form = next(c.form for c in provider.calls if c.endpoint == "pushed_authorization_request")
    (published,) = app.test_client().get("/.well-known/jwks.json").json["keys"]
    for jwt in (form["request"], form["client_assertion"]):
        header = read_jwt(jwt)[0]
        assert set(header) == {"alg", "typ", *names}
        for name in names:
            assert header[name] == published[name] == expected(name, published["kid"])


def site_with(provider: DevProvider, key: dict[str, Any], names: list[str]) -> Visitor:
    app = make_site(provider, PARJAR_SIGNING_KEY=key, PARJAR_KEY_HEADERS=names, connect=False)
    provider.connect(app)
    return Visitor(app, provider)


def jwk(**more: Any) -> dict[str, Any]:
    private = parse_signing_keys(key_and_certificate()[0])[0]._key.as_dict(private=True)
    return {**private, **more}


def test_a_whole_login_where_the_certificate_is_demanded(provider: DevProvider) -> None:
    provider.demands.key_headers = ("x5c", "x5t#S256")
    key = jwk(x5c=[base64.b64encode(key_and_certificate()[1]).decode()])
    visitor = site_with(provider, key, ["kid", "x5c", "x5t#S256"])
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert site_with(provider, key, ["kid", "x5c"]).get("/login").status_code == 502


def test_thumbprints_of_the_jwk_itself(provider: DevProvider) -> None:
    """A certificate need not be here: some providers give only its thumbprint."""
    provider.demands.key_headers = ("x5t#S256",)
    visitor = site_with(provider, jwk(**{"x5t#S256": "thumb"}), ["kid", "x5t#S256"])
    assert visitor.log_in("/login?next=/me").location == "/me"


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, ["x5t#S256"]),
        ({}, ["kid", "x5c"]),
        ({"x5t": "thumb"}, ["x5t#S256"]),
        ({"x5c": ["MIIB"]}, ["x5c"]),
        ({"x5c": ["not base64"]}, ["x5t"]),
        ({"x5c": []}, ["x5c"]),
    ],
)
def test_a_certificate_that_is_missing_or_cannot_be_read(
    provider: DevProvider, more: dict[str, Any], names: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_site(provider, PARJAR_SIGNING_KEY=jwk(**more), PARJAR_KEY_HEADERS=names)
    (fault,) = caught.value.faults
    assert fault.startswith("PARJAR_KEY_HEADERS") and jwk()["d"] not in fault


def test_the_certificate_of_another_key(provider: DevProvider) -> None:
    config = {**provider.config()["PARJAR_SIGNING_KEY"]}
    config["x5c"] = [base64.b64encode(key_and_certificate()[1]).decode()]
    with pytest.raises(ConfigError) as caught:
        make_site(provider, PARJAR_SIGNING_KEY=config, PARJAR_KEY_HEADERS=["x5c"])
    assert "another key" in caught.value.faults[0]
    make_site(provider, PARJAR_SIGNING_KEY=config)
