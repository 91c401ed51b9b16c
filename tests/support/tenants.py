"""A provider of several tenants: Ada and Grace are each of a tenant that the site allows."""

from __future__ import annotations

from flask_parjar.testing import DevProvider

ADAS, GRACES, ALANS = (
    "a1a1a1a1-0000-4000-8000-00000000000a",
    "0b6f5d1e-0000-4000-8000-00000000000b",
    "66666666-0000-4000-8000-000000000006",
)
#: Alan's is not among them.
TENANTS = [ADAS, GRACES]
ISSUER = "https://login.example/organizations/v2.0"


def issuer_of(tenant: str) -> str:
    return f"https://login.example/{tenant}/v2.0"


def make_tenants_provider() -> DevProvider:
    provider = DevProvider(ISSUER)
    provider.serve_tenants({"ada": ADAS, "grace": GRACES, "alan": ALANS})
    return provider
