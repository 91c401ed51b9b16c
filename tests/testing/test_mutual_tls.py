"""The provider checks client certificates, and binds tokens to them, as RFC 8705 asks."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from flask_parjar.protocol.mutual_tls import parse_certificate
from flask_parjar.testing import ClientMetadata, DevProvider, ServerTLS, WSGIAdapter
from flask_parjar.testing.mutual_tls import TrustedCertificates
from tests.support.certificates import Pair, PairFiles, make_pair
from tests.support.ports import find_free_port
from tests.testing.hand_made_client import CALLBACK, EC, HandMadeClient

ISSUER, ALIASES = "https://op.example", "https://mtls.op.example"
OFFLINE = "openid offline_access"
ROOT = make_pair("root", authority=True)
PAIR = make_pair(issuer=ROOT)
OTHER = make_pair("another", issuer=ROOT)
SUBJECT = "O=Tests,CN=site"
#: What a request has if its connection presented a certificate.
ENVIRON = "SSL_CLIENT_CERT"


class MutualTLSClient(HandMadeClient):
    """A client whose requests come with a certificate.

    :param pair: it may be changed
    """

    def __init__(self, provider: DevProvider, *, pair: Pair | None = PAIR, **more: Any) -> None:
        super().__init__(provider, **more)
        self.pair = pair

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            if self.pair is not None:
                environ[ENVIRON] = self.pair.pem
            return provider.app(environ, start_response)

        for origin in (ISSUER, ALIASES):
            self.http.mount(f"{origin}/", WSGIAdapter(app))

    def authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        if self.method.endswith("tls_client_auth"):
            return {}, {}
        return super().authentication()


def jwks_of(pair: Pair) -> dict[str, Any]:
    certificate = parse_certificate(pair.pem, pair.key_pem)
    return {"keys": [EC.as_dict(private=False), dict(certificate.public_jwk)]}


def by_authority(provider: DevProvider, **more: Any) -> MutualTLSClient:
    given = {"method": "tls_client_auth", "tls_client_auth_subject_dn": SUBJECT}
    return MutualTLSClient(provider, **{**given, **more})


def self_signed(provider: DevProvider, pair: Pair, **more: Any) -> MutualTLSClient:
    given = {"method": "self_signed_tls_client_auth", "jwks": jwks_of(pair), "pair": pair}
    return MutualTLSClient(provider, **{**given, **more})


def refresh(client: HandMadeClient, token: str) -> requests.Response:
    return client.post("token_endpoint", {"grant_type": "refresh_token", "refresh_token": token})


@pytest.fixture
def provider(clock: Any) -> DevProvider:
    return DevProvider(ISSUER, now=clock)


# Client authentication.


def test_a_certificate_of_an_authority_authenticates_by_its_subject(provider: DevProvider) -> None:
    client = by_authority(provider)
    assert client.tokens()["token_type"] == "Bearer"
    for pair in (OTHER, None):
        client.pair = pair
        answer = client.push()
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    client.pair = make_pair(issuer=ROOT)  # a renewed one has the same subject
    assert client.push().status_code == 201


def test_a_self_signed_certificate_authenticates_if_it_is_registered(provider: DevProvider) -> None:
    pair = make_pair()
    client = self_signed(provider, pair)
    assert client.tokens()["token_type"] == "Bearer"
    for other in (make_pair(key=pair.key), None):
        client.pair = other
        answer = client.push()
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_another_method_than_the_registered_one(provider: DevProvider) -> None:
    client = by_authority(provider)
    client.method = "private_key_jwt"
    assert client.push().json()["error"] == "invalid_client"
    signing = MutualTLSClient(provider, client_id="signing")
    signing.method = "tls_client_auth"
    assert signing.push().json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("registration", "reason"),
    [
        ({"token_endpoint_auth_method": "tls_client_auth"}, "tls_client_auth_subject_dn"),
        (
            {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "=?"},
            "tls_client_auth_subject_dn",
        ),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, "x5c"),
        (
            {
                "token_endpoint_auth_method": "self_signed_tls_client_auth",
                "jwks": None,
                "jwks_uri": "https://site.example/jwks.json",
            },
            "x5c",
        ),
        ({"token_endpoint_auth_method": "tls"}, "self_signed_tls_client_auth"),
    ],
)
def test_what_cannot_be_registered(
    provider: DevProvider, registration: dict[str, Any], reason: str
) -> None:
    given = {"jwks": {"keys": [EC.as_dict(private=False)]}, **registration}
    with pytest.raises(ValueError, match=reason):
        provider.register(ClientMetadata(client_id="x", redirect_uris=[CALLBACK], **given))


def test_a_provider_with_plain_http_has_no_mutual_tls() -> None:
    metadata = DevProvider("http://127.0.0.1:9000").metadata
    methods = metadata["token_endpoint_auth_methods_supported"]
    assert isinstance(methods, list) and "tls_client_auth" not in methods
    assert "tls_client_certificate_bound_access_tokens" not in metadata
    assert "mtls_endpoint_aliases" not in metadata


@pytest.mark.parametrize(
    "mtls", ["mtls.op.example", "ftp://op.example", "https://op.example?x", f"{ALIASES}/tls"]
)
def test_what_is_no_url_of_aliases(mtls: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        DevProvider(ISSUER, mtls=mtls)


# Bound tokens.

BOUND = {"tls_client_certificate_bound_access_tokens": True}


def test_tokens_are_bound_to_the_certificate_of_the_connection(provider: DevProvider) -> None:
    client = MutualTLSClient(provider, **BOUND)
    tokens = client.tokens(scope=OFFLINE)
    assert tokens["token_type"] == "Bearer"
    assert client.userinfo(tokens["access_token"]).status_code == 200
    for pair in (OTHER, None):
        client.pair = pair
        answer = client.userinfo(tokens["access_token"])
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_client_with_bound_tokens_gets_none_without_a_certificate(provider: DevProvider) -> None:
    client = MutualTLSClient(provider, **BOUND)
    code = client.code(scope=OFFLINE)
    client.pair = None
    answer = client.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    client.pair = PAIR
    assert client.redeem(code).status_code == 200  # the code was not used up


def test_without_the_registration_no_token_is_bound(provider: DevProvider) -> None:
    client = MutualTLSClient(provider)
    token = client.tokens()["access_token"]
    client.pair = None
    assert client.userinfo(token).status_code == 200


def test_a_refresh_binds_to_the_certificate_of_now(provider: DevProvider) -> None:
    """The refresh token of a client that authenticates is bound to the client (section 4)."""
    client = MutualTLSClient(provider, **BOUND)
    tokens = client.tokens(scope=OFFLINE)
    client.pair = OTHER
    renewed = refresh(client, tokens["refresh_token"]).json()
    assert client.userinfo(renewed["access_token"]).status_code == 200
    assert client.userinfo(tokens["access_token"]).status_code == 401
    client.pair = None
    assert refresh(client, renewed["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_refresh_token_of_a_public_client_is_bound_to_the_certificate(
    provider: DevProvider,
) -> None:
    client = MutualTLSClient(provider, method="none", **BOUND)
    token = client.tokens(scope=OFFLINE)["refresh_token"]
    client.pair = OTHER
    assert refresh(client, token).json()["error"] == "invalid_grant"
    client.pair = PAIR
    assert refresh(client, token).status_code == 200


# Aliases, and sockets.


def test_the_aliases_take_the_same_requests_and_the_other_paths_are_not_there(clock: Any) -> None:
    provider = DevProvider(f"{ISSUER}/tls", mtls=f"{ALIASES}/tls", now=clock)
    aliases = provider.metadata["mtls_endpoint_aliases"]
    assert aliases == {
        "pushed_authorization_request_endpoint": f"{ALIASES}/tls/par",
        "token_endpoint": f"{ALIASES}/tls/token",
        "revocation_endpoint": f"{ALIASES}/tls/revoke",
        "userinfo_endpoint": f"{ALIASES}/tls/userinfo",
    }
    client = provider.app.test_client()
    for path, status in (
        ("/tls/userinfo", 401),
        ("/userinfo", 421),
        ("/tls/authorize", 421),
        ("/tls/jwks.json", 421),
    ):
        assert client.get(path, base_url=ALIASES).status_code == status
    assert client.get("/tls/userinfo", base_url=ISSUER).status_code == 401
    assert client.get("/tls/jwks.json", base_url=ISSUER).status_code == 200


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    pair = make_pair("server", issuer=ROOT, host="127.0.0.1")
    (tmp_path / "root.pem").write_text(ROOT.pem)
    (tmp_path / "server").mkdir()
    return PairFiles(tmp_path / "server", pair)


def tls_of(files: PairFiles, folder: Path, *, authorities: bool = True) -> ServerTLS:
    return ServerTLS(
        certificate=files.certificate,
        key=files.key,
        client_authorities=folder / "root.pem" if authorities else None,
    )


@contextlib.contextmanager
def session(folder: Path, pair: Pair | None) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.trust_env = False  # REQUESTS_CA_BUNDLE
        http.verify = str(folder / "root.pem")
        if pair is not None:
            (folder / "client").mkdir(exist_ok=True)
            files = PairFiles(folder / "client", pair)
            http.cert = (str(files.certificate), str(files.key))
        yield http


def test_the_server_asks_for_certificates_where_the_aliases_are(
    files: PairFiles, tmp_path: Path
) -> None:
    issuer, mtls = (f"https://127.0.0.1:{find_free_port()}" for _ in "12")
    provider = DevProvider(issuer, mtls=mtls)
    with provider.running(tls=tls_of(files, tmp_path)), session(tmp_path, PAIR) as http:
        for base in (issuer, mtls):
            assert http.get(f"{base}/userinfo", timeout=10).status_code == 401
    assert [call.certificate for call in provider.calls] == [None, PAIR.thumbprint]


def test_the_server_accepts_authorities_and_registered_certificates_alone(
    files: PairFiles, tmp_path: Path
) -> None:
    issuer = f"https://127.0.0.1:{find_free_port()}"
    provider = DevProvider(issuer)
    first, second, third = (make_pair(name) for name in ("first", "second", "third"))
    provider.trust_certificate(first.pem)

    def seen(pair: Pair | None) -> str | None:
        with session(tmp_path, pair) as http:
            assert http.get(f"{issuer}/userinfo", timeout=10).status_code == 401
        return provider.calls[-1].certificate

    with provider.running(tls=tls_of(files, tmp_path, authorities=False)):
        assert seen(None) is None
        assert seen(first) == first.thumbprint
        for refused in (second, third, PAIR):
            with pytest.raises(requests.ConnectionError):
                seen(refused)
        provider.trust_certificate(third.pem)
        assert seen(third) == third.thumbprint
        provider.register(
            ClientMetadata(
                client_id="x",
                redirect_uris=[CALLBACK],
                token_endpoint_auth_method="self_signed_tls_client_auth",
                jwks=jwks_of(second),
            )
        )
        assert seen(second) == second.thumbprint


def test_a_client_that_says_nothing_does_not_stop_the_others(
    files: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = find_free_port()
    provider = DevProvider(f"https://127.0.0.1:{port}")
    with provider.running(tls=tls_of(files, tmp_path)), session(tmp_path, None) as http:
        with socket.create_connection(("127.0.0.1", port)) as silent:
            assert http.get(f"{provider.issuer}/jwks.json", timeout=10).status_code == 200
            silent.sendall(b"no handshake\r\n\r\n")
            silent.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                while silent.recv(1000):
                    pass
        assert http.get(f"{provider.issuer}/jwks.json", timeout=10).status_code == 200
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_of_the_server_itself_is_shown(
    files: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = DevProvider(f"https://127.0.0.1:{find_free_port()}")
    with contextlib.ExitStack() as stack:
        (server,) = provider._servers(stack, port=None, host=None, tls=tls_of(files, tmp_path))
        try:
            raise RuntimeError("not of a socket")
        except RuntimeError:
            server.handle_error(None, ("127.0.0.1", 1))
    assert "not of a socket" in capsys.readouterr().err


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9000", "https://127.0.0.1"])
def test_what_is_not_served_with_tls(issuer: str, files: PairFiles, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="https with a port"),
        DevProvider(issuer).running(tls=tls_of(files, tmp_path)),
    ):
        pass


def test_the_server_refuses_old_versions_of_tls(files: PairFiles, tmp_path: Path) -> None:
    context = tls_of(files, tmp_path).context(asks=True, trusted=TrustedCertificates())
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
