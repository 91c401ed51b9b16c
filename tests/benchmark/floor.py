"""The floor: the least Python that does the same protocol work as we do. Not for use.

Three signatures, one verification, two POSTs on a kept connection, the same checks of the claims,
the same two writes of Flask's session. For a FAPI 2.0 login also a key for each login, a proof with
it for each POST, and one decryption. It has no answer for anything that goes wrong but an
exception, knows one provider by heart from the start, and follows no change of its keys.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import http.client
import json
import secrets
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask, redirect, request, session

from tests.benchmark.contract import (
    CALLBACK_URL,
    KID,
    SCOPE,
    SECRET_KEY,
    Competitor,
    Registration,
)
from tests.benchmark.stub import CLIENT_ID, ENCRYPTION, content_key

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64_json(value: object) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


class _Signer:
    """Our private key."""

    def __init__(self, registration: Registration) -> None:
        self._key: Any = serialization.load_pem_private_key(
            registration.private_key.encode(), password=None
        )
        self._alg = registration.alg

    def jwt(self, claims: dict[str, Any], typ: str) -> str:
        header = _b64_json({"alg": self._alg, "typ": typ, "kid": KID})
        signing_input = f"{header}.{_b64_json(claims)}"
        message = signing_input.encode()
        if self._alg == "RS256":
            signature = self._key.sign(message, padding.PKCS1v15(), SHA256())
        else:
            signature = _ecdsa(self._key, message)
        return f"{signing_input}.{_b64(signature)}"


class _ProviderKey:
    """The provider's public key, as it was at the start."""

    def __init__(self, jwk: dict[str, str]) -> None:
        self.kid, self.alg = jwk["kid"], jwk["alg"]
        self._key: Any
        if jwk["kty"] == "RSA":
            n, e = (int.from_bytes(_unb64(jwk[name]), "big") for name in "ne")
            self._key = rsa.RSAPublicNumbers(e, n).public_key()
        else:
            x, y = (int.from_bytes(_unb64(jwk[name]), "big") for name in "xy")
            self._key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def verify(self, signature: bytes, message: bytes) -> None:
        if self.alg == "RS256":
            self._key.verify(signature, message, padding.PKCS1v15(), SHA256())
        else:
            halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            self._key.verify(encode_dss_signature(*halves), message, ec.ECDSA(SHA256()))


class _Provider:
    """The provider over `http.client`, with one connection for each thread."""

    def __init__(self, registration: Registration) -> None:
        self.issuer = registration.issuer
        self._netloc = urlsplit(self.issuer).netloc
        self._context = None
        if registration.is_https:
            self._context = ssl.create_default_context(cafile=registration.ca_bundle)
        self._of_this_thread = threading.local()
        document = self._exchange("GET", f"{self.issuer}/.well-known/openid-configuration")
        self.authorization_endpoint = document["authorization_endpoint"]
        self.push_endpoint = document["pushed_authorization_request_endpoint"]
        self.token_endpoint = document["token_endpoint"]
        jwks = self._exchange("GET", document["jwks_uri"])
        self.key = _ProviderKey(jwks["keys"][0])

    def post(self, url: str, form: dict[str, str], proof: dict[str, str]) -> dict[str, Any]:
        return self._exchange("POST", url, urlencode(form).encode(), proof)

    def _exchange(
        self, method: str, url: str, body: bytes | None = None, proof: dict[str, str] | None = None
    ) -> dict[str, Any]:
        connection = getattr(self._of_this_thread, "connection", None)
        if connection is None:
            if self._context is not None:
                connection = http.client.HTTPSConnection(
                    self._netloc, context=self._context, timeout=5
                )
            else:
                connection = http.client.HTTPConnection(self._netloc, timeout=5)
            self._of_this_thread.connection = connection
        headers = {"Accept": "application/json", **(proof or {})}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, urlsplit(url).path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{url}: HTTP {answer.status}")
        document: dict[str, Any] = json.loads(text)
        return document


class _ProofKey:
    """The key of one login, made from its secret (RFC 9449)."""

    def __init__(self, secret: str) -> None:
        number = int.from_bytes(hmac.digest(secret.encode(), b"dpop", "sha512")[:48], "big")
        self._key = ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (_b64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
        jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}  # in the order of the thumbprint
        canonical = json.dumps(jwk, separators=(",", ":")).encode()
        self.thumbprint = _b64(hashlib.sha256(canonical).digest())
        self._header = _b64_json({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk})

    def proof(self, url: str, now: int) -> dict[str, str]:
        claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": url, "iat": now}
        signing_input = f"{self._header}.{_b64_json(claims)}"
        signature = _ecdsa(self._key, signing_input.encode())
        return {"DPoP": f"{signing_input}.{_b64(signature)}"}


_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
#: The callback of a login is often in the process that began it, with us too.
_proof_key = functools.lru_cache(maxsize=1024)(_ProofKey)


def _ecdsa(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class _Decryption:
    """Our private key that decrypts ID tokens."""

    def __init__(self, pem: str) -> None:
        self._key: Any = serialization.load_pem_private_key(pem.encode(), password=None)

    def decrypt(self, token: str) -> str:
        encoded_header, _, iv, text, tag = token.split(".")
        header = json.loads(_unb64(encoded_header))
        if (header["alg"], header["enc"], header["cty"]) != (*ENCRYPTION.split(), "JWT"):
            raise ValueError("another encryption")
        x, y = (int.from_bytes(_unb64(header["epk"][name]), "big") for name in "xy")
        epk = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        cipher = AESGCM(content_key(self._key.exchange(ec.ECDH(), epk)))
        sealed = _unb64(text) + _unb64(tag)
        return cipher.decrypt(_unb64(iv), sealed, encoded_header.encode()).decode()


def _verify(provider: _Provider, answer: dict[str, Any], nonce: str) -> dict[str, Any]:
    """Prove an ID token: its signature and every claim."""
    signing_input, _, signature = answer["id_token"].rpartition(".")
    encoded_header, payload = signing_input.split(".")
    header = json.loads(_unb64(encoded_header))
    if (header["alg"], header["kid"]) != (provider.key.alg, provider.key.kid):
        raise ValueError("another key")
    provider.key.verify(_unb64(signature), signing_input.encode())
    claims: dict[str, Any] = json.loads(_unb64(payload))
    now = time.time()
    half_hash = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    genuine = (
        claims["iss"] == provider.issuer
        and claims["aud"] == CLIENT_ID
        and claims["exp"] > now - 60
        and now - 600 < claims["iat"] < now + 60
        and hmac.compare_digest(claims["nonce"], nonce)
        and claims["at_hash"] == _b64(half_hash)
        and isinstance(claims["sub"], str)
    )
    if not genuine:
        raise ValueError("a claim")
    return claims


def make_app(registration: Registration) -> Flask:
    """The app: two views, and one that says who is there."""
    app = Flask("floor")
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_COOKIE_SAMESITE="Lax")
    provider, signer = _Provider(registration), _Signer(registration)
    decryption = _Decryption(registration.encryption_key) if registration.encryption_key else None

    def assertion(now: int) -> dict[str, str]:
        claims = {
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            "aud": provider.issuer,
            "jti": secrets.token_urlsafe(24),
            "iat": now,
            "exp": now + 60,
        }
        return {
            "client_id": CLIENT_ID,
            "client_assertion_type": JWT_BEARER,
            "client_assertion": signer.jwt(claims, "JWT"),
        }

    @app.get("/login")
    def login() -> Any:
        now = int(time.time())
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        claims = {
            "iss": CLIENT_ID,
            "aud": provider.issuer,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(24),
            "client_id": CLIENT_ID,
            "response_type": "code",
            "redirect_uri": CALLBACK_URL,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        proof: dict[str, str] = {}
        if registration.is_fapi:
            key = _proof_key(verifier)
            claims["dpop_jkt"] = key.thumbprint
            proof = key.proof(provider.push_endpoint, now)
        form = assertion(now) | {"request": signer.jwt(claims, "oauth-authz-req+jwt")}
        answer = provider.post(provider.push_endpoint, form, proof)
        session["login"] = [state, nonce, verifier, now, provider.issuer]
        query = urlencode({"client_id": CLIENT_ID, "request_uri": answer["request_uri"]})
        return redirect(f"{provider.authorization_endpoint}?{query}")

    @app.get("/callback")
    def callback() -> Any:
        now = int(time.time())
        state, nonce, verifier, started_at, issuer = session.pop("login")
        if not hmac.compare_digest(request.args["state"], state):
            raise ValueError("state")
        if request.args["iss"] != issuer or now - started_at > 600:
            raise ValueError("issuer or time")
        form = {
            "grant_type": "authorization_code",
            "code": request.args["code"],
            "redirect_uri": CALLBACK_URL,
            "code_verifier": verifier,
        }
        proof: dict[str, str] = {}
        if registration.is_fapi:
            proof = _proof_key(verifier).proof(provider.token_endpoint, now)
        answer = provider.post(provider.token_endpoint, assertion(now) | form, proof)
        if answer["token_type"] != ("DPoP" if registration.is_fapi else "Bearer"):
            raise ValueError("token type")
        if decryption is not None:
            answer["id_token"] = decryption.decrypt(answer["id_token"])
        claims = _verify(provider, answer, nonce)
        kept = {name: claims[name] for name in ("name", "email", "email_verified")}
        session.clear()
        session["user"] = [issuer, claims["sub"], kept, SCOPE.split(), now]
        return redirect("/")

    @app.get("/who")
    def who() -> str:
        return str(session["user"][1]) if "user" in session else ""

    return app


FLOOR = Competitor(name="floor", make_app=make_app)
