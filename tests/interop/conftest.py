"""Fixtures that start a real provider, and open a scripted browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from werkzeug.serving import make_server

from flask_parjar.testing.serving import running as serving
from tests.interop.client_site import EC, RSA, new_site
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import GlewlwydProcess, StartGlewlwyd, missing_glewlwyd
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_process import (
    KeycloakProcess,
    missing_keycloak,
    prepared_keycloak,
    running_keycloak,
)
from tests.interop.mock_process import MockProcess, missing_mock
from tests.interop.provider_process import (
    ProviderProcess,
    StartProvider,
    missing_oidc_provider,
)
from tests.interop.scripted_browser import OpenBrowser, ScriptedBrowser
from tests.interop.spring_client import registrations
from tests.interop.spring_process import SpringProcess, built_server, missing_spring
from tests.support.requirements import NotPrepared, need

REQUIRED_BY = "PARJAR_REQUIRE_INTEROP"

#: They take more than a minute. `tox -e interop-slow` and `tox -e interop-matrix` name them: then
#: they are collected.
collect_ignore = ["test_keycloak_slow.py", "test_matrix.py"]


def prepare(step: Callable[[], object]) -> None:
    """Download and build what a provider needs. Without a network its tests are skipped."""
    try:
        step()
    except NotPrepared as exc:
        need(str(exc), required_by=REQUIRED_BY)


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    """An authority that is trusted only where its bundle is configured."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PEM file of :func:`certificate_authority`."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def oidc_provider(certificate_authority: trustme.CA, ca_bundle: Path) -> Iterator[StartProvider]:
    """``oidc_provider(clients=[…], https=False, features=None, mtls=None)`` starts one on loopback.

    All end with the test session.
    """
    need(missing_oidc_provider(), required_by=REQUIRED_BY)
    with ExitStack() as running:

        def start(
            *,
            clients: Sequence[Mapping[str, Any]],
            https: bool = False,
            features: Mapping[str, Any] | None = None,
            mtls: Mapping[str, Any] | None = None,
        ) -> ProviderProcess:
            certificate = certificate_authority.issue_cert("127.0.0.1", "localhost")
            pem = {
                "cert": b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode(),
                "key": certificate.private_key_pem.bytes().decode(),
            }
            provider = ProviderProcess(
                clients=clients,
                features=features,
                mtls=mtls,
                https=pem if https else None,
                ca_bundle=ca_bundle if https else None,
            )
            return running.enter_context(provider)

        yield start


@pytest.fixture
def open_browser() -> Iterator[OpenBrowser]:
    """``open_browser(provider)`` opens a browser without cookies."""
    with ExitStack() as opened:

        def open_one(provider: ProviderProcess) -> ScriptedBrowser:
            browser = ScriptedBrowser(ca_bundle=provider.ca_bundle)
            opened.callback(browser.close)
            return browser

        yield open_one


@pytest.fixture(scope="session")
def published_keys() -> Iterator[str]:
    """The URL under which a site publishes its keys, on a real socket: providers fetch them."""
    site = new_site(
        {
            "PARJAR_ISSUER": "http://127.0.0.1/never-asked",
            "PARJAR_CLIENT_ID": "by-published-keys",
            "PARJAR_SIGNING_KEY": {"keys": [key.as_dict(private=True) for key in (EC, RSA)]},
        }
    )
    server = make_server("127.0.0.1", 0, site.application, threaded=True)
    with serving(server):
        yield f"http://127.0.0.1:{server.port}/.well-known/jwks.json"


@pytest.fixture(scope="session")
def glewlwyd() -> Iterator[StartGlewlwyd]:
    """``glewlwyd(clients=[…], plugins={…})`` starts one on loopback; all end with the session."""
    need(missing_glewlwyd(), required_by=REQUIRED_BY)
    with ExitStack() as running:

        def start(
            *,
            clients: Sequence[Mapping[str, Any]],
            plugins: Mapping[str, Mapping[str, Any]],
        ) -> GlewlwydProcess:
            return running.enter_context(GlewlwydProcess(clients=clients, plugins=plugins))

        yield start


@pytest.fixture
def glewlwyd_browser() -> Iterator[GlewlwydBrowser]:
    """Ada's browser for Glewlwyd, without cookies."""
    with closing(GlewlwydBrowser()) as browser:
        yield browser


@pytest.fixture(scope="session")
def oidc_provider_mock() -> Iterator[MockProcess]:
    """An oidc-provider-mock on loopback, for the whole session: it needs no registration."""
    need(missing_mock(), required_by=REQUIRED_BY)
    with MockProcess() as process:
        yield process


@pytest.fixture(scope="session")
def spring(published_keys: str) -> Iterator[SpringProcess]:
    """A Spring Authorization Server on loopback with all clients, for the whole session."""
    need(missing_spring(), required_by=REQUIRED_BY)
    prepare(built_server)
    with SpringProcess(clients=registrations(published_keys)) as process:
        yield process


@pytest.fixture
def scripted_browser() -> Iterator[ScriptedBrowser]:
    """A browser without cookies, for a provider with plain http."""
    with closing(ScriptedBrowser()) as browser:
        yield browser


@pytest.fixture(scope="session")
def keycloak() -> Iterator[KeycloakProcess]:
    """A Keycloak on loopback with the realm of ``docs/providers``, for the whole test session."""
    need(missing_keycloak(), required_by=REQUIRED_BY)
    prepare(prepared_keycloak)
    with running_keycloak() as process:
        yield process


@pytest.fixture
def keycloak_browser() -> Iterator[KeycloakBrowser]:
    """A new browser, without cookies, for Keycloak."""
    with closing(KeycloakBrowser()) as browser:
        yield browser
