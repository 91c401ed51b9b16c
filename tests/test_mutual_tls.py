"""Whole logins with mutual TLS: which certificate each server saw. RFC 8705."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request

from flask_parjar import ParJar, signals
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, renewals, token_site, token_views, use_sockets
from tests.support.certificates import PairFiles, make_pair
from tests.support.headers import FROM_HERE
from tests.support.site import Visitor
from tests.support.tls_provider import ROOT, Served, served

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


@pytest.mark.parametrize("way", WAYS)
def test_the_form_names_the_client_and_has_no_secret(files: PairFiles, way: str) -> None:
    provider = DevProvider(ISSUER)
    Visitor(mtls_site(provider, files, **WAYS[way]), provider).log_in()
    (token,) = [call for call in provider.calls if call.endpoint == "token"]
    assert token.form["client_id"] == "flask-parjar"
    assert ("client_assertion" in token.form) is (way == "private_key_jwt")
    assert "Authorization" not in token.headers


def test_a_certificate_that_only_protects_connections_uses_no_aliases(files: PairFiles) -> None:
    provider = DevProvider(ISSUER)
    provider.metadata["mtls_endpoint_aliases"] = {"token_endpoint": "http://not.used.example/"}
    del provider.metadata["tls_client_certificate_bound_access_tokens"]
    visitor = Visitor(mtls_site(provider, files), provider)
    assert visitor.log_in().location == "/"
    found = seen(provider)
    assert {name: found[name] for name in (PUSH, "token", "userinfo")} == dict.fromkeys(
        (PUSH, "token", "userinfo"), {files.pair.thumbprint}
    )
    assert found["discovery"] == found["jwks"] == {None}


@pytest.mark.parametrize("aliases", [None, ALIASES])
@pytest.mark.parametrize("audience", ["issuer", "endpoint", "token_endpoint"])
def test_dpop_and_assertions_at_an_alias(
    files: PairFiles, aliases: str | None, audience: str
) -> None:
    """``htu`` is the URL that is called (RFC 9449 section 4.2), and so is such an ``aud``."""
    provider = DevProvider(ISSUER, mtls=aliases)
    by_certificate = {"PARJAR_CLIENT_AUTH": "tls_client_auth", "PARJAR_DPOP": True}
    bound = {"PARJAR_ASSERTION_AUDIENCE": audience, "PARJAR_BOUND_TOKENS": True}
    for config in (by_certificate, bound):
        visitor = Visitor(mtls_site(provider, files, **config), provider)
        assert visitor.log_in().location == "/"


def test_without_a_certificate_none_is_presented() -> None:
    provider = DevProvider(ISSUER)
    visitor = Visitor(token_site(provider, "memory", PARJAR_USERINFO=True), provider)
    assert visitor.log_in().location == "/"
    assert {call.certificate for call in provider.calls} == {None}


# What is published.


def certificates_of(app: Flask) -> list[str]:
    keys = app.test_client().get("/.well-known/jwks.json").json["keys"]
    return [jwk["x5t#S256"] for jwk in keys if "x5c" in jwk]


def test_a_self_signed_certificate_is_published(files: PairFiles) -> None:
    provider = DevProvider(ISSUER)
    app = mtls_site(provider, files, **WAYS["self_signed_tls_client_auth"])
    first = files.pair.thumbprint
    assert certificates_of(app) == [first]
    files.write(make_pair())
    assert certificates_of(app) == [files.pair.thumbprint, first]


@pytest.mark.parametrize("way", ["tls_client_auth", "private_key_jwt"])
def test_other_certificates_are_not_published(files: PairFiles, way: str) -> None:
    assert certificates_of(mtls_site(DevProvider(ISSUER), files, **WAYS[way])) == []


# A renewal.


def test_tokens_are_bound_to_the_certificate_that_is_current_at_a_refresh(
    files: PairFiles,
) -> None:
    provider = DevProvider(ISSUER)
    visitor = Visitor(mtls_site(provider, files, **WAYS["both"]), provider)
    visitor.log_in()
    files.write(make_pair())
    age(visitor, left=-1)
    token = visitor.get("/token").text
    grant = provider._state.memory.access_tokens.get(token)
    assert grant is not None and grant.x5t == files.pair.thumbprint
    assert provider.calls[-1].certificate == files.pair.thumbprint
    assert visitor.get("/kept").json["binding"]["thumbprint"] == files.pair.thumbprint


def test_a_renewal_within_a_login_loses_no_login(files: PairFiles) -> None:
    """Userinfo sees the certificate that the access token is bound to, and the next login not."""
    provider = DevProvider(ISSUER)
    app = mtls_site(provider, files, **WAYS["both"])
    first = files.pair

    def renew(sender: object, *, endpoint: str, **more: Any) -> None:
        if endpoint == "token" and files.pair == first:
            files.write(make_pair())

    with signals.provider_called.connected_to(renew, app):
        assert Visitor(app, provider).log_in().location == "/"
    assert seen(provider)["userinfo"] == {first.thumbprint}
    provider.calls.clear()
    Visitor(app, provider).log_in()
    assert seen(provider)["userinfo"] == {files.pair.thumbprint}


# By sockets.


def api_views(app: Flask, parjar: ParJar) -> None:
    token_views(app, parjar)

    @app.get("/call")
    def call() -> Response:
        base_url = request.args["api"]
        url = request.args.get("url", "userinfo")
        answered = parjar.api(base_url).get(url)
        return Response(answered.content, answered.status_code, mimetype="application/json")


def socket_site(served: Served, files: PairFiles, **config: Any) -> Flask:
    given = {"PARJAR_CA_BUNDLE": served.ca_bundle, "PARJAR_HTTP_TIMEOUT": 20, "prepare": api_views}
    app = mtls_site(served.provider, files, **{**given, **config})
    use_sockets(app)
    return app


@pytest.mark.parametrize("aliases", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_whole_logins_by_real_tls_sockets(tmp_path: Path, way: str, aliases: bool) -> None:
    there = served(tmp_path, aliases=aliases)
    issued = {"issuer": ROOT} if "tls_client_auth" == WAYS[way].get("PARJAR_CLIENT_AUTH") else {}
    files = PairFiles(tmp_path, make_pair(**issued))
    visitor = Visitor(socket_site(there, files, **WAYS[way]), there.provider)
    api = there.provider._state.mtls or there.provider.issuer
    with there.running():
        assert visitor.log_in().location == "/"
        age(visitor, left=-1)
        assert visitor.get(f"/call?api={api}").json["sub"] == "ada"
        assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    bound = "PARJAR_BOUND_TOKENS" in WAYS[way]
    called = there.provider.calls
    (by_app,) = [call for call in called if call.headers.get("User-Agent", "")[:6] == "python"]
    assert by_app.certificate == (files.pair.thumbprint if bound else None)
    for call in called:
        if call is not by_app and call.endpoint in WITH_CERTIFICATE:
            assert call.certificate == files.pair.thumbprint
        elif call is not by_app:
            assert call.certificate is None
    assert {call.endpoint for call in called} >= {*WITH_CERTIFICATE, "discovery", "jwks"}


def test_an_api_that_does_not_accept_the_former_certificate_gets_a_renewed_token(
    tmp_path: Path,
) -> None:
    """A minute after a renewal the new certificate is used for all tokens (RFC 8705 section 3)."""
    there = served(tmp_path)
    files = PairFiles(tmp_path, make_pair(issuer=ROOT))
    app = socket_site(there, files, **WAYS["both"])
    visitor = Visitor(app, there.provider)
    with there.running():
        visitor.log_in()
        first = visitor.get("/token").text
        files.write(make_pair(issuer=ROOT))
        api = f"/call?api={there.provider.issuer}"
        assert visitor.get(api).json["sub"] == "ada"  # with the certificate of the token
        assert visitor.get("/token").text == first
        pools = app.extensions["parjar"].providers["default"].http._certified
        pools._presented = pools._presented[:1]  # as after a minute, or in another process
        assert visitor.get(api).json["sub"] == "ada"
        assert visitor.get("/token").text != first
    assert renewals(there.provider) == 1


LOGINS, THREADS, RENEWALS = 8, 4, 3
BETWEEN = LOGINS * THREADS // (RENEWALS + 1)  # logins from one renewal to the next


def test_a_renewal_under_load_loses_no_login(tmp_path: Path) -> None:
    there = served(tmp_path)
    files = PairFiles(tmp_path, make_pair(issuer=ROOT))
    app = socket_site(there, files, **WAYS["both"])
    thumbprints = [files.pair.thumbprint]
    lock, done = threading.Lock(), itertools.count(1)

    def renew_perhaps() -> None:
        """Renew after so many logins, while the other threads log in."""
        with lock:
            if next(done) % BETWEEN == 0 and len(thumbprints) <= RENEWALS:
                pair = make_pair(issuer=ROOT)
                thumbprints.append(pair.thumbprint)
                files.write(pair)

    def log_in(number: int) -> list[str]:
        arrived = []
        for _ in range(LOGINS):
            visitor = Visitor(app, there.provider)
            arrived.append(str(visitor.log_in().location))
            age(visitor, left=-1)
            arrived.append(str(visitor.get("/token").status_code))
            renew_perhaps()
        return arrived

    with there.running(), ThreadPoolExecutor(THREADS) as threads:
        outcomes = list(threads.map(log_in, range(THREADS)))
    assert outcomes == [["/", "200"] * LOGINS] * THREADS
    used = [call.certificate for call in there.provider.calls if call.endpoint in WITH_CERTIFICATE]
    assert len(thumbprints) == RENEWALS + 1
    assert set(used) == set(thumbprints)  # each of them, and no request without one
    assert used[-1] == thumbprints[-1]
    assert len(used) >= THREADS * LOGINS * 4


def test_the_wrong_certificate_is_refused_before_the_browser_leaves(tmp_path: Path) -> None:
    there = served(tmp_path)
    files = PairFiles(tmp_path, make_pair(issuer=ROOT))
    app = socket_site(there, files, **WAYS["tls_client_auth"])
    files.write(make_pair("another", issuer=ROOT))
    with there.running():
        answered = Visitor(app, there.provider).get("/login")
        assert (answered.status_code, "client_refused" in answered.text) == (502, True)
        files.write(make_pair())  # of no authority that the provider knows
        page = Visitor(app, there.provider).get("/login").text
        assert "client_certificate_refused" in page or "provider_unreachable" in page
