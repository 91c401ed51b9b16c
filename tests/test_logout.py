"""Logging out: by whose wish, here, and at the provider."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_parjar import Identity, logged_out
from flask_parjar.testing import DevProvider
from tests.site import ISSUER, Visitor, make_site, query

FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def is_logged_in(visitor: Visitor) -> bool:
    return visitor.get("/me").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        FROM_HERE,
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/account"},
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
def test_a_page_of_the_site_logs_out_here_and_there(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    visitor.log_in()
    response = getattr(visitor, method)("/logout", headers=headers)
    assert response.status_code == 302
    assert response.location.startswith(f"{ISSUER}/")
    assert query(response.location) == {
        "client_id": ["flask-parjar"],
        "logout_hint": ["ada"],
        "post_logout_redirect_uri": ["http://localhost/"],
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert not is_logged_in(visitor)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://[evil"},
    ],
)
def test_a_form_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.log_in()
    page = visitor.post("/logout", headers=headers)
    assert (page.status_code, "cross_site" in page.text) == (403, True)
    assert is_logged_in(visitor)


@pytest.mark.parametrize(
    "method, headers",
    [
        ("get", {}),
        ("get", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("get", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
        ("get", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}),  # an image
        ("get", {"Referer": "https://evil.example/"}),
        ("post", {}),
    ],
)
def test_whoever_comes_from_elsewhere_is_asked(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    visitor.log_in()
    page = getattr(visitor, method)("/logout?next=/bye", headers=headers)
    assert page.status_code == 200
    assert 'method="post"' in page.text and 'value="/bye"' in page.text
    assert is_logged_in(visitor)


def test_prefetch_and_head_log_nobody_out(visitor: Visitor) -> None:
    visitor.log_in()
    prefetch = visitor.get("/logout", headers={**FROM_HERE, "Sec-Purpose": "prefetch"})
    assert prefetch.status_code == 503
    assert visitor.client.head("/logout", headers=FROM_HERE).status_code == 200
    assert is_logged_in(visitor)


def test_somebody_who_is_not_logged_in_just_goes_on(visitor: Visitor) -> None:
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": "/bye"})
    assert (response.status_code, response.location) == (302, "/bye")


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil", "bye.html"]
)
def test_a_logout_leads_to_no_other_site(visitor: Visitor, target: str) -> None:
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": target})
    assert response.location == "/"
    assert target not in visitor.client.get("/logout", query_string={"next": target}).text


def test_where_the_provider_has_no_door(visitor: Visitor, provider: DevProvider) -> None:
    del provider.metadata["end_session_endpoint"]
    visitor.log_in()
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": "/bye"})
    assert response.location == "/bye"
    assert not is_logged_in(visitor)


def test_the_provider_s_query_is_kept(visitor: Visitor, provider: DevProvider) -> None:
    provider.metadata["end_session_endpoint"] = f"{ISSUER}/out?tenant=a"
    visitor.log_in()
    location = visitor.post("/logout", headers=FROM_HERE).location
    assert location.startswith(f"{ISSUER}/out?tenant=a&client_id=flask-parjar&")


def test_an_outage_keeps_nobody_logged_in(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_site(provider)
    visitor = Visitor(app, provider)
    visitor.log_in()
    with visitor.client.session_transaction() as kept:
        cookie = dict(kept)
    # The same session at a process that started while the provider was away.
    other = make_site(provider, connect=False)
    elsewhere = Visitor(other, provider)
    with elsewhere.client.session_transaction() as stored:
        stored.update(cookie)
    with provider.fault("metadata_500"):
        provider_away(other, provider)
        response = elsewhere.post("/logout", headers=FROM_HERE)
    assert response.location == "/"
    assert not is_logged_in(elsewhere)
    assert "logout at https://op.example left out: provider_failed" in caplog.text


def provider_away(app: Flask, provider: DevProvider) -> None:
    provider.connect(app)


def test_pinned_and_configured_places(provider: DevProvider) -> None:
    app = make_site(
        provider,
        PARJAR_AFTER_LOGOUT="/bye",
        PARJAR_POST_LOGOUT_REDIRECT_URI="https://www.example/bye",
    )
    visitor = Visitor(app, provider)
    visitor.log_in()
    location = visitor.post("/logout", headers=FROM_HERE).location
    assert query(location)["post_logout_redirect_uri"] == ["https://www.example/bye"]
    assert visitor.post("/logout", headers=FROM_HERE).location == "/bye"


def test_the_signal_says_who_left(site: Flask, visitor: Visitor) -> None:
    left: list[Identity] = []

    def hear(sender: Any, identity: Identity) -> None:
        assert sender is site
        left.append(identity)

    with logged_out.connected_to(hear):
        visitor.log_in()
        visitor.post("/logout", headers=FROM_HERE)
        visitor.post("/logout", headers=FROM_HERE)
    assert [identity.subject for identity in left] == ["ada"]


def test_a_whole_round_trip(visitor: Visitor, provider: DevProvider) -> None:
    visitor.log_in()
    away = visitor.post("/logout", headers=FROM_HERE).location
    back = provider.browser().sign_out(away)
    assert back == "http://localhost/"
