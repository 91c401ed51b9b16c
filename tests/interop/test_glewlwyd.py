"""Whole logins at Glewlwyd: a second provider that nobody here wrote, in another language.

What it wants in another way than oidc-provider is told to the package by documented settings, and
what it does wrong is refused: ``docs/providers.rst`` has both, this module shows them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import (
    WITH_NBF,
    WITH_SESSIONS,
    WITHOUT_PAR,
    GlewlwydProcess,
    StartGlewlwyd,
)
from tests.interop.visited_site import (
    EC,
    FROM_THE_PROVIDER,
    FROM_THE_SITE,
    KEYS,
    NAVIGATION,
    SECRET,
    SITE,
    account,
    begin,
    come_back,
    endpoints,
    knows_nobody,
    log_in,
    new_site,
    part,
    told,
)

pytestmark = pytest.mark.interop

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
METHODS = ("private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt")

#: Its at_hash beside EdDSA is made with SHA-256; the OpenID Connect working group says SHA-512.
ID_TOKEN_ALGORITHMS = {"RS256": "RS256", "PS256": "PS256", "ES256": "ES256", "EdDSA": "ES256"}

UNKNOWN_KEY = ECKey.generate_key("P-256", {"kid": EC.kid})


def glewlwyd_client(client_id: str, alg: str, method: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client in Glewlwyd's own names.

    With a signed request it takes a client to be authenticated by that key, whatever else it
    brought: so ``private_key_jwt`` stands beside every other method.
    """
    client = {
        "client_id": client_id,
        "name": client_id,
        "enabled": True,
        "confidential": True,
        "scope": [],
        "authorization_type": ["code", "refresh_token"],
        "redirect_uri": [f"{SITE}/callback"],
        "post_logout_redirect_uris": [f"{SITE}/"],
        "token_endpoint_auth_method": sorted({method, "private_key_jwt"}),
        "token_endpoint_signing_alg": alg if method == "private_key_jwt" else "HS256",
        "request_object_signing_alg": alg,
        "sign_kid": ID_TOKEN_ALGORITHMS[alg],
        "jwks": {"keys": [KEYS[alg].as_dict(private=False)]},
    }
    if method.startswith("client_secret"):
        client["client_secret"] = SECRET
    return client | more


def client_id_for(alg: str, method: str) -> str:
    """Return the name of a client of the matrix."""
    return f"{alg}-{method}"


CLIENTS = [
    glewlwyd_client(client_id_for(alg, method), alg, method)
    for alg in ALGORITHMS
    for method in METHODS
] + [
    glewlwyd_client(
        "by-secret-alone",
        "ES256",
        "client_secret_basic",
        token_endpoint_auth_method=["client_secret_basic"],
    ),
    glewlwyd_client("form-post", "ES256", "private_key_jwt", response_mode="form_post"),
    glewlwyd_client("signed-with-eddsa", "ES256", "private_key_jwt", sign_kid="EdDSA"),
]


@pytest.fixture(scope="module")
def published_keys() -> Iterator[str]:
    """The URL under which a site publishes its keys, on a real socket: Glewlwyd fetches them."""
    site = new_site(
        {
            "PARJAR_ISSUER": "http://127.0.0.1/never-asked",
            "PARJAR_CLIENT_ID": "by-published-keys",
            "PARJAR_SIGNING_KEY": EC.as_dict(private=True),
        }
    )
    server = make_server("127.0.0.1", 0, site.application, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/.well-known/jwks.json"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def provider(glewlwyd: StartGlewlwyd, published_keys: str) -> GlewlwydProcess:
    """One process with a provider for each way to configure it, and all clients of this module."""
    by_url = glewlwyd_client(
        "by-published-keys", "ES256", "private_key_jwt", jwks={}, jwks_uri=published_keys
    )
    plugins = {
        "oidc": {},
        "verify-nbf": WITH_NBF,
        "sessions": WITH_SESSIONS,
        "without-par": WITHOUT_PAR,
    }
    return glewlwyd(clients=[*CLIENTS, by_url], plugins=plugins)


def settings(
    provider: GlewlwydProcess,
    alg: str = "ES256",
    method: str = "private_key_jwt",
    *,
    plugin: str = "oidc",
    **more: Any,
) -> dict[str, Any]:
    """Return the configuration of a site that is a client there.

    One line is for Glewlwyd: it wants client assertions to name the URL that is called. That an
    RSA key signs RS256 is said because PS256 comes first.
    """
    config: dict[str, Any] = {
        "PARJAR_ISSUER": provider.issuer(plugin),
        "PARJAR_CLIENT_ID": client_id_for(alg, method),
        "PARJAR_CLIENT_AUTH": method,
        "PARJAR_SIGNING_KEY": KEYS[alg].as_dict(private=True),
        "PARJAR_ASSERTION_AUDIENCE": "endpoint",
    }
    if alg == "RS256":
        config["PARJAR_SIGNING_ALG"] = alg
    if method.startswith("client_secret"):
        config["PARJAR_CLIENT_SECRET"] = SECRET
    return config | more


def with_parameters(callback: str, **other: str) -> str:
    """Return a callback URL with some of its parameters replaced."""
    parameters = dict(parse_qsl(urlsplit(callback).query)) | other
    return f"{SITE}/callback?{urlencode(parameters)}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_login_of_the_matrix(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, alg: str, method: str
) -> None:
    site = new_site(settings(provider, alg, method))
    with told(site) as heard:
        location = log_in(site, glewlwyd_browser)
    assert glewlwyd_browser.steps == ["password", "consent"]
    shown = account(site)
    assert (shown["issuer"], shown["name"]) == (provider.issuer("oidc"), "Ada")
    assert endpoints(heard) == [
        ("discovery", 200),
        ("pushed_authorization_request", 201),
        ("token", 200),
        ("jwks", 200),
    ]
    assert [name for name, _ in parse_qsl(urlsplit(location).query)] == ["client_id", "request_uri"]
    (started,), (login,) = heard["login_started"], heard["logged_in"]
    assert started["request_object"]["header"]["alg"] == alg
    assert login["id_token"]["header"]["alg"] == ID_TOKEN_ALGORITHMS[alg]
    assert "at_hash: the access token that came with it" in login["checks"]


def test_it_fetches_the_keys_that_the_site_publishes(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(settings(provider, PARJAR_CLIENT_ID="by-published-keys"))
    log_in(site, glewlwyd_browser)
    assert account(site)["name"] == "Ada"


def test_it_is_the_same_person_at_each_login_and_asked_once(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(settings(provider, "PS256", "client_secret_post"))
    log_in(site, glewlwyd_browser)
    first, asked = account(site)["subject"], list(glewlwyd_browser.steps)
    log_in(site, glewlwyd_browser)
    assert account(site)["subject"] == first
    assert glewlwyd_browser.steps == asked


def test_without_the_setting_its_assertions_are_refused_with_a_page_that_says_where_to_look(
    provider: GlewlwydProcess, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_site(settings(provider, PARJAR_ASSERTION_AUDIENCE="issuer"))
    answer = site.get("/login", headers=NAVIGATION)
    assert answer.status_code == 502
    assert "client_refused" in answer.text
    assert "PARJAR_ASSERTION_AUDIENCE" in caplog.text


def test_request_objects_hold_where_their_times_are_checked_to_the_second(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(settings(provider, "PS256", "client_secret_basic", plugin="verify-nbf"))
    log_in(site, glewlwyd_browser)
    assert account(site)["issuer"] == provider.issuer("verify-nbf")


def test_iss_comes_unannounced_and_is_proved_all_the_same(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    promise = "authorization_response_iss_parameter_supported"
    assert promise not in provider.metadata("oidc")
    site = new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(site))
    assert parse_qs(urlsplit(callback).query)["iss"] == [provider.issuer("oidc")]
    with told(site) as heard:
        answer = come_back(site, with_parameters(callback, iss=provider.issuer("sessions")))
    assert (answer.status_code, "issuer_mismatch" in answer.text) == (400, True)
    assert endpoints(heard) == []
    assert knows_nobody(site)


def test_a_client_assertion_that_it_echoes_in_the_callback_goes_nowhere(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(site))
    (echoed,) = parse_qs(urlsplit(callback).query)["client_assertion"]
    assert part(echoed, 1)["aud"] == f"{provider.issuer('oidc')}/par"
    with caplog.at_level(logging.DEBUG, logger="flask_parjar"), told(site) as heard:
        assert come_back(site, callback).headers["Location"] == "/account"
    assert "client_assertion" not in heard["logged_in"][0]["response"]
    assert echoed not in caplog.text


def test_userinfo_is_about_the_same_person(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(
        settings(provider, PARJAR_USERINFO=True, PARJAR_SCOPES="openid profile email reports:read")
    )
    with told(site) as heard:
        log_in(site, glewlwyd_browser)
    assert ("userinfo", 200) in endpoints(heard)
    assert "userinfo: about the same sub" in heard["logged_in"][0]["checks"]
    assert (account(site)["name"], account(site)["email"]) == ("Ada", "ada@example.com")
    assert site.get("/reports", headers=NAVIGATION).text == "the reports"


def test_a_form_post_answer_is_encoded_twice_and_so_its_iss_is_another_one(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(
        settings(provider, PARJAR_CLIENT_ID="form-post", PARJAR_RESPONSE_MODE="form_post")
    )
    form = glewlwyd_browser.sign_in_to_a_form(begin(site))
    assert form.fields["iss"] == quote(provider.issuer("oidc"), safe="")
    with told(site) as heard:
        answer = site.post("/callback", data=form.fields, headers=FROM_THE_PROVIDER)
    assert (answer.status_code, "issuer_mismatch" in answer.text) == (400, True)
    assert endpoints(heard) == []
    assert knows_nobody(site)


def test_a_replayed_code_gets_a_page_and_no_session(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_site(settings(provider)), new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(first))
    assert come_back(first, callback).status_code == 302
    (used,) = parse_qs(urlsplit(callback).query)["code"]

    callback = glewlwyd_browser.sign_in(begin(second))
    with told(second) as heard:
        answer = come_back(second, with_parameters(callback, code=used))
    assert (answer.status_code, "code_refused" in answer.text) == (400, True)
    assert "invalid_code" in caplog.text
    assert endpoints(heard) == [("token", 403)]
    assert knows_nobody(second)
    assert used not in caplog.text


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [("private_key_jwt", 401, "client_refused"), ("client_secret_basic", 403, "push_refused")],
)
def test_a_key_that_it_does_not_know_stops_the_login_before_the_redirect(
    provider: GlewlwydProcess, method: str, status: int, code: str
) -> None:
    unknown = UNKNOWN_KEY.as_dict(private=True)
    site = new_site(settings(provider, "ES256", method, PARJAR_SIGNING_KEY=unknown))
    with told(site) as heard:
        answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, code in answer.text) == (502, True)
    assert "Location" not in answer.headers
    assert endpoints(heard) == [("discovery", 200), ("pushed_authorization_request", status)]


def test_a_wrong_secret_is_found_out_at_the_token_endpoint(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = settings(provider, "ES256", "client_secret_post", PARJAR_CLIENT_SECRET="another one")
    site = new_site(config)
    with told(site) as heard:
        answer = come_back(site, glewlwyd_browser.sign_in(begin(site)))
    assert (answer.status_code, "client_refused" in answer.text) == (502, True)
    assert endpoints(heard)[-1] == ("token", 403)
    assert knows_nobody(site)


def test_a_client_registered_for_its_secret_alone_may_not_push_what_it_signed(
    provider: GlewlwydProcess,
) -> None:
    site = new_site(
        settings(provider, "ES256", "client_secret_basic", PARJAR_CLIENT_ID="by-secret-alone")
    )
    with told(site) as heard:
        answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, "push_refused" in answer.text) == (502, True)
    assert endpoints(heard)[-1] == ("pushed_authorization_request", 403)


def test_an_at_hash_by_the_wrong_hash_is_refused_and_another_algorithm_mends_it(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = settings(provider, PARJAR_CLIENT_ID="signed-with-eddsa")
    site = new_site(config)
    answer = come_back(site, glewlwyd_browser.sign_in(begin(site)))
    assert (answer.status_code, "token_hash" in answer.text) == (502, True)
    assert knows_nobody(site)

    pinned = new_site(config | {"PARJAR_ID_TOKEN_ALGS": "ES256"})
    answer = come_back(pinned, glewlwyd_browser.sign_in(begin(pinned)))
    assert (answer.status_code, "token_algorithm" in answer.text) == (502, True)

    log_in(new_site(settings(provider)), glewlwyd_browser)  # its client is registered for ES256


def test_a_max_age_that_it_forgets_ends_the_login(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(settings(provider))
    log_in(site, glewlwyd_browser)
    location = begin(site, "/prove-it")  # asks for max_age=60
    answer = come_back(site, glewlwyd_browser.sign_in(location))
    assert (answer.status_code, "token_auth_time" in answer.text) == (502, True)


def test_without_its_session_management_a_logout_ends_the_session_of_this_site(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    assert "end_session_endpoint" not in provider.metadata("oidc")
    site = new_site(settings(provider))
    log_in(site, glewlwyd_browser)
    answer = site.post("/logout", headers=FROM_THE_SITE)
    assert answer.status_code in (302, 303), answer.text
    assert answer.headers["Location"] == "/"
    assert knows_nobody(site)
    asked = list(glewlwyd_browser.steps)
    log_in(site, glewlwyd_browser)
    assert glewlwyd_browser.steps == asked, "the session at Glewlwyd lives on"


def test_with_its_session_management_a_logout_ends_the_session_there_too(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    """It wants the ID token as a hint, and a ``state`` to come back with."""
    site = new_site(settings(provider, plugin="sessions", PARJAR_STORE="memory"))
    log_in(site, glewlwyd_browser)
    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert knows_nobody(site)
    assert away.startswith(provider.metadata("sessions")["end_session_endpoint"] + "?")
    asked = parse_qs(urlsplit(away).query)
    back = glewlwyd_browser.sign_out(away)
    assert back == f"{SITE}/?{urlencode({'state': asked['state'][0]})}"
    assert site.get(back.removeprefix(SITE), headers=NAVIGATION).text == "home"
    log_in(site, glewlwyd_browser)
    assert glewlwyd_browser.steps.count("password") == 2, "the session at Glewlwyd had ended"


def test_a_site_that_keeps_no_tokens_ends_a_logout_on_an_empty_page_there(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    """It knows nobody without an ``id_token_hint``, and such a site has none."""
    site = new_site(settings(provider, plugin="sessions"))
    log_in(site, glewlwyd_browser)
    location = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert knows_nobody(site)
    assert "id_token_hint" not in location
    page = glewlwyd_browser.open(location)
    assert (page.status_code, page.text) == (200, "")
