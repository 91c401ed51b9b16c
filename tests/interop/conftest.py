"""Fixtures that bring a real provider, and a scripted browser to visit it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.interop.provider_process import (
    ProviderProcess,
    StartProvider,
    is_required,
    missing_piece,
)
from tests.interop.scripted_browser import OpenBrowser, ScriptedBrowser


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

    All end with the test session. Where the machine lacks what it needs, the tests that ask for it
    are skipped with the command that brings it; under ``CI`` or ``PARJAR_REQUIRE_INTEROP=1`` they
    fail.
    """
    if reason := missing_piece():
        if is_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

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
