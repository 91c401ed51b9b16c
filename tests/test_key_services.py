"""Keys in hardware and key services, with the code of the page about them.

The PKCS#11 module is SoftHSM: a whole module with tokens, PINs and keys, without the hardware.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flask_parjar.protocol.keys import parse_signer
from flask_parjar.testing import DevProvider
from tests.support.doc_pages import blocks, run
from tests.support.pages import code_of
from tests.support.requirements import need
from tests.support.site import Visitor, make_site

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"
FAILED = (503, "signer_failed")
CODE = {block.caption: block.text for block in blocks("signers", "python")}


def missing_softhsm() -> str | None:
    """What is missing, and the command that installs it; None if all is there."""
    if importlib.util.find_spec("pkcs11") is None:
        return "python-pkcs11 is not installed: run `pip install python-pkcs11`"
    if shutil.which("softhsm2-util") is None or not Path(LIBRARY).exists():
        return f"no softhsm2-util, or no {LIBRARY}: run `apt install softhsm2`"
    return None


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new token with the two keys, made as the page says."""
    need(missing_softhsm(), required_by="PARJAR_REQUIRE_SOFTHSM")
    import pkcs11

    folder = tmp_path / "tokens"
    folder.mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    monkeypatch.setenv("HSM_PIN", PIN)
    subprocess.run(shlex.split(init_token_command()), check=True, capture_output=True)
    run(CODE["make_keys.py"], {}, page="signers")
    yield
    pkcs11.unload(LIBRARY)  # it reads its configuration once


def init_token_command() -> str:
    (console,) = blocks("signers", "console")
    (command,) = [
        line.removeprefix("$ ")
        for line in console.text.splitlines()
        if line.startswith("$ softhsm2-util ")
    ]
    return command


@pytest.fixture
def hsm(token: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``hsm`` of the page."""
    module = ModuleType("hsm")
    run(CODE["hsm.py"], vars(module), page="signers")
    monkeypatch.setitem(sys.modules, "hsm", module)
    return module


def settings() -> dict[str, Any]:
    """What the page writes into the configuration, run anew."""
    namespace: dict[str, Any] = {}
    run(CODE["settings.py"], namespace, page="signers")
    return {name: value for name, value in namespace.items() if name.startswith("PARJAR_")}


def rsa_key(hsm: ModuleType) -> Any:
    return hsm.HSMKey(LIBRARY, token="my-site", pin=PIN, label="login-rsa", alg="PS256")


def outcome(visitor: Visitor) -> tuple[int, str | None]:
    page = visitor.get("/login")
    return page.status_code, code_of(page) if page.status_code != 302 else None


def test_a_login_with_an_ec_key_in_a_module(provider: DevProvider, hsm: ModuleType) -> None:
    visitor = Visitor(make_site(provider, **settings()), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    (published,) = visitor.get("/.well-known/jwks.json").json["keys"]
    assert (published["kty"], published["alg"], "d" in published) == ("EC", "ES256", False)


def test_a_login_with_an_rsa_key_in_a_module(provider: DevProvider, hsm: ModuleType) -> None:
    visitor = Visitor(make_site(provider, PARJAR_SIGNING_KEY=rsa_key(hsm)), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    (published,) = visitor.get("/.well-known/jwks.json").json["keys"]
    assert (published["kty"], published["alg"], "d" in published) == ("RSA", "PS256", False)


def test_threads_sign_at_once(hsm: ModuleType) -> None:
    (key,) = parse_signer(settings()["PARJAR_SIGNING_KEY"])  # verifies what it signs
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda n: key.sign({"n": n}, alg="ES256"), range(40)))
    assert len(set(made)) == 40


def has_counted_a_wrong_pin() -> bool:
    """Whether there was a wrong PIN since the last right one."""
    import pkcs11

    flags = pkcs11.lib(LIBRARY).get_token(token_label="my-site").flags
    return pkcs11.TokenFlag.USER_PIN_COUNT_LOW in flags


def test_a_wrong_pin_is_tried_once(
    provider: DevProvider, hsm: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pkcs11

    monkeypatch.setenv("HSM_PIN", "4321")
    visitor = Visitor(make_site(provider, **settings()), provider)
    assert outcome(visitor) == FAILED
    assert has_counted_a_wrong_pin()
    with pkcs11.lib(LIBRARY).get_token(token_label="my-site").open(user_pin=PIN):
        assert not has_counted_a_wrong_pin()
    assert outcome(visitor) == FAILED
    assert not has_counted_a_wrong_pin()


def test_a_key_that_is_removed_and_comes_back(provider: DevProvider, hsm: ModuleType) -> None:
    visitor = Visitor(make_site(provider, **settings()), provider)
    assert outcome(visitor) == (302, None)
    rename_private_key("login-ec", to="removed")
    assert outcome(visitor) == FAILED
    rename_private_key("removed", to="login-ec")
    assert visitor.log_in("/login?next=/me").location == "/me"


def rename_private_key(label: str, *, to: str) -> None:
    import pkcs11

    token = pkcs11.lib(LIBRARY).get_token(token_label="my-site")
    try:
        session = token.open(rw=True, user_pin=PIN)
    except pkcs11.UserAlreadyLoggedIn:  # by the site, which is the same process
        session = token.open(rw=True)
    with session:
        session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=label)[pkcs11.Attribute.LABEL] = to


class Service:
    """A client of AWS or Google, as far as their documentation says what it answers: DER."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    def _sign_digest(self, digest: bytes) -> bytes:
        return self._key.sign(digest, ec.ECDSA(Prehashed(SHA256())))

    def sign(
        self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str
    ) -> Mapping[str, bytes]:
        assert (KeyId, MessageType, SigningAlgorithm) == ("key", "DIGEST", "ECDSA_SHA_256")
        return {"Signature": self._sign_digest(Message)}

    def asymmetric_sign(self, *, request: Mapping[str, Any], timeout: float) -> SimpleNamespace:
        assert request["name"] == "key"
        return SimpleNamespace(signature=self._sign_digest(request["digest"]["sha256"]))


@pytest.mark.parametrize("name", ["AWSKey", "GoogleKey"])
def test_what_services_return_becomes_a_signature_of_jws(name: str) -> None:
    page: dict[str, Any] = {}
    run(CODE["services.py"], page, page="signers")
    service = Service()
    signer = page[name](service, "key", page["public_jwk"](service.pem.decode()))
    (key,) = parse_signer(signer)
    assert key.sign({}, alg="ES256").count(".") == 2  # verified: see `SigningKey.sign`
