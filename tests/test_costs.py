"""What one login costs, counted and not timed."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar.testing import DevProvider
from tests.site import Visitor, make_site

KEYS = {
    "RS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count, in this thread alone, what is dear: signatures, key imports, trust stores.

    The provider of these tests serves from a thread of its own, so its work is not counted.
    """
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            owner = type(getattr(called, "__self__", None)).__module__
            if owner.startswith("cryptography.") and called.__name__ in ("sign", "verify"):
                counts[called.__name__] += 1
            if called.__name__ in ("load_verify_locations", "set_default_verify_paths"):
                counts["trust store"] += 1
        elif event == "call":
            name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
            if module.startswith("joserfc") and name in ("import_key", "import_key_set"):
                counts["key import"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("userinfo", [False, True])
def test_a_login_after_warm_up(free_port: Callable[[], int], alg: str, userinfo: bool) -> None:
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    app = make_site(
        provider,
        connect=False,
        PARJAR_SIGNING_KEY=KEYS[alg].as_dict(private=True),
        PARJAR_SIGNING_ALG=alg,
        PARJAR_USERINFO=userinfo,
    )
    provider.connect(app)
    app.extensions["parjar"].http._open_session()  # a real socket, and not the shortcut
    visitor = Visitor(app, provider)
    with provider.running():
        visitor.log_in()
        provider.calls.clear()
        with counted() as going_out:
            away = visitor.leave()
        back = visitor.come_back(away)
        with counted() as coming_back:
            assert visitor.get(back).status_code == 302
    assert going_out == {"sign": 2}
    assert coming_back == {"sign": 1, "verify": 1}
    asked = [call.endpoint for call in provider.calls if call.endpoint in FROM_THE_SITE]
    assert asked == ["pushed_authorization_request", "token"] + ["userinfo"] * userinfo


FROM_THE_SITE = ("discovery", "jwks", "pushed_authorization_request", "token", "userinfo")


def test_a_protected_request_costs_a_look_into_the_session(
    visitor: Visitor, provider: DevProvider
) -> None:
    visitor.log_in()
    provider.calls.clear()
    with counted() as counts:
        response = visitor.get("/me")
    assert (response.status_code, counts, provider.calls) == (200, {}, [])
    assert "Set-Cookie" not in response.headers


def test_nothing_is_fetched_or_loaded_at_start(provider: DevProvider) -> None:
    before = threading.active_count()
    with counted() as counts:
        make_site(provider, connect=False)
    assert "trust store" not in counts
    assert (provider.calls, threading.active_count()) == ([], before)
