"""Whole logins with mutual TLS: which certificate each server saw. RFC 8705."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_parjar.testing import DevProvider
from tests.support.after_login import age, token_site, token_views
from tests.support.certificates import PairFiles, make_pair
from tests.support.headers import FROM_HERE
from tests.support.site import Visitor

ISSUER, ALIASES = "https://op.example", "https://mtls.op.example"
PUSH = "pushed_authorization_request"
WITH_CERTIFICATE = (PUSH, "token", "userinfo", "revocation")
WITHOUT_BOUND: dict[str, dict[str, Any]] = {
    "tls_client_auth": {"PARJAR_CLIENT_AUTH": "tls_client_auth"},
    "self_signed_tls_client_auth": {"PARJAR_CLIENT_AUTH": "self_signed_tls_client_auth"},
}
WAYS: dict[str, dict[str, Any]] = {
    **WITHOUT_BOUND,
    "private_key_jwt": {"PARJAR_BOUND_TOKENS": True},
    "both": {"PARJAR_CLIENT_AUTH": "tls_client_auth", "PARJAR_BOUND_TOKENS": True},
}


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    return PairFiles(tmp_path, make_pair())


def mtls_site(provider: DevProvider, files: PairFiles, **config: Any) -> Flask:
    given = {"PARJAR_USERINFO": True, "prepare": token_views, **files.config, **config}
    return token_site(provider, "memory", **given)


def seen(provider: DevProvider) -> dict[str, set[str | None]]:
    """The certificates that each endpoint saw."""
    found: dict[str, set[str | None]] = {}
    for call in provider.calls:
        found.setdefault(call.endpoint, set()).add(call.certificate)
    return found


@pytest.mark.parametrize("aliases", [None, ALIASES])
@pytest.mark.parametrize("way", WAYS)
def test_from_the_login_to_the_logout(files: PairFiles, way: str, aliases: str | None) -> None:
    provider = DevProvider(ISSUER, mtls=aliases)
    visitor = Visitor(mtls_site(provider, files, **WAYS[way]), provider)
    assert visitor.log_in().location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    found = seen(provider)
    assert {name: found[name] for name in WITH_CERTIFICATE} == dict.fromkeys(
        WITH_CERTIFICATE, {files.pair.thumbprint}
    )
    for name in found.keys() - set(WITH_CERTIFICATE):
        assert found[name] == {None}, name
    assert {"discovery", "jwks", "authorization"} <= found.keys()
