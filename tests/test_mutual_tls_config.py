"""The keys of mutual TLS: what is read, what is a fault at start, and what is a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from flask_parjar.config import Settings
from flask_parjar.config.certificate import read_client_certificate
from flask_parjar.testing import DevProvider
from tests.support.certificates import DAY, PairFiles, make_pair
from tests.support.errors import invalid
from tests.test_config import GOOD, faults, named, read, start


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    return PairFiles(tmp_path, make_pair())


def client_of(settings: Settings) -> Any:
    return settings.providers["default"]


def test_the_certificate_is_read(files: PairFiles) -> None:
    client = client_of(read(files.config, PARJAR_BOUND_TOKENS=True))
    assert client.certificate.thumbprint == files.pair.thumbprint
    assert (client.bound_tokens, client.mutual_tls) == (True, True)
    assert "PRIVATE KEY" not in repr(client)
    without = client_of(read())
    assert (without.certificate, without.bound_tokens, without.mutual_tls) == (None, False, False)


def test_a_certificate_alone_is_no_mutual_tls(files: PairFiles) -> None:
    assert client_of(read(files.config)).mutual_tls is False


@pytest.mark.parametrize("auth", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_client_authentication_by_certificate(files: PairFiles, auth: str) -> None:
    given = {"PARJAR_CLIENT_AUTH": auth, "PARJAR_REQUEST": "pushed", "PARJAR_SIGNING_KEY": None}
    client = client_of(read({**files.config, **given}))
    assert client.possible_client_auths == (auth,)
    assert client.mutual_tls and client.first_assertion_key is None
    published = [jwk["kid"] for jwk in client.public_jwks]
    assert published == ([files.pair.thumbprint] if auth.startswith("self") else [])


def test_path_objects_and_one_file_for_both(tmp_path: Path) -> None:
    pair = make_pair()
    both = tmp_path / "both.pem"
    both.write_text(pair.pem + pair.key_pem)
    client = client_of(read(PARJAR_CLIENT_CERT=both, PARJAR_CLIENT_CERT_KEY=both))
    assert client.certificate.thumbprint == pair.thumbprint


def test_each_provider_has_its_own(files: PairFiles) -> None:
    own = {key.removeprefix("PARJAR_").lower(): value for key, value in files.config.items()}
    sections = {
        "work": {"issuer": "https://work.example", "client_id": "a", **own, "bound_tokens": True},
        "home": {"issuer": "https://home.example", "client_id": "b"},
    }
    settings = read(PARJAR_ISSUER=None, PARJAR_CLIENT_ID=None, PARJAR_PROVIDERS=sections)
    assert settings.providers["work"].certificate is not None
    assert settings.providers["home"].certificate is None


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"CLIENT_CERT": "cert"}, "CLIENT_CERT_KEY", "CLIENT_CERT"),
        ({"CLIENT_CERT_KEY": "key"}, "CLIENT_CERT", "CLIENT_CERT_KEY"),
        ({"BOUND_TOKENS": True}, "CLIENT_CERT", "BOUND_TOKENS"),
        ({"CLIENT_AUTH": "tls_client_auth"}, "CLIENT_CERT", "tls_client_auth"),
        (
            {"CLIENT_CERT": "cert", "CLIENT_CERT_KEY": "key", "BOUND_TOKENS": True, "DPOP": True},
            "BOUND_TOKENS",
            "DPOP",
        ),
        (
            {
                "CLIENT_CERT": "cert",
                "CLIENT_CERT_KEY": "key",
                "BOUND_TOKENS": True,
                "ISSUER": "http://127.0.0.1:9000",
            },
            "ISSUER",
            "BOUND_TOKENS",
        ),
    ],
)
def test_keys_that_do_not_go_together(
    files: PairFiles, given: dict[str, Any], key: str, value: str
) -> None:
    paths = {"cert": str(files.certificate), "key": str(files.key)}
    config = {
        f"PARJAR_{name}": paths.get(each, each) if isinstance(each, str) else each
        for name, each in given.items()
    }
    found = faults(config)
    assert named(found) == [f"PARJAR_{key}"] and value in found[0]


def test_what_is_no_path_of_a_pem(files: PairFiles, tmp_path: Path) -> None:
    binary = tmp_path / "binary.pem"
    binary.write_bytes(b"\xff\xfe")
    for value, reason in (
        (files.pair.pem, "the text of a PEM"),
        ("AAAA\nBBBB", "the text of a PEM"),
        (str(tmp_path / "none.pem"), "none.pem"),
        (str(tmp_path), "no file"),
        (str(binary), "no file"),
        (str(files.key), "BEGIN CERTIFICATE"),
        (7, "int"),
    ):
        found = faults({**files.config, "PARJAR_CLIENT_CERT": value})
        assert named(found) == ["PARJAR_CLIENT_CERT"] and reason in found[0]
    for value in (files.pair.key_pem, str(files.certificate)):
        found = faults({**files.config, "PARJAR_CLIENT_CERT_KEY": value})
        assert named(found) == ["PARJAR_CLIENT_CERT_KEY"]
        assert files.pair.key_pem[40:70] not in found[0]


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(files: PairFiles, kind: PrivateFormat) -> None:
    files.key.write_text(files.pair.encrypted_key_pem(kind))
    (fault,) = faults(files.config)
    assert named((fault,)) == ["PARJAR_CLIENT_CERT_KEY"]
    assert "encrypted" in fault and "openssl pkey" in fault


@pytest.mark.parametrize(
    ("times", "reason"),
    [({"begins": DAY}, "valid only from"), ({"begins": -9 * DAY, "ends": -DAY}, "valid until")],
)
def test_a_certificate_at_another_time(tmp_path: Path, times: Any, reason: str) -> None:
    files = PairFiles(tmp_path, make_pair(**times))
    (fault,) = faults(files.config)
    assert named((fault,)) == ["PARJAR_CLIENT_CERT"]
    assert reason in fault and str(files.certificate) in fault


def test_a_key_of_another_certificate(files: PairFiles) -> None:
    files.key.write_text(make_pair().key_pem)
    (fault,) = faults(files.config)
    assert named((fault,)) == ["PARJAR_CLIENT_CERT"] and "private key" in fault


def test_what_openssl_does_not_accept(tmp_path: Path) -> None:
    files = PairFiles(tmp_path, make_pair(key=rsa.generate_private_key(65537, 1024)))
    (fault,) = faults(files.config)
    assert named((fault,)) == ["PARJAR_CLIENT_CERT"] and "KEY_TOO_SMALL" in fault


def test_a_file_that_is_gone_when_it_is_read_again(tmp_path: Path) -> None:
    with invalid("FileNotFoundError"):
        read_client_certificate(str(tmp_path / "none.pem"), str(tmp_path / "none.key"))


@pytest.mark.parametrize(("days", "warned"), [(1, True), (13, True), (15, False)])
def test_a_certificate_that_ends_soon(tmp_path: Path, days: int, warned: bool) -> None:
    files = PairFiles(tmp_path, make_pair(ends=days * DAY + 3600))
    warnings = [each for each in read(files.config).warnings if "PARJAR_CLIENT_CERT" in each]
    assert len(warnings) == warned
    assert all(f"{days} days" in each for each in warnings)


def test_the_warning_is_logged_at_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = PairFiles(tmp_path, make_pair(ends=DAY))
    app = start(**files.config)
    assert "PARJAR_CLIENT_CERT of provider 'default'" in caplog.text
    http = app.extensions["parjar"].providers["default"].http
    assert [each.thumbprint for each in http.certificates] == [files.pair.thumbprint]


def test_an_alias_in_metadata_by_hand(files: PairFiles) -> None:
    provider = DevProvider("https://op.example", mtls="https://mtls.op.example")
    assert read({**files.config, "PARJAR_METADATA": provider.metadata}).warnings == ()
    aliases = {"token_endpoint": "http://mtls.op.example/token"}
    config = {
        **files.config,
        "PARJAR_METADATA": {**provider.metadata, "mtls_endpoint_aliases": aliases},
    }
    assert read(config).warnings == ()  # it is not used
    (fault,) = faults({**config, "PARJAR_BOUND_TOKENS": True})
    assert named((fault,)) == ["PARJAR_METADATA"] and "token_endpoint" in fault


def test_the_configuration_of_the_tests_has_no_certificate() -> None:
    assert not {"PARJAR_CLIENT_CERT", "PARJAR_CLIENT_CERT_KEY"} & GOOD.keys()
