"""Whole logins at oidc-provider with each pair of settings: ``combinations.py`` has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.interop.combinations import FEW, PARAMETERS, Combination
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.interop.whole_login import start, verify, walk

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[bool, ProviderProcess]:
    """The provider by whether it wants nonces."""
    return start(oidc_provider, FEW)


@pytest.mark.parametrize("combination", FEW, ids=str)
def test_from_the_login_to_the_logout(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, combination: Combination
) -> None:
    provider = running[combination.nonces]
    verify(walk(provider, open_browser(provider), combination))


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_the_checks_tell_one_combination_from_another(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, parameter: str
) -> None:
    for combination in (FEW[0], next(each for each in FEW if each.nonces and each.encrypted)):
        provider = running[combination.nonces]
        seen = walk(provider, open_browser(provider), combination)
        verify(seen)
        for value in PARAMETERS[parameter]:
            other = combination._replace(**{parameter: value})
            if other != combination:
                with pytest.raises(AssertionError):
                    verify(replace(seen, combination=other))
