"""Logging out: by whose wish, here, and at the provider."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_parjar import Identity, logged_out
from flask_parjar.testing import DevProvider
from tests.redis_process import RedisProcess
from tests.site import ISSUER, Visitor, make_site, path_and_query, query

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
    sent = query(response.location)
    (state,) = sent.pop("state")
    assert len(state) >= 20
    assert sent == {
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
    back = str(provider.browser().sign_out(away))
    assert back == f"http://localhost/?state={query(away)['state'][0]}"
    assert visitor.get(path_and_query(back)).text == "home"


# What a store adds.

STORES = ["sealed", "memory", "redis"]


def site_with_store(provider: DevProvider, redis_process: RedisProcess, store: str) -> Flask:
    return make_site(
        provider,
        PARJAR_STORE=redis_process.url if store == "redis" else store,
        PARJAR_SCOPES="openid profile offline_access",
        SECRET_KEY=uuid.uuid4().hex,
    )


@pytest.mark.parametrize("store", STORES)
def test_the_provider_is_shown_the_id_token_of_the_login(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(site_with_store(provider, redis_process, store), provider)
    visitor.log_in()
    provider.calls.clear()
    away = visitor.post("/logout", headers=FROM_HERE).location
    sent = query(away)
    assert "logout_hint" not in sent and sent["client_id"] == ["flask-parjar"]
    header, claims, _ = sent["id_token_hint"][0].split(".")
    assert json.loads(b64decode(claims))["sub"] == "ada"
    assert str(provider.browser().sign_out(away)).startswith("http://localhost/?state=")
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", STORES)
def test_both_tokens_are_revoked_the_refresh_token_first(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(site_with_store(provider, redis_process, store), provider)
    visitor.log_in()
    provider.calls.clear()
    visitor.post("/logout", headers=FROM_HERE)
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]
    assert all(form["client_assertion"] and form["token"] for form in revoked)
    provider.calls.clear()
    visitor.post("/logout", headers=FROM_HERE)
    assert provider.calls == []  # there is nothing left to give back


@pytest.mark.parametrize("fault", ["revocation_503", "revocation_refused"])
def test_a_failed_revocation_keeps_nobody_logged_in(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    app = make_site(provider, PARJAR_STORE="sealed", PARJAR_SCOPES="openid offline_access")
    visitor = Visitor(app, provider)
    visitor.log_in()
    with provider.fault(fault):
        response = visitor.post("/logout", headers=FROM_HERE)
    assert response.location.startswith(f"{ISSUER}/end-session?")
    assert "tokens not revoked at https://op.example" in caplog.text
    assert not is_logged_in(visitor)


def test_a_provider_without_revocation_is_not_asked(provider: DevProvider) -> None:
    del provider.metadata["revocation_endpoint"]
    visitor = Visitor(make_site(provider, PARJAR_STORE="sealed"), provider)
    visitor.log_in()
    provider.calls.clear()
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    assert provider.calls == []


def test_a_logout_while_redis_is_away(provider: DevProvider, tmp_path: Path) -> None:
    """Nobody is kept logged in: this browser's cookie goes, the entry ends by itself."""
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(site_with_store(provider, own, "redis"), provider)
        visitor.log_in()
        own.stop()
        response = visitor.post("/logout", headers=FROM_HERE)
        assert (response.status_code, "logout_hint" in response.location) == (302, True)
        assert visitor.get("/me").status_code == 302


def test_a_copied_cookie_is_dead_after_the_logout(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = site_with_store(provider, redis_process, "redis")
    visitor, thief = Visitor(app, provider), Visitor(app, provider)
    visitor.log_in()
    copied = visitor.client.get_cookie("session")
    assert copied is not None
    thief.client.set_cookie("session", copied.value)
    assert is_logged_in(thief)
    visitor.post("/logout", headers=FROM_HERE)
    assert not is_logged_in(thief)


def b64decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
