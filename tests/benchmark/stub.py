"""A provider so cheap that it is never what a measurement waits for: a process of its own.

It answers HTTP/1.1 by hand and takes every client at its word: it reads a request object and
verifies nothing. Of a push it remembers nonce and state, for the program that plays the browser
(``/pushed/…``, on plain http). The ``code`` is made by them: it says which nonce the ID token shall
hold, and what shall be wrong with it (`FAULTS`). The token is signed each time, for its nonce.

``python -m tests.benchmark.stub`` is started by `stub_process`, which writes one line of JSON to
its input and reads one from its output; it ends when its input does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.serialization import load_pem_public_key

try:
    import uvloop
except ImportError:  # Windows, and Pythons that it has no wheel for
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

CLIENT_ID = "benchmark"
SUBJECT = "24828976"  # what each begins with
_SUBJECTS = 10_000  # one after another: a site lists the sessions of each subject
ACCESS_TOKEN = "2YotnFZFEjr1zCsicMWpAA.d7nSMtHrrTx3iJ5bG9kZ"
REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
_MOST_PUSHED = 10_000  # that may wait: the oldest goes
SLOW = 0.05  # seconds that the slow listener takes for each answer

#: The ID token has another nonce; its signature is broken; it names an unknown key.
FAULTS = ("nonce", "signature", "kid")

ALGORITHMS = ("RS256", "ES256")

#: A face that signs with ES256, binds tokens by DPoP and encrypts the ID token (`ENCRYPTION`).
FAPI = "FAPI"
ENCRYPTION = "ECDH-ES A256GCM"


class Listener(NamedTuple):
    """One port, and how it behaves."""

    tls: bool = False
    closes: bool = False
    delay: float = 0


LISTENERS = {
    "http": Listener(),
    "https": Listener(tls=True),
    "https, closing": Listener(tls=True, closes=True),
    "https, slow": Listener(tls=True, delay=SLOW),
}


def b64(value: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _b64_json(value: object) -> str:
    return b64(json.dumps(value, separators=(",", ":")).encode())


def content_key(shared_secret: bytes) -> bytes:
    """The key of A256GCM that two sides agree on by ECDH-ES (RFC 7518 section 4.6.2)."""
    enc = b"A256GCM"
    info = len(enc).to_bytes(4, "big") + enc + bytes(8) + (256).to_bytes(4, "big")
    return ConcatKDFHash(SHA256(), 32, info).derive(shared_secret)


def encrypt(jws: str, key: ec.EllipticCurvePublicKey) -> str:
    """Encrypt an ID token for the site (RFC 7516 section 5.1)."""
    ephemeral = ec.generate_private_key(key.curve)
    numbers = ephemeral.public_key().public_numbers()
    x, y = (b64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
    epk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    alg, enc = ENCRYPTION.split()
    header = _b64_json({"alg": alg, "enc": enc, "cty": "JWT", "epk": epk})
    iv = secrets.token_bytes(12)
    cipher = AESGCM(content_key(ephemeral.exchange(ec.ECDH(), key)))
    sealed = cipher.encrypt(iv, jws.encode(), header.encode())
    return f"{header}..{b64(iv)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


class Signer:
    """The provider's key for one algorithm."""

    def __init__(self, alg: str) -> None:
        self.alg = alg
        self.kid = f"stub-{alg}"
        self._rsa = rsa.generate_private_key(65537, 2048) if alg == "RS256" else None
        self._ec = ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else None

    def _sign(self, message: bytes) -> bytes:
        if self._rsa is not None:
            return self._rsa.sign(message, padding.PKCS1v15(), SHA256())
        assert self._ec is not None
        r, s = decode_dss_signature(self._ec.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwt(self, claims: dict[str, Any], fault: str) -> str:
        """Sign claims, well or with a fault."""
        kid = "unheard-of" if fault == "kid" else self.kid
        signing_input = f"{_b64_json({'alg': self.alg, 'kid': kid})}.{_b64_json(claims)}"
        signature = bytearray(self._sign(signing_input.encode()))
        if fault == "signature":
            signature[20] ^= 1
        return f"{signing_input}.{b64(bytes(signature))}"

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as the provider publishes it."""
        common = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self._rsa is not None:
            rsa_numbers = self._rsa.public_key().public_numbers()
            n = rsa_numbers.n.to_bytes(256, "big")
            return common | {"kty": "RSA", "n": b64(n), "e": "AQAB"}
        assert self._ec is not None
        numbers = self._ec.public_key().public_numbers()
        x, y = (b64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
        return common | {"kty": "EC", "crv": "P-256", "x": x, "y": y}


class Stub:
    """What the provider answers; the algorithm, or `FAPI`, is the first part of the path.

    :param encryption_key: the site's public key, as PEM.
    """

    def __init__(self, encryption_key: str) -> None:
        self.counts: Counter[str] = Counter()
        self.plain_port = 0
        self._pushed: dict[str, tuple[str, str]] = {}
        self._signers = {alg: Signer(alg) for alg in ALGORITHMS}
        self._signers[FAPI] = self._signers["ES256"]
        self._encryption_key: Any = load_pem_public_key(encryption_key.encode())
        self._at_hash = b64(hashlib.sha256(ACCESS_TOKEN.encode()).digest()[:16])
        self._endpoints: dict[str, Callable[[str, str, bytes], Any]] = {
            ".well-known/openid-configuration": self._discovery,
            "jwks": self._jwks,
            "par": self._push,
            "token": self._token,
        }

    def answer(self, origin: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one request: the status and the JSON."""
        alg, _, name = path.lstrip("/").partition("/")
        if alg == "counts":
            return 200, json.dumps(self.counts).encode()
        if alg == "pushed":
            return 200, json.dumps(self._pushed.pop(name)).encode()
        endpoint = self._endpoints.get(name)
        if endpoint is None or alg not in self._signers:
            return 404, b"{}"
        self.counts[name] += 1
        status = 201 if name == "par" else 200
        return status, json.dumps(endpoint(f"{origin}/{alg}", alg, body)).encode()

    def _discovery(self, issuer: str, face: str, body: bytes) -> dict[str, Any]:
        alg, (encryption_alg, encryption_enc) = self._signers[face].alg, ENCRYPTION.split()
        fapi = {
            "dpop_signing_alg_values_supported": [alg],
            "id_token_encryption_alg_values_supported": [encryption_alg],
            "id_token_encryption_enc_values_supported": [encryption_enc],
        }
        return (fapi if face == FAPI else {}) | {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize/{self.plain_port}",
            "pushed_authorization_request_endpoint": f"{issuer}/par",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": [alg],
            "request_object_signing_alg_values_supported": [alg],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
            "token_endpoint_auth_signing_alg_values_supported": [alg],
            "authorization_response_iss_parameter_supported": True,
        }

    def _jwks(self, issuer: str, alg: str, body: bytes) -> dict[str, Any]:
        return {"keys": [self._signers[alg].jwk]}

    def _push(self, issuer: str, alg: str, body: bytes) -> dict[str, Any]:
        form = dict(parse_qsl(body.decode()))
        if "request" in form:
            payload = form["request"].split(".")[1]
            form = json.loads(base64.urlsafe_b64decode(payload + "=="))
        handle = secrets.token_urlsafe(24)
        self._pushed[handle] = form["nonce"], form["state"]
        if len(self._pushed) > _MOST_PUSHED:
            del self._pushed[next(iter(self._pushed))]
        return {"request_uri": f"{REQUEST_URI}{handle}", "expires_in": 60}

    def _token(self, issuer: str, alg: str, body: bytes) -> dict[str, Any]:
        fault, _, nonce = dict(parse_qsl(body.decode()))["code"].partition(".")
        now = int(time.time())
        claims = {
            "iss": issuer,
            "sub": f"{SUBJECT}{self.counts['token'] % _SUBJECTS:04}",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": "of-another-login" if fault == "nonce" else nonce,
            "at_hash": self._at_hash,
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "email_verified": True,
        }
        id_token = self._signers[alg].jwt(claims, fault)
        return {
            "access_token": ACCESS_TOKEN,
            "token_type": "DPoP" if alg == FAPI else "Bearer",
            "expires_in": 300,
            "id_token": encrypt(id_token, self._encryption_key) if alg == FAPI else id_token,
        }


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, as no client of ours does otherwise."""

    def __init__(self, stub: Stub, listener: Listener) -> None:
        self._stub = stub
        self._listener = listener
        self._received = bytearray()
        self._transport: Any = None
        self._origin = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")[:2]
        self._origin = f"http{'s' if self._listener.tls else ''}://{host}:{port}"

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _content_length(head)
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        self._received.clear()
        path = head.split(b" ", 2)[1].decode()
        status, document = self._stub.answer(self._origin, path, body)
        if self._listener.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._listener.delay, self._send, status, document)
        else:
            self._send(status, document)

    def _send(self, status: int, document: bytes) -> None:
        close = "Connection: close\r\n" if self._listener.closes else ""
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Other'}\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n"
            "Content-Type: application/json\r\n"
            "Cache-Control: no-store\r\n"
            f"Content-Length: {len(document)}\r\n{close}\r\n"
        )
        self._transport.write(head.encode() + document)
        if self._listener.closes:
            self._transport.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def _serve(certificate: str, encryption_key: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    stub, origins = Stub(encryption_key), {}
    for name, listener in LISTENERS.items():
        server = await loop.create_server(
            lambda listener=listener: Connection(stub, listener),
            "127.0.0.1",
            ssl=context if listener.tls else None,
            backlog=256,
        )
        port = server.sockets[0].getsockname()[1]
        origins[name] = f"http{'s' if listener.tls else ''}://127.0.0.1:{port}"
        if listener == Listener():
            stub.plain_port = port
    print(json.dumps(origins), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)  # readable again: its end
    await ended.wait()


def main() -> None:
    """Serve until the input ends."""
    configuration = json.loads(sys.stdin.readline())
    loop = new_event_loop()
    loop.run_until_complete(_serve(**configuration))


if __name__ == "__main__":
    main()
