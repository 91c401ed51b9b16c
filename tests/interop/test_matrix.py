"""Whole logins at oidc-provider with every combination of the settings: some minutes.

An ordinary run does not collect this file (``conftest.py``): ``tox -e interop-matrix`` does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import tls_login
from tests.interop.combinations import ALL, TLS_ALL, Combination, TLSCombination
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.interop.whole_login import start, verify, walk

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[bool, ProviderProcess]:
    """The provider by whether it wants nonces."""
    return start(oidc_provider, ALL)


@pytest.mark.parametrize("combination", ALL, ids=str)
def test_from_the_login_to_the_logout(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, combination: Combination
) -> None:
    provider = running[combination.nonces]
    verify(walk(provider, open_browser(provider), combination))


@pytest.fixture(scope="module")
def asking_for_certificates(oidc_provider: StartProvider) -> ProviderProcess:
    return tls_login.start(oidc_provider, TLS_ALL)


@pytest.mark.parametrize("combination", TLS_ALL, ids=str)
def test_from_the_login_to_the_logout_with_tls(
    asking_for_certificates: ProviderProcess,
    open_browser: OpenBrowser,
    combination: TLSCombination,
    tmp_path: Path,
) -> None:
    provider = asking_for_certificates
    tls_login.verify(tls_login.walk(provider, open_browser(provider), combination, tmp_path))
