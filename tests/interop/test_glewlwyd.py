"""Logins at Glewlwyd, a second independent provider.

Where it differs from oidc-provider, documented settings of the package say so. What it does wrong
is refused. ``docs/providers.rst`` has both.
"""

from __future__ import annotations

import logging
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey

from tests.interop.client_site import (
    EC,
    SITE,
    account,
    asks_for_a_login,
    begin,
    come_back,
    endpoints,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_client import (
    ID_TOKEN_ALGORITHMS,
    client_id_for,
    glewlwyd_client,
    settings,
)
from tests.interop.glewlwyd_process import (
    WITH_NBF,
    WITH_SESSIONS,
    WITHOUT_PAR,
    GlewlwydProcess,
    StartGlewlwyd,
)
from tests.support.headers import FROM_ANOTHER_SITE, FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import each_shows, shows_at
from tests.support.jwt import read_jwt
from tests.support.recipes import recipe

pytestmark = pytest.mark.interop
shows = shows_at("Glewlwyd")

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
METHODS = ("private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt")

UNKNOWN_KEY = ECKey.generate_key("P-256", {"kid": EC.kid})


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
    glewlwyd_client("my-site", "ES256", "private_key_jwt"),
    glewlwyd_client("form-post", "ES256", "private_key_jwt", response_mode="form_post"),
    glewlwyd_client("signed-with-eddsa", "ES256", "private_key_jwt", sign_kid="EdDSA"),
]


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


def with_parameters(callback: str, **other: str) -> str:
    """Return a callback URL with some of its parameters replaced."""
    parameters = dict(parse_qsl(urlsplit(callback).query)) | other
    return f"{SITE}/callback?{urlencode(parameters)}"


@pytest.mark.parametrize("method", each_shows(shows, METHODS))
@pytest.mark.parametrize("alg", each_shows(shows, ALGORITHMS))
@shows("signed and pushed request")
def test_a_login_of_the_matrix(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, alg: str, method: str
) -> None:
    site = new_site(settings(provider, alg, method))
    with signals_of(site) as signals:
        location = log_in(site, glewlwyd_browser)
    assert glewlwyd_browser.steps == ["password", "consent"]
    shown = account(site)
    assert (shown["issuer"], shown["name"]) == (provider.issuer("oidc"), "Ada")
    assert endpoints(signals) == [
        ("discovery", 200),
        ("pushed_authorization_request", 201),
        ("token", 200),
        ("jwks", 200),
    ]
    assert [name for name, _ in parse_qsl(urlsplit(location).query)] == ["client_id", "request_uri"]
    (started,), (login,) = signals["login_started"], signals["logged_in"]
    assert started["request_object"]["header"]["alg"] == alg
    assert login["id_token"]["header"]["alg"] == ID_TOKEN_ALGORITHMS[alg]
    assert "at_hash" in login["checked"]


def test_the_settings_of_the_documentation_log_people_in(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(recipe("Glewlwyd", issuer=provider.issuer("oidc"), key=EC))
    log_in(site, glewlwyd_browser)
    assert account(site)["name"] == "Ada"


@shows("the keys of the site by URL")
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


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic"])
def test_a_signed_request_is_valid_where_its_times_are_checked_to_the_second(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, method: str
) -> None:
    # Its plugin accepts no request that is valid for more than 120 seconds.
    more = {"PARJAR_REQUEST_LIFETIME": 60}
    site = new_site(settings(provider, "PS256", method, plugin="verify-nbf", **more))
    log_in(site, glewlwyd_browser)
    assert account(site)["issuer"] == provider.issuer("verify-nbf")


@shows("iss in the response")
def test_iss_comes_unannounced_and_is_proved_all_the_same(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    promise = "authorization_response_iss_parameter_supported"
    assert promise not in provider.metadata("oidc")
    site = new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(site))
    assert parse_qs(urlsplit(callback).query)["iss"] == [provider.issuer("oidc")]
    with signals_of(site) as signals:
        answer = come_back(site, with_parameters(callback, iss=provider.issuer("sessions")))
    assert (answer.status_code, "issuer_mismatch" in answer.text) == (400, True)
    assert endpoints(signals) == []
    assert asks_for_a_login(site)


def test_a_client_assertion_that_it_echoes_in_the_callback_goes_nowhere(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(site))
    (echoed,) = parse_qs(urlsplit(callback).query)["client_assertion"]
    assert read_jwt(echoed)[1]["aud"] == f"{provider.issuer('oidc')}/par"
    with caplog.at_level(logging.DEBUG, logger="flask_parjar"), signals_of(site) as signals:
        assert come_back(site, callback).headers["Location"] == "/account"
    assert "client_assertion" not in signals["logged_in"][0]["response"]
    assert echoed not in caplog.text


@shows("userinfo")
def test_userinfo_is_about_the_same_person(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(
        settings(provider, PARJAR_USERINFO=True, PARJAR_SCOPES="openid profile email reports:read")
    )
    with signals_of(site) as signals:
        log_in(site, glewlwyd_browser)
    assert ("userinfo", 200) in endpoints(signals)
    assert signals["logged_in"][0]["identity"].claims["email"]
    assert (account(site)["name"], account(site)["email"]) == ("Ada", "ada@example.com")
    assert site.get("/reports", headers=NAVIGATION).text == "the reports"


@shows("form_post", "issuer_mismatch")
def test_a_form_post_answer_is_encoded_twice_and_so_its_iss_is_another_one(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(
        settings(provider, PARJAR_CLIENT_ID="form-post", PARJAR_RESPONSE_MODE="form_post")
    )
    form = glewlwyd_browser.sign_in_to_a_form(begin(site))
    assert form.fields["iss"] == quote(provider.issuer("oidc"), safe="")
    with signals_of(site) as signals:
        answer = site.post("/callback", data=form.fields, headers=FROM_ANOTHER_SITE)
    assert (answer.status_code, "issuer_mismatch" in answer.text) == (400, True)
    assert endpoints(signals) == []
    assert asks_for_a_login(site)


def test_a_replayed_code_gets_a_page_and_no_session(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_site(settings(provider)), new_site(settings(provider))
    callback = glewlwyd_browser.sign_in(begin(first))
    assert come_back(first, callback).status_code == 302
    (used,) = parse_qs(urlsplit(callback).query)["code"]

    callback = glewlwyd_browser.sign_in(begin(second))
    with signals_of(second) as signals:
        answer = come_back(second, with_parameters(callback, code=used))
    assert (answer.status_code, "code_refused" in answer.text) == (400, True)
    assert "invalid_code" in caplog.text
    assert endpoints(signals) == [("token", 403)]
    assert asks_for_a_login(second)
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
    with signals_of(site) as signals:
        answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, code in answer.text) == (502, True)
    assert "Location" not in answer.headers
    assert endpoints(signals) == [("discovery", 200), ("pushed_authorization_request", status)]


def test_a_wrong_secret_is_found_out_at_the_token_endpoint(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = settings(provider, "ES256", "client_secret_post", PARJAR_CLIENT_SECRET="another one")
    site = new_site(config)
    with signals_of(site) as signals:
        answer = come_back(site, glewlwyd_browser.sign_in(begin(site)))
    assert (answer.status_code, "client_refused" in answer.text) == (502, True)
    assert endpoints(signals)[-1] == ("token", 403)
    assert asks_for_a_login(site)


def test_a_client_registered_for_its_secret_alone_may_not_push_what_it_signed(
    provider: GlewlwydProcess,
) -> None:
    site = new_site(
        settings(provider, "ES256", "client_secret_basic", PARJAR_CLIENT_ID="by-secret-alone")
    )
    with signals_of(site) as signals:
        answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, "push_refused" in answer.text) == (502, True)
    assert endpoints(signals)[-1] == ("pushed_authorization_request", 403)


def test_an_at_hash_by_the_wrong_hash_is_refused_and_another_algorithm_works(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = settings(provider, PARJAR_CLIENT_ID="signed-with-eddsa")
    site = new_site(config)
    answer = come_back(site, glewlwyd_browser.sign_in(begin(site)))
    assert (answer.status_code, "token_hash" in answer.text) == (502, True)
    assert asks_for_a_login(site)

    pinned = new_site(config | {"PARJAR_ID_TOKEN_ALGS": "ES256"})
    answer = come_back(pinned, glewlwyd_browser.sign_in(begin(pinned)))
    assert (answer.status_code, "token_algorithm" in answer.text) == (502, True)

    log_in(new_site(settings(provider)), glewlwyd_browser)  # its client is registered for ES256


@shows("max_age", "token_auth_time")
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
    assert (answer.status_code, answer.location) == (200, None)
    assert asks_for_a_login(site)
    asked = list(glewlwyd_browser.steps)
    log_in(site, glewlwyd_browser)
    assert glewlwyd_browser.steps == asked, "the session at Glewlwyd lives on"


@shows("logout at the provider")
def test_with_its_session_management_a_logout_ends_the_session_there_too(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    """It wants the ID token as a hint, and a ``state`` to come back with."""
    site = new_site(settings(provider, plugin="sessions", PARJAR_STORE="memory"))
    log_in(site, glewlwyd_browser)
    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert asks_for_a_login(site)
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
    """It cannot find the session without an ``id_token_hint``, and such a site has none."""
    site = new_site(settings(provider, plugin="sessions"))
    log_in(site, glewlwyd_browser)
    location = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert asks_for_a_login(site)
    assert "id_token_hint" not in location
    page = glewlwyd_browser.open(location)
    assert (page.status_code, page.text) == (200, "")
