"""The signals: whom they are about, what their receivers can stop, and what they cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask, abort

from flask_parjar import (
    AccessDenied,
    LoginOptions,
    ParJar,
    access_refused,
    logged_in,
    logged_out,
    login_failed,
    login_required,
    login_started,
    logout_token_refused,
    provider_called,
    refresh_failed,
    tokens_refreshed,
)
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, token_site, token_views
from tests.support.headers import FROM_ANOTHER_SITE, FROM_HERE, SCRIPT
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two

ALL = (
    login_started,
    logged_in,
    login_failed,
    logged_out,
    tokens_refreshed,
    refresh_failed,
    access_refused,
    logout_token_refused,
    provider_called,
)


class Line(NamedTuple):
    """What an audit log keeps of a signal."""

    event: str
    issuer: str | None
    subject: str | None
    session: str | None
    code: str = ""


class Audit:
    """An audit log: one function for all signals."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.calls: list[tuple[str, Line]] = []

    def note(
        self,
        app: Any,
        *,
        event: str,
        issuer: str | None,
        subject: str | None,
        session: str | None,
        **said: Any,
    ) -> None:
        error = said.get("error")
        code = getattr(error, "error_code", error) or ""
        line = Line(event, issuer, subject, session, code)
        if event == "provider_called":
            self.calls.append((said["endpoint"], line))
        else:
            self.lines.append(line)

    @property
    def last(self) -> Line:
        return self.lines[-1]


@pytest.fixture
def audit() -> Iterator[Audit]:
    audit = Audit()
    for signal in ALL:
        signal.connect(audit.note)
    yield audit
    for signal in ALL:
        signal.disconnect(audit.note)


def with_list(app: Flask, parjar: ParJar) -> None:
    token_views(app, parjar)
    app.add_url_rule("/names", view_func=lambda: [each.id for each in parjar.sessions("ada")])


def test_a_session_has_one_name_in_all_signals(provider: DevProvider, audit: Audit) -> None:
    visitor = Visitor(token_site(provider, "memory", prepare=with_list), provider)
    visitor.log_in()
    (name,) = visitor.get("/names").json
    age(visitor, left=60)
    visitor.get("/token")
    visitor.get("/reports")
    visitor.post("/logout", headers=FROM_HERE)
    ada = (ISSUER, "ada", name)
    assert audit.lines == [
        ("login_started", ISSUER, None, None, ""),
        ("logged_in", *ada, ""),
        ("tokens_refreshed", *ada, ""),
        ("access_refused", *ada, "insufficient_scope"),
        ("logged_out", *ada, ""),
    ]
    assert re.fullmatch(r"[0-9a-f]{24}", name)


def test_without_a_store_a_session_has_a_name_too(
    visitor: Visitor, audit: Audit, provider: DevProvider
) -> None:
    visitor.log_in()
    name = audit.last.session
    visitor.post("/logout", headers=FROM_HERE)
    assert audit.last == ("logged_out", ISSUER, "ada", name, "") and name
    other = Visitor(visitor.app, provider)
    other.log_in(person="grace")
    assert audit.last.session not in (None, name)


def test_a_call_to_the_provider_is_about_whom_it_is_made_for(
    provider: DevProvider, audit: Audit
) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    assert {line[1:4] for _, line in audit.calls} == {(ISSUER, None, None)}
    audit.calls.clear()
    age(visitor, left=60)
    visitor.get("/token")
    (call,) = audit.calls
    assert call == ("token", ("provider_called", *audit.last[1:4], ""))
    assert call[1].subject == "ada"


def test_with_several_providers_a_call_is_about_a_person_of_its_own(audit: Audit) -> None:
    """Somebody who is logged in at one provider begins a login at another."""

    def switch(app: Flask, parjar: ParJar) -> None:
        @app.get("/switch")
        @login_required
        def switch() -> Any:
            return parjar.login(LoginOptions(provider="home"))

    app, work, home = make_site_of_two(prepare=switch)
    visitor = Visitor(app, work)
    visitor.log_in("/login/work")
    audit.calls.clear()
    visitor.leave("/switch")
    assert {line[1:4] for _, line in audit.calls} == {(home.issuer, None, None)}
    assert audit.last == ("login_started", home.issuer, None, None, "")


# Logins that fail.


def test_a_login_that_fails_names_the_issuer(
    visitor: Visitor, provider: DevProvider, audit: Audit
) -> None:
    with provider.fault("par_error_invalid_client"):
        visitor.get("/login")
    assert audit.last == ("login_failed", ISSUER, None, None, "client_refused")


@pytest.mark.parametrize(
    "url, issuer",
    [("/callback/work?code=x&state=y", "https://work.example"), ("/callback/other", None)],
)
def test_a_callback_that_fails_names_the_issuer_of_its_address(
    audit: Audit, url: str, issuer: str | None
) -> None:
    app, _, _ = make_site_of_two()
    app.test_client().get(url)
    assert audit.last[:4] == ("login_failed", issuer, None, None)


def test_a_person_who_was_refused_is_named(provider: DevProvider, audit: Audit) -> None:
    def no_one(app: Flask, parjar: ParJar) -> None:
        @parjar.user_loader
        def load(identity: Any) -> None:
            return None

    Visitor(make_site(provider, prepare=no_one), provider).log_in()
    assert audit.last == ("login_failed", ISSUER, "ada", None, "user_refused")


# Renewals that fail.


@pytest.mark.parametrize(
    "left, usable, status", [(60, True, 200), (-1, False, 503)], ids=["usable", "ended"]
)
def test_a_renewal_that_fails(
    provider: DevProvider, audit: Audit, left: int, usable: bool, status: int
) -> None:
    heard: list[bool] = []

    def note(app: Any, *, usable: bool, **_: Any) -> None:
        heard.append(usable)

    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    about = audit.last[1:4]
    age(visitor, left=left)
    with provider.fault("refresh_503"), refresh_failed.connected_to(note):
        assert visitor.get("/token", headers=SCRIPT).status_code == status
    assert audit.last == ("refresh_failed", *about, "provider_busy")
    assert heard == [usable]


# What is refused.


def test_a_guard_that_refuses_names_the_view(visitor: Visitor, audit: Audit) -> None:
    seen: list[Any] = []

    def note(app: Any, **said: Any) -> None:
        seen.append((said["endpoint"], said["error"], said["identity"].subject))

    visitor.log_in()
    with access_refused.connected_to(note):
        assert visitor.get("/acme").status_code == 403
        visitor.get("/me")
    ((endpoint, error, subject),) = seen
    assert (endpoint, type(error), subject) == ("acme", AccessDenied, "ada")


def test_a_person_who_is_not_logged_in_is_not_refused(visitor: Visitor, audit: Audit) -> None:
    """The guard sends them to the login."""
    assert visitor.get("/acme").status_code == 302
    assert audit.lines == []


def test_a_logout_by_another_site_is_refused(visitor: Visitor, audit: Audit) -> None:
    visitor.log_in()
    assert visitor.post("/logout", headers=FROM_ANOTHER_SITE).status_code == 403
    assert audit.last[0::4] == ("access_refused", "cross_site")


@pytest.mark.parametrize("token, code", [("", "logout_token_missing"), ("x", "token_malformed")])
def test_a_logout_token_that_is_refused(
    provider: DevProvider, audit: Audit, token: str, code: str
) -> None:
    app = make_site(provider, PARJAR_STORE="memory")
    app.test_client().post("/backchannel-logout", data={"logout_token": token})
    assert audit.last == ("logout_token_refused", ISSUER, None, None, code)


def test_a_logout_token_that_is_accepted(provider: DevProvider, audit: Audit) -> None:
    app = make_site(provider, PARJAR_STORE="memory")
    Visitor(app, provider).log_in()
    token = provider.logout_token(sub="ada")
    app.test_client().post("/backchannel-logout", data={"logout_token": token})
    assert audit.last == ("logged_out", ISSUER, "ada", None, "")


# What a receiver can do.


def test_a_receiver_of_logged_in_may_refuse_the_login(site: Flask, visitor: Visitor) -> None:
    def refuse(sender: Any, **said: Any) -> None:
        abort(403)

    with logged_in.connected_to(refuse):
        assert visitor.log_in().status_code == 403
    assert visitor.get("/me").status_code == 302


def test_a_receiver_that_fails_does_not_stop_a_login(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: Any, **said: Any) -> None:
        raise OSError("the metrics are full")

    with provider_called.connected_to(fail), login_started.connected_to(fail):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert "provider-called" in caplog.text and "login-started" in caplog.text
