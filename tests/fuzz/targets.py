"""What is fuzzed: each parser of untrusted text, and what must hold for every text.

A target takes any bytes. It raises where the library does what it never may: an exception that is
none of its own, an answer that is no answer of ours, a value that breaks a promise.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from flask import Flask

from flask_parjar.error_codes import CODES
from flask_parjar.errors import ProviderUnavailable, TokenRejected
from flask_parjar.protocol.agreement import Agreement, agree
from flask_parjar.protocol.algorithms import ALGORITHMS
from flask_parjar.protocol.encoding import b64decode, b64encode, parse_json_object
from flask_parjar.protocol.id_token import verify_id_token
from flask_parjar.protocol.jwe import Decryption, Encryption, parse_decryption_keys
from flask_parjar.protocol.jws import verify_token
from flask_parjar.protocol.key_set import KeySet
from flask_parjar.protocol.metadata import ProviderMetadata
from flask_parjar.protocol.profiles import OPENID_CONNECT
from flask_parjar.testing import DevProvider
from flask_parjar.web.session import SESSION_KEY
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    NOW,
    OKP_JWK,
    RSA_JWK,
    key_set,
    make_client,
    make_opener,
    make_token,
    make_transaction,
    signing_key,
)
from tests.support.site import make_site, query

ALGS = ("ES256", "RS256", "EdDSA")
LOOPBACK = re.compile(r"localhost|(::ffff:)?127(\.[0-9]{1,3}){3}|[0:]*:0{0,3}1", re.ASCII)


class Site:
    """A site at which one login is under way, and never comes to its end: no code is right."""

    def __init__(self, *, response_mode: str | None = None) -> None:
        self.provider = DevProvider(ISSUER)
        self.app: Flask = make_site(self.provider, PARJAR_RESPONSE_MODE=response_mode)
        self.app.testing = True  # an exception is not made into a page
        self._left_at = 0.0

    def leave(self) -> None:
        """Begin a login, once in a while: it grows old."""
        if time.monotonic() - self._left_at < 120 and self._left_at:
            return
        self._left_at = time.monotonic()
        client = self.app.test_client()
        away = client.get("/login?next=/me").location
        cookie = client.get_cookie("session")
        assert cookie is not None
        self._cookie = cookie.value
        back = query(self.provider.sign_in(away))
        self._words = {b"{state}": back["state"][0], b"{iss}": back["iss"][0]}

    def call_back(self, data: bytes, *, posted: bool) -> None:
        self.leave()
        for word, value in self._words.items():
            data = data.replace(word, quote(value, safe="").encode("ascii"))
        client = self.app.test_client()
        client.set_cookie("session", self._cookie)
        self.provider.calls.clear()
        known = self.app.extensions["parjar"].process_cache
        for claim in list(known.keys("claimed:")):
            known.delete(claim)  # each input is the first answer of this login
        if posted:
            response = client.post(
                "/callback", data=data, content_type="application/x-www-form-urlencoded"
            )
        else:
            raw = {"QUERY_STRING": data.decode("latin-1")}
            response = client.get("/callback", environ_overrides=raw)
        if response.status_code == 302:  # begun once more, at the provider and nowhere else
            location = urlsplit(response.location)
            assert f"{location.scheme}://{location.netloc}" == ISSUER, response.location
            assert set(query(response.location)) == {"client_id", "request_uri"}
        else:
            assert response.status_code in (400, 403, 502, 503), response.status
            assert "<code>" in response.text
            assert "<script" not in response.text.lower()
        with client.session_transaction() as stored:
            assert SESSION_KEY not in stored


@functools.cache
def _site(response_mode: str | None) -> Site:
    return Site(response_mode=response_mode)


def callback(data: bytes) -> None:
    """The query of a callback, or after a ``P`` the form. ``{state}`` is that of the login."""
    if data[:1] == b"P":
        _site("form_post").call_back(data[1:], posted=True)
    else:
        _site(None).call_back(data, posted=False)


@functools.cache
def _keys() -> KeySet:
    return key_set({**EC_JWK, "kid": "ec"}, {**OKP_JWK, "kid": "okp"}, {**RSA_JWK, "kid": "rsa"})


def id_token(data: bytes) -> None:
    """A token as text; after a ``C`` claims, after an ``H`` header and claims, to be signed."""
    kind, rest = data[:1], data[1:]
    if kind == b"C":
        token = make_token({"alg": "ES256", "kid": "ec"}, rest)
    elif kind == b"H":
        header, _, payload = rest.partition(b"\n")
        token = make_token(header, payload, key=signing_key("ES256"))
    else:
        token = data.decode("utf-8", "replace")
    transaction = make_transaction(max_age=300, acr_values=("gold",))
    try:
        proved = verify_id_token(
            token,
            opener=make_opener(_keys(), id_token_algs=ALGS, trusted_audiences=("api",)),
            transaction=transaction,
            access_token="access",
            now=NOW,
        )
    except TokenRejected:
        return
    claims = proved.claims
    assert (claims["iss"], claims["nonce"]) == (ISSUER, transaction.nonce)
    assert claims["aud"] == CLIENT_ID or CLIENT_ID in claims["aud"]
    assert NOW - 60 < claims["exp"] and NOW - 660 <= claims["iat"] <= NOW + 60
    assert NOW - 360 <= claims["auth_time"] <= NOW + 60
    assert claims["acr"] == "gold"
    assert claims.get("azp", CLIENT_ID) in (CLIENT_ID, None)
    assert 0 < len(proved.subject) <= 255 and proved.subject.isascii()
    assert proved.header["alg"] in ALGS


def metadata(data: bytes) -> None:
    """A metadata document, and what could be agreed on with such a provider."""
    try:
        document = parse_json_object(data)
        parsed = ProviderMetadata.parse(document, expected_issuer=ISSUER, allow_http=False)
    except (ValueError, ProviderUnavailable):
        return
    for url in (parsed.authorization_endpoint, parsed.token_endpoint, parsed.jwks_uri):
        parts = urlsplit(url)
        assert parts.hostname and parts.username is None and not parts.fragment
        assert parts.scheme == "https" or LOOPBACK.fullmatch(parts.hostname.partition("%")[0]), url
    client = make_client(signing_keys=(signing_key("ES256"),))
    agreement = agree(client, parsed, OPENID_CONNECT)
    if not isinstance(agreement, Agreement):
        assert agreement and all(each.code in CODES for each in agreement)
        return
    assert agreement.endpoints.push == parsed.pushed_authorization_request_endpoint
    assert agreement.endpoints.push and agreement.request_signing
    assert agreement.request_signing.alg == "ES256"
    assert agreement.id_token_algs and "HS256" not in agreement.id_token_algs


@functools.cache
def _tokens() -> tuple[str, ...]:
    made = [make_token({"alg": alg}, {"sub": "ada"}, alg=alg) for alg in ALGS]
    return (*made, *(make_token({"alg": alg, "kid": "k"}, {}, alg=alg) for alg in ALGS))


def jwks(data: bytes) -> None:
    """A JWK Set, and tokens verified with whatever keys are in it."""
    try:
        keys = KeySet.parse(parse_json_object(data))
    except ValueError:
        return
    for alg in ALGORITHMS:
        try:
            assert not keys.select(kid=None, alg=alg).is_private
        except TokenRejected:
            continue
        assert not alg.startswith("HS")
    for token in _tokens():
        try:
            verify_token(token, keys=keys, expected_algs=ALGS, expected_typs=(None,))
        except TokenRejected:
            continue


@functools.cache
def _decryption() -> Decryption:
    keys = parse_decryption_keys({**EC_JWK, "kid": "ec"})
    return Decryption(encryption=Encryption(alg="ECDH-ES", encs=("A256GCM",)), keys=keys)


def jwe(data: bytes) -> None:
    """An encrypted token as text; after an ``H`` its header, the other parts well-formed."""
    if data[:1] == b"H":
        token = f"{b64encode(data[1:])}..{b64encode(bytes(12))}.eA.{b64encode(bytes(16))}"
    else:
        token = data.decode("utf-8", "replace")
    try:
        _decryption().decrypt(token)
    except TokenRejected as error:
        assert error.error_code in ("token_malformed", "token_encryption", "token_decryption")
        return
    header = parse_json_object(b64decode(token.split(".")[0]))
    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    assert not {"zip", "crit", "b64"}.intersection(header)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "callback": callback,
    "id_token": id_token,
    "jwe": jwe,
    "metadata": metadata,
    "jwks": jwks,
}
