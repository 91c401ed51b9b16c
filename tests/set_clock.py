"""A site on a machine whose clock is an hour ahead and is then set right; run by test_clocks.py.

A process of its own, because the clocks are turned before anything else is imported.
"""

from __future__ import annotations

import json
import time

_wall, _steady = time.time, time.monotonic
ahead, passed = 3600.0, 0.0
time.time = lambda: _wall() + ahead + passed
time.monotonic = lambda: _steady() + passed

from flask_parjar.testing import DevProvider  # noqa: E402
from tests.support.pages import code_of  # noqa: E402
from tests.support.site import ISSUER, Visitor, make_site  # noqa: E402


def new_provider() -> DevProvider:
    return DevProvider(ISSUER, now=lambda: _wall() + passed)


def after_an_outage() -> object:
    """What the login answers two seconds after the provider has come back."""
    global ahead, passed
    ahead, provider = 3600.0, new_provider()
    visitor = Visitor(make_site(provider), provider)
    with provider.fault("metadata_500"):
        visitor.get("/login")
    ahead, passed = 0.0, passed + 2
    page = visitor.get("/login")
    return code_of(page) or page.status_code


def after_a_rotation() -> object:
    """What a login ends with half a minute after somebody has brought a token of an unknown key."""
    global ahead, passed
    ahead, provider = 3600.0, new_provider()
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    unknown = provider.logout_token(sub="grace", header={"kid": "unknown"})
    visitor.post("/backchannel-logout", data={"logout_token": unknown})
    ahead, passed = 0.0, passed + 31
    provider.rotate_keys()
    page = visitor.log_in()
    return code_of(page) or page.status_code


if __name__ == "__main__":
    print(json.dumps({"outage": after_an_outage(), "rotation": after_a_rotation()}))
