"""Logins at Spring Authorization Server, which has PAR and takes no signed requests.

What it lacks beside that is tested too: ``docs/providers.rst`` has the list.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey

from tests.interop.client_site import (
    EC,
    RSA,
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
from tests.interop.scripted_browser import ScriptedBrowser
from tests.interop.spring_client import A_LOGIN, HOLD, METHODS, is_live, settings
from tests.interop.spring_process import SpringProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import ABSENT, each_shows, shows_at
from tests.support.jwt import read_jwt
from tests.support.recipes import recipe

pytestmark = pytest.mark.interop
shows = shows_at("Spring Authorization Server")

UNKNOWN_KEY = RSAKey.generate_key(2048, {"kid": RSA.kid})


def token(site: FlaskClient) -> str:
    """The access token that the site has, or the code of the error."""
    answer = site.get("/token", headers={"Accept": "application/json"})
    return answer.text if answer.status_code == 200 else str(answer.get_json()["error"])


def refused(site: FlaskClient, code: str) -> list[tuple[str, int]]:
    """Press *Log in*, see the page of an error; return which endpoints were called."""
    with signals_of(site) as signals:
        answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, code in answer.text) == (502, True), answer.text
    assert "Location" not in answer.headers
    assert asks_for_a_login(site)
    return endpoints(signals)


@pytest.mark.parametrize("method", each_shows(shows, METHODS))
@shows("pushed request alone")
@shows("RS256")
def test_a_login_with_each_client_authentication(
    spring: SpringProcess, scripted_browser: ScriptedBrowser, method: str
) -> None:
    site = new_site(settings(spring, method, method))
    with signals_of(site) as signals:
        location = log_in(site, scripted_browser)
    shown = account(site)
    assert (shown["issuer"], shown["subject"]) == (spring.issuer, "ada")
    assert endpoints(signals) == A_LOGIN
    assert [name for name, _ in parse_qsl(urlsplit(location).query)] == ["client_id", "request_uri"]
    (started,), (login,) = signals["login_started"], signals["logged_in"]
    assert started["request_object"] is None
    assert login["id_token"]["header"]["alg"] == "RS256"
    assert "nonce" in login["checked"]


@shows("the keys of the site by URL")
def test_the_client_of_the_documentation_logs_in(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """Its assertions are signed with ES256: the algorithm of the ID tokens is another matter."""
    site = new_site(recipe("Spring Authorization Server", issuer=spring.issuer, key=EC))
    log_in(site, scripted_browser)
    assert account(site)["subject"] == "ada"


@shows("signed and pushed request", "provider_redirect")
def test_a_signed_request_is_refused_and_the_log_names_the_setting(
    spring: SpringProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes the push for a browser without a login, and answers with a redirect."""
    config = settings(spring, "client_secret_basic", PARJAR_REQUEST="pushed+signed")
    called = refused(new_site(config), "provider_redirect")
    assert called == [("discovery", 200), ("pushed_authorization_request", 302)]
    assert not {"request_parameter_supported", "request_object_signing_alg_values_supported"} & (
        spring.metadata.keys()
    )
    assert "PARJAR_REQUEST" in caplog.text


@shows("form_post", "response_mode_unsupported")
def test_form_post_is_refused_before_the_browser_leaves(spring: SpringProcess) -> None:
    assert "response_modes_supported" not in spring.metadata
    config = settings(spring, "client_secret_basic", PARJAR_RESPONSE_MODE="form_post")
    assert refused(new_site(config), "response_mode_unsupported") == [("discovery", 200)]


@shows("iss in the response", ABSENT)
def test_its_response_has_no_iss_and_another_one_is_refused(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    assert "authorization_response_iss_parameter_supported" not in spring.metadata
    site = new_site(settings(spring, "client_secret_basic"))
    callback = scripted_browser.sign_in(begin(site))
    assert parse_qs(urlsplit(callback).query).keys() == {"code", "state"}
    other = urlencode({"iss": "https://id.example.com"})
    with signals_of(site) as signals:
        answer = come_back(site, f"{callback}&{other}")
    assert (answer.status_code, "issuer_mismatch" in answer.text) == (400, True)
    assert endpoints(signals) == []
    assert asks_for_a_login(site)


def test_an_id_token_of_an_algorithm_that_its_metadata_lacks_is_refused(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    assert spring.metadata["id_token_signing_alg_values_supported"] == ["RS256"]
    site = new_site(settings(spring, "signed-with-ps256"))
    with signals_of(site) as signals:
        answer = come_back(site, scripted_browser.sign_in(begin(site)))
    assert (answer.status_code, "token_algorithm" in answer.text) == (502, True)
    assert ("token", 200) in endpoints(signals)
    assert asks_for_a_login(site)

    by_hand = spring.metadata | {"id_token_signing_alg_values_supported": ["PS256"]}
    log_in(
        new_site(settings(spring, "signed-with-ps256", PARJAR_METADATA=by_hand)), scripted_browser
    )


@shows("signed request alone", "jar_unsupported")
def test_a_signed_request_is_not_brought_there_by_the_browser(spring: SpringProcess) -> None:
    config = settings(spring, "client_secret_basic", PARJAR_REQUEST="signed")
    assert refused(new_site(config), "jar_unsupported") == [("discovery", 200)]


@shows("plain request")
def test_it_cannot_demand_pushed_requests(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    assert "require_pushed_authorization_requests" not in spring.metadata
    unpushed = settings(spring, "client_secret_basic", PARJAR_REQUEST="plain")
    location = log_in(new_site(unpushed), scripted_browser)
    assert "redirect_uri" in parse_qs(urlsplit(location).query)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("private_key_jwt", {"PARJAR_SIGNING_KEY": UNKNOWN_KEY.as_dict(private=True)}),
        ("client_secret_post", {"PARJAR_CLIENT_SECRET": "another one"}),
    ],
)
def test_a_wrong_key_or_secret_stops_the_login_before_the_redirect(
    spring: SpringProcess, method: str, wrong: dict[str, Any]
) -> None:
    called = refused(new_site(settings(spring, method, method, **wrong)), "client_refused")
    assert called == [("discovery", 200), ("pushed_authorization_request", 401)]


def test_a_used_code_is_refused(spring: SpringProcess, scripted_browser: ScriptedBrowser) -> None:
    first, second = (new_site(settings(spring, "client_secret_basic")) for _ in range(2))
    callback = scripted_browser.sign_in(begin(first))
    assert come_back(first, callback).headers["Location"] == "/account"
    (used,) = parse_qs(urlsplit(callback).query)["code"]
    (state,) = parse_qs(urlsplit(scripted_browser.sign_in(begin(second))).query)["state"]
    with signals_of(second) as signals:
        answer = come_back(second, f"{SITE}/callback?{urlencode({'code': used, 'state': state})}")
    assert (answer.status_code, "code_refused" in answer.text) == (400, True)
    assert endpoints(signals) == [("token", 400)]
    assert asks_for_a_login(second)


@shows("userinfo")
def test_userinfo_is_about_the_same_person(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    site = new_site(settings(spring, "client_secret_basic", PARJAR_USERINFO=True))
    with signals_of(site) as signals:
        log_in(site, scripted_browser)
    assert endpoints(signals) == [*A_LOGIN, ("userinfo", 200)]
    shown = account(site)
    assert (shown["subject"], shown["email"]) == ("ada", None), "it gives the subject alone"


@shows("prompt", ABSENT)
def test_prompt_is_ignored(spring: SpringProcess, scripted_browser: ScriptedBrowser) -> None:
    def log_in_with(prompt: str) -> None:
        asked = {"prompt": prompt}
        config = settings(spring, "client_secret_basic", PARJAR_AUTHORIZATION_PARAMS=asked)
        log_in(new_site(config), scripted_browser)

    log_in_with("none")
    assert len(scripted_browser.headings) == 1, "it asks for a password"
    log_in_with("login")
    assert len(scripted_browser.headings) == 1, "and does not ask again"


@shows("max_age", "token_auth_time")
def test_max_age_is_ignored_and_so_the_id_token_is_refused(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    site = new_site(settings(spring, "client_secret_basic", PARJAR_CLOCK_SKEW=0))
    with signals_of(site) as signals:
        log_in(site, scripted_browser)
    auth_time = signals["logged_in"][0]["id_token"]["claims"]["auth_time"]
    time.sleep(max(0, auth_time + 1 - time.time()))
    answer = come_back(site, scripted_browser.sign_in(begin(site, "/prove-it/0")))
    assert (answer.status_code, "token_auth_time" in answer.text) == (502, True)
    assert len(scripted_browser.headings) == 1


@shows("refresh tokens")
def test_tokens_are_renewed(spring: SpringProcess, scripted_browser: ScriptedBrowser) -> None:
    site = new_site(settings(spring, "renewing", PARJAR_STORE="memory"))
    with signals_of(site) as signals:
        log_in(site, scripted_browser)
        tokens = [token(site)]
        for _ in range(2):
            time.sleep(HOLD + 0.1)
            tokens.append(token(site))
    assert len({*tokens}) == 3
    assert endpoints(signals)[-2:] == [("token", 200)] * 2
    assert [read_jwt(token)[1]["sub"] for token in tokens] == ["ada"] * 3
    assert not is_live(spring, tokens[0])

    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    (hint,) = parse_qs(urlsplit(away).query)["id_token_hint"]
    assert "nonce" not in read_jwt(hint)[1], "that of the last renewal"
    assert scripted_browser.sign_out(away).startswith(f"{SITE}/?state=")


@shows("revocation")
@shows("logout at the provider")
def test_a_logout_revokes_the_tokens_and_ends_the_session_there(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    site = new_site(settings(spring, "client_secret_basic", PARJAR_STORE="memory"))
    with signals_of(site) as signals:
        log_in(site, scripted_browser)
        access_token = token(site)
        assert is_live(spring, access_token)
        away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert endpoints(signals)[-2:] == [("revocation", 200)] * 2
    assert not is_live(spring, access_token)

    asked = dict(parse_qsl(urlsplit(away).query))
    assert away.startswith(spring.metadata["end_session_endpoint"] + "?")
    assert read_jwt(asked["id_token_hint"])[1]["sub"] == "ada"
    back = scripted_browser.sign_out(away)
    assert back == f"{SITE}/?{urlencode({'state': asked['state']})}"
    assert asks_for_a_login(site)
    log_in(site, scripted_browser)
    assert len(scripted_browser.headings) == 2, "the session at the provider had ended"


def test_a_refresh_token_is_refused_after_the_logout(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """It comes back as a thief would bring it: in the copied cookies of a site with that store."""
    config = settings(spring, "renewing", PARJAR_STORE="cookie")
    site, thief = new_site(config), new_site(config)
    log_in(site, scripted_browser)
    for name in ("session", "session_parjar_tokens_0", "session_parjar_tokens_1"):
        if (cookie := site.get_cookie(name)) is not None:
            thief.set_cookie(name, cookie.value)
    time.sleep(HOLD + 0.1)
    assert site.post("/logout", headers=FROM_THE_SITE).status_code == 302
    assert token(thief) == "refresh_refused"


def test_a_site_that_keeps_no_tokens_ends_a_logout_on_an_error_page_there(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """It wants an ``id_token_hint``, and such a site has none."""
    site = new_site(settings(spring, "client_secret_basic"))
    log_in(site, scripted_browser)
    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert "id_token_hint" not in away
    assert scripted_browser.open(away).status_code == 400

    staying = new_site(settings(spring, "client_secret_basic", PARJAR_PROVIDER_LOGOUT=False))
    log_in(staying, scripted_browser)
    answer = staying.post("/logout", headers=FROM_THE_SITE)
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    assert asks_for_a_login(staying)
