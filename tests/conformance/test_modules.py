"""The OpenID Foundation's client test modules, each played with a provider that does the same.

This is no run of the suite (docs/conformance): it looks at the same cases, and at what the provider
and an API received. A module without a row fails here, and so does a row without a module.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from flask_parjar.error_codes import CODES
from flask_parjar.testing import FAULTS, REFRESH_FAULTS
from flask_parjar.testing.browser import Browser
from tests.conformance.checks import CHECKS
from tests.conformance.list_modules import PLANS as LISTED
from tests.conformance.site import Scene, make_scene
from tests.conformance.table import MODULES, PLANS, ROWS, Case, all_cases
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of, is_logged_in
from tests.support.site import ISSUER, Visitor, make_site_of_two, path_and_query, query

STORIES = set[str]()
FAPI = "fapi2-security-profile-final-client-test-"


def cases(story: str) -> pytest.MarkDecorator:
    """Run a test for each case whose row has this story."""
    STORIES.add(story)
    found = [case for case in all_cases() if case.row.story == story]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in found])


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    assert set(PLANS) == set(MODULES["plans"]) == set(LISTED)
    named = {module for modules in MODULES["plans"].values() for module in modules}
    assert named == set(ROWS) and len(named) > 60
    assert {case.module for case in all_cases()} == named
    assert {row.story for row in ROWS.values()} == STORIES
    assert set(CHECKS) <= named | set(PLANS)


def test_every_row_names_a_fault_and_a_code_that_exist() -> None:
    known = {*FAULTS, *REFRESH_FAULTS, None}
    assert {row.fault for row in ROWS.values()} <= known
    assert {row.code for row in ROWS.values()} <= {*CODES, None}


def test_a_fault_that_names_a_module_is_the_one_of_its_row() -> None:
    labelled = {str(fault.oidf) for fault in FAULTS.values() if fault.oidf}
    assert {module for module in labelled if module.startswith(FAPI)} <= set(ROWS)
    assert len(labelled & set(ROWS)) > 20
    for module in labelled & set(ROWS):
        alike = {name for name, fault in FAULTS.items() if fault.oidf == module}
        assert ROWS[module].fault in alike


# Logins.


@cases("login")
def test_login(case: Case, tmp_path: Path) -> None:
    scene = make_scene(case, tmp_path)
    scene.misbehave()
    ended = scene.log_in()
    if case.row.code is not None:
        assert_refused(scene, ended)
        return
    assert ended.location == "/me"
    assert scene.calls == scene.expected(scene.whole_login)
    for name in (case.plan, case.module):
        CHECKS.get(name, lambda scene: None)(scene)
    assert_the_api_accepts_the_token(scene)


def assert_refused(scene: Scene, ended: TestResponse) -> None:
    """The login ended with the code of the row, and nothing was requested any more."""
    row = scene.case.row
    assert row.code is not None
    assert (code_of(ended), ended.status_code) == (row.code, CODES[row.code].status)
    assert scene.calls == scene.expected(row.steps)
    assert not is_logged_in(scene.visitor)
    assert scene.visitor.get("/call").status_code == 302
    assert scene.calls == scene.expected(row.steps)


def assert_the_api_accepts_the_token(scene: Scene) -> None:
    """The API gets the access token of this login, and nothing else is requested."""
    provider, first = scene.provider, not scene.app.config.get("PARJAR_USERINFO")
    provider.calls.clear()
    with scene.served():
        answer = scene.visitor.get("/call")
    assert (answer.status_code, answer.json["sub"]) == (200, "ada")
    assert scene.calls == (scene.expected("U") if first else ["userinfo"])
    scheme = "DPoP" if scene.app.config.get("PARJAR_DPOP") else "Bearer"
    token = scene.visitor.get("/token").text
    assert {call.headers["Authorization"] for call in provider.calls} == {f"{scheme} {token}"}
    assert {call.certificate for call in provider.calls} == {scene.certificate}


@cases("new_key")
def test_the_next_login_is_signed_with_a_new_key(case: Case, tmp_path: Path) -> None:
    scene = make_scene(case, tmp_path)
    assert scene.log_in().location == "/me"
    scene.provider.rotate_keys()
    scene.provider.calls.clear()
    assert scene.log_in().location == "/me"
    assert scene.calls == scene.expected("PTJU")
    assert_the_api_accepts_the_token(scene)


@cases("new_key_in_a_login")
def test_a_login_is_signed_with_a_key_that_is_newer_than_it(case: Case, tmp_path: Path) -> None:
    scene = make_scene(case, tmp_path)
    assert scene.log_in().location == "/me"
    away = scene.visitor.leave("/login?next=/me")
    scene.provider.rotate_keys()
    scene.provider.calls.clear()
    assert scene.come_back(away).location == "/me"
    assert scene.calls == scene.expected("TJU")
    assert_the_api_accepts_the_token(scene)


# After the login.


@cases("renewal")
def test_renewal(case: Case, tmp_path: Path) -> None:
    """The site asks for it: no ``expires_in`` says when it is time."""
    scene = make_scene(case, tmp_path)
    with scene.provider.fault("token_expires_in_missing"):
        assert scene.log_in().location == "/me"
        before = scene.visitor.get("/token").text
        scene.provider.calls.clear()
        scene.misbehave()
        answer = scene.visitor.get("/fresh", headers=SCRIPT)
    assert scene.provider.calls[0].form["grant_type"] == "refresh_token"
    if case.row.code is None:
        assert scene.calls == ["token", "userinfo"]
        assert answer.status_code == 200 and answer.text != before
        assert scene.visitor.get("/token").text == answer.text
        assert_the_api_accepts_the_token(scene)
    else:
        assert answer.json["error"] == case.row.code
        assert answer.status_code == CODES[case.row.code].status
        assert scene.visitor.get("/call").status_code == 302
        assert scene.calls == ["token"]


@cases("logout")
def test_logout(case: Case, tmp_path: Path) -> None:
    """The ``state`` of the way back does not matter: the session ended before."""
    scene = make_scene(case, tmp_path)
    browser = scene.provider.browser()
    assert scene.visitor.get(back_of(scene, browser)).location == "/me"
    scene.provider.calls.clear()
    sent = query(log_out(scene))
    assert sent["client_id"] == ["flask-parjar"] and sent["id_token_hint"]
    assert sent["post_logout_redirect_uri"] == ["http://localhost/"]
    returned = browser.sign_out(f"{ISSUER}/end-session?{urlencode(sent, doseq=True)}")
    assert query(str(returned)) == {"state": sent["state"]}
    state = sent["state"][0] if case.row.state is None else case.row.state
    assert scene.visitor.get(f"/?state={state}" if state else "/").text == "home"
    assert not is_logged_in(scene.visitor)
    assert scene.calls == []


def back_of(scene: Scene, browser: Browser) -> str:
    """Sign in with a browser that stays signed in at the provider."""
    return path_and_query(browser.sign_in(scene.visitor.leave("/login?next=/me")))


def log_out(scene: Scene) -> str:
    """Log out at the site; the URL at the provider that the browser is sent to."""
    away = scene.visitor.post("/logout", headers=FROM_HERE)
    assert away.location.startswith(f"{ISSUER}/end-session?")
    assert not is_logged_in(scene.visitor)
    return str(away.location)


@cases("logout_token")
def test_logout_token(case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It comes while the session lives: the site has to end it, or to keep it."""
    scene = make_scene(case, tmp_path)
    assert scene.log_in().location == "/me"
    sid = scene.visitor.get("/me").json["claims"]["sid"]
    token = scene.provider.logout_token(
        sub="ada", sid=sid, header=case.row.header, claims=case.row.claims
    )
    scene.provider.calls.clear()
    server = scene.app.test_client()
    answer = server.post("/backchannel-logout", data={"logout_token": token})
    if case.row.code is None:
        assert (answer.status_code, answer.text) == (200, "")
    else:
        assert (answer.status_code, answer.json["code"]) == (400, case.row.code)
        assert any(f"{case.row.code}: " in message for message in caplog.messages)
    assert is_logged_in(scene.visitor) is (case.row.code is not None)
    assert scene.calls == []


@cases("frame")
def test_frame(case: Case, tmp_path: Path) -> None:
    """In the suite the session has ended before; here the frame also comes alone."""
    scene = make_scene(case, tmp_path)
    for begun_at_the_site in (False, True):
        browser = scene.provider.browser()
        assert scene.visitor.get(back_of(scene, browser)).location == "/me"
        sid = scene.visitor.get("/me").json["claims"]["sid"]
        browser.sign_out(log_out(scene) if begun_at_the_site else f"{ISSUER}/end-session")
        (frame,) = browser.frames
        assert query(frame) == {"iss": [ISSUER], "sid": [sid]}
        assert scene.visitor.get(path_and_query(frame)).status_code == 200
        assert not is_logged_in(scene.visitor)


@cases("third_party")
def test_third_party(case: Case) -> None:
    """``iss`` says at which provider the login is; one that is not known starts no login."""
    assert case.module.endswith("-3rd-party-init-login")
    app, work, home = make_site_of_two()
    for provider in (work, home):
        visitor = Visitor(app, provider)
        response = visitor.get("/login", query_string={"iss": provider.issuer})
        assert str(response.location).startswith(f"{provider.issuer}/")
        assert visitor.get(visitor.come_back(response.location)).status_code == 302
        assert is_logged_in(visitor)
    refused = Visitor(app, home).get("/login", query_string={"iss": "https://other.example"})
    assert refused.status_code == 400
