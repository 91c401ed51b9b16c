"""Fixtures that bring a real provider, and a scripted browser to visit it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import GlewlwydProcess, StartGlewlwyd, missing_glewlwyd
from tests.interop.mock_process import MockProcess, missing_mock
from tests.interop.provider_process import (
    ProviderProcess,
    StartProvider,
    is_required,
    missing_piece,
)
from tests.interop.scripted_browser import OpenBrowser, ScriptedBrowser


def need(missing: str | None) -> None:
    """Skip the tests that ask for a provider which this machine cannot run, and say what brings it.

    Under ``CI`` or ``PARJAR_REQUIRE_INTEROP=1`` they fail.
    """
    if missing is not None and is_required():
        pytest.fail(missing, pytrace=False)
    if missing is not None:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    """An authority that nobody trusts but who is handed its bundle."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PEM file of :func:`certificate_authority`."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def oidc_provider(certificate_authority: trustme.CA, ca_bundle: Path) -> Iterator[StartProvider]:
    """``oidc_provider(clients=[…], https=False, features=None)`` starts one on loopback.

    All end with the test session.
    """
    need(missing_piece())
    with ExitStack() as running:

        def start(
            *,
            clients: Sequence[Mapping[str, Any]],
            https: bool = False,
            features: Mapping[str, Any] | None = None,
        ) -> ProviderProcess:
            certificate = certificate_authority.issue_cert("127.0.0.1", "localhost")
            pem = {
                "cert": b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode(),
                "key": certificate.private_key_pem.bytes().decode(),
            }
            provider = ProviderProcess(
                clients=clients,
                features=features,
                https=pem if https else None,
                ca_bundle=ca_bundle if https else None,
            )
            return running.enter_context(provider)

        yield start


@pytest.fixture
def open_browser() -> Iterator[OpenBrowser]:
    """``open_browser(provider)`` opens a browser that has never been anywhere."""
    with ExitStack() as opened:

        def open_one(provider: ProviderProcess) -> ScriptedBrowser:
            browser = ScriptedBrowser(ca_bundle=provider.ca_bundle)
            opened.callback(browser.close)
            return browser

        yield open_one


@pytest.fixture(scope="session")
def glewlwyd() -> Iterator[StartGlewlwyd]:
    """``glewlwyd(clients=[…], plugins={…})`` starts one on loopback; all end with the session."""
    need(missing_glewlwyd())
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
    """Ada's browser for Glewlwyd, which has never been anywhere."""
    with closing(GlewlwydBrowser()) as browser:
        yield browser


@pytest.fixture(scope="session")
def oidc_provider_mock() -> Iterator[MockProcess]:
    """An oidc-provider-mock on loopback, for the whole session: it needs to know nobody."""
    need(missing_mock())
    with MockProcess() as process:
        yield process
