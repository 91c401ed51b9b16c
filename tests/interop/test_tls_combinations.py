"""Whole logins with certificates, DPoP and JARM in each pair: ``combinations.py`` has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.combinations import TLS_FEW, TLS_PARAMETERS, TLSCombination
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.interop.tls_login import start, verify, walk

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> ProviderProcess:
    """The provider, which asks for certificates."""
    return start(oidc_provider, TLS_FEW)


@pytest.mark.parametrize("combination", TLS_FEW, ids=str)
def test_from_the_login_to_the_logout(
    running: ProviderProcess,
    open_browser: OpenBrowser,
    combination: TLSCombination,
    tmp_path: Path,
) -> None:
    seen = walk(running, open_browser(running), combination, tmp_path)
    verify(seen)
    # The checks tell this combination from each that differs in one value.
    for parameter, values in TLS_PARAMETERS.items():
        for value in values:
            other = combination._replace(**{parameter: value})
            if other != combination:
                with pytest.raises(AssertionError):
                    verify(replace(seen, combination=other))
