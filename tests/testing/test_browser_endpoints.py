"""What a person's browser meets: authorization, signing in, agreeing, coming back."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from werkzeug.test import Client, TestResponse

from flask_parjar.testing import Browser, ClientMetadata, DevProvider, Person, Stopped
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import GONE, NOW, HandMadeClient, response

OP = "https://op.example"


@pytest.fixture
def browser(provider: DevProvider) -> Browser:
    return provider.browser()


def opened(provider: DevProvider, url: str, **more: Any) -> TestResponse:
    parts = urlsplit(url)
    return Client(provider.app).open(parts.path, base_url=OP, query_string=parts.query, **more)


def refused(provider: DevProvider, url: str, reason: str) -> None:
    """A page of the provider's own, and no redirect to anybody."""
    page = opened(provider, url)
    assert page.status_code == 400
    assert reason in page.text
    assert "Location" not in page.headers
    with pytest.raises(Stopped, match="the provider answered 400: That did not work") as stopped:
        provider.sign_in(url)
    assert stopped.value.status == 400


def links_to_the_site(page: TestResponse) -> bool:
    return re.search(r'href="https://site\.example[/"]', page.text) is not None


def test_a_login_that_is_over_leads_back_to_the_site(client: HandMadeClient) -> None:
    """The button Back, once the person has come home, shows pages that have had their day."""
    url, visitor = client.start().removeprefix(OP), Client(client.provider.app)
    place = visitor.get(url, base_url=OP).headers["Location"]
    visitor.post(f"{place}/sign-in", base_url=OP, data={"person": "ada"})
    visitor.post(f"{place}/consent", base_url=OP, data={"decision": "approve"})
    assert "code" in response(visitor.get(place, base_url=OP).headers["Location"])
    for path in (place, url):
        page = visitor.get(path, base_url=OP)
        assert page.status_code == 400
        assert links_to_the_site(page)


def test_a_browser_without_cookies_is_led_back_to_the_site(client: HandMadeClient) -> None:
    visitor = Client(client.provider.app, use_cookies=False)
    url = client.start().removeprefix(OP)
    page = visitor.get(visitor.get(url, base_url=OP).headers["Location"], base_url=OP)
    assert page.status_code == 400
    assert links_to_the_site(page)


def test_with_several_sites_and_none_named_there_is_no_way_back(client: HandMadeClient) -> None:
    other = ClientMetadata(
        client_id="other",
        redirect_uris=["https://other.example/callback"],
        jwks={"keys": []},
    )
    page = opened(client.provider, f"{OP}/interaction/x")
    assert links_to_the_site(page)
    client.provider.register(other)
    page = opened(client.provider, f"{OP}/interaction/x")
    assert page.status_code == 400
    assert "href" not in page.text
    page = opened(client.provider, f"{OP}/authorize?client_id=other")
    assert 'href="https://other.example/"' in page.text


def test_no_error_page_links_to_a_url_of_the_request(client: HandMadeClient) -> None:
    urls = {"redirect_uri": "https://evil.example/", "client_uri": "https://evil.example/"}
    for client_id in (client.client_id, "unknown"):
        page = opened(client.provider, client.url(client_id=client_id, **urls))
        assert page.status_code == 400
        assert "evil.example" not in page.text


def test_a_login_that_never_began_is_no_url_to_open(provider: DevProvider) -> None:
    """An answer without a redirect has no Location: that is what was handed over here."""
    with pytest.raises((TypeError, ValueError), match="None"):
        provider.sign_in(None)  # type: ignore[arg-type]


def test_a_request_must_be_pushed(client: HandMadeClient) -> None:
    reason = "a request must be pushed"
    refused(client.provider, client.url(), reason)
    refused(client.provider, client.url(request=client.request()), reason)
    refused(client.provider, client.url(**client.claims(exp="1", iat="1", nbf="1")), reason)
    uri = client.push().json()["request_uri"]
    refused(client.provider, client.url(request_uri=uri, request="x"), reason)


def test_a_request_uri_is_known_and_used_once_and_young(
    client: HandMadeClient, clock: Clock
) -> None:
    provider, reason = client.provider, "request_uri is not known, used, or too old"
    refused(provider, client.url(request_uri="urn:x"), reason)
    url = client.start()
    provider.sign_in(url)
    refused(provider, url, reason)
    late = client.start()
    clock.now += 60
    refused(provider, late, reason)


def test_a_request_uri_belongs_to_the_client_that_pushed(client: HandMadeClient) -> None:
    url = client.start()
    refused(client.provider, url.replace("client_id=", "client_id=x"), "not the one that pushed")
    uri = client.push().json()["request_uri"]
    refused(client.provider, client.url(client_id=GONE, request_uri=uri), "not the one that pushed")


def test_a_parameter_twice(client: HandMadeClient) -> None:
    refused(client.provider, client.start() + "&client_id=x", "given more than once: client_id")


def test_parameters_beside_the_request_are_ignored(client: HandMadeClient) -> None:
    url = f"{client.start()}&state=other&redirect_uri=https://evil.example/&response_mode=form_post"
    assert response(client.provider.sign_in(url))["state"] == "the-state"


def test_a_look_does_not_use_the_request_up(client: HandMadeClient) -> None:
    url = client.start()
    look = opened(client.provider, url, method="HEAD")
    assert (look.status_code, look.headers["Allow"]) == (405, "GET, POST")
    assert "code" in response(client.provider.sign_in(url))


def test_authorization_by_post(client: HandMadeClient) -> None:
    place, _, query = client.start().partition("?")
    again = opened(
        client.provider,
        place,
        method="POST",
        data=query,
        content_type="application/x-www-form-urlencoded",
    )
    assert again.status_code == 303
    assert dict(parse_qsl(urlsplit(again.headers["Location"]).query)) == dict(parse_qsl(query))
    assert "code" in response(client.provider.sign_in(again.headers["Location"]))


def test_pages_load_and_run_nothing_but_themselves(client: HandMadeClient) -> None:
    provider = client.provider
    visitor = Client(provider.app)
    parts = urlsplit(client.start())
    begun = visitor.get(parts.path, base_url=OP, query_string=parts.query)
    page = visitor.get(begun.headers["Location"], base_url=OP)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "strict-origin"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in page.text.replace("https://op.example", "")
    assert "The site" in page.text
    assert "development" in page.text
    cookie = begun.headers["Set-Cookie"]
    assert cookie.startswith("parjar_dev_provider_0=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie


def test_cookies_of_two_providers_on_one_machine_differ() -> None:
    names = set()
    for port in (9000, 9001):
        provider = DevProvider(f"http://127.0.0.1:{port}/tenant", now=lambda: NOW)
        visitor, url = Client(provider.app), urlsplit(HandMadeClient(provider).start())
        base_url = f"http://127.0.0.1:{port}"
        begun = visitor.get(url.path, base_url=base_url, query_string=url.query)
        cookie = begun.headers["Set-Cookie"]
        assert "Path=/tenant" in cookie
        assert "Secure" not in cookie
        names.add(cookie.partition("=")[0])
    assert names == {"parjar_dev_provider_9000", "parjar_dev_provider_9001"}


def test_names_of_clients_are_escaped(client: HandMadeClient) -> None:
    script = "<script>alert(1)</script>"
    client.provider.register(
        ClientMetadata(
            client_id=client.client_id,
            redirect_uris=["https://site.example/callback"],
            jwks={"keys": [client.key.as_dict(private=False)]},
            client_name=script,
            scope=script,
        )
    )
    visitor, parts = Client(client.provider.app), urlsplit(client.start(login_hint=script))
    begun = visitor.get(parts.path, base_url=OP, query_string=parts.query)
    page = visitor.get(begun.headers["Location"], base_url=OP)
    assert script not in page.text
    assert "&lt;script&gt;" in page.text
    refused(client.provider, client.url(request_uri=script, request=script), "must be pushed")


def test_no_means_no(client: HandMadeClient) -> None:
    back = response(client.provider.sign_in(client.start(), approve=False))
    assert back == {
        "error": "access_denied",
        "error_description": "The person said no.",
        "state": "the-state",
        "iss": OP,
    }


def test_no_to_consent(client: HandMadeClient, browser: Browser) -> None:
    browser.sign_in(client.start())
    back = response(browser.sign_in(client.start(prompt="consent"), approve=False))
    assert back["error"] == "access_denied"


def test_a_scope_can_be_declined(client: HandMadeClient, browser: Browser) -> None:
    asked = {"scope": "openid email reports:read"}
    back = response(browser.sign_in(client.start(**asked), decline=["reports:read"]))
    assert client.redeem(back["code"]).json()["scope"] == "openid email"
    calls = len(client.provider.calls)
    again = response(browser.sign_in(client.start(**asked)))
    assert client.redeem(again["code"]).json()["scope"] == "openid email reports:read"
    assert "consent" in [call.endpoint for call in client.provider.calls[calls:]]


def test_agreeing_to_some_scopes_alone(client: HandMadeClient, browser: Browser) -> None:
    asked = {"scope": "openid profile email reports:read"}
    granted = []
    for scopes in (["email"], ["openid", "profile", "email"], []):
        back = response(browser.sign_in(client.start(**asked), scopes=scopes))
        granted.append(client.redeem(back["code"]).json()["scope"])
        client.provider.forget_consents("ada")
    assert granted == ["openid email", "openid profile email", "openid"]
    both = browser.sign_in(client.start(**asked), scopes=["email", "profile"], decline=["email"])
    assert client.redeem(response(both)["code"]).json()["scope"] == "openid profile"
    with pytest.raises(ValueError, match="phone"):
        browser.sign_in(client.start(**asked), scopes=["email", "phone"])


def test_a_person_who_forgot_what_they_agreed_to(client: HandMadeClient, browser: Browser) -> None:
    for person, endpoint in (("grace", "authorization"), ("ada", "consent")):
        browser.sign_in(client.start())
        client.provider.forget_consents(person)
        client.provider.calls.clear()
        browser.sign_in(client.start())
        assert endpoint in [call.endpoint for call in client.provider.calls]
        assert ("consent" in [call.endpoint for call in client.provider.calls]) is (person == "ada")
    with pytest.raises(ValueError, match="'mia'.*ada, grace"):
        client.provider.forget_consents("mia")


def test_declining_what_was_not_asked(client: HandMadeClient, browser: Browser) -> None:
    with pytest.raises(ValueError, match="openid, phone"):
        browser.sign_in(client.start(), decline=["phone", "openid"])


def test_a_person_is_not_asked_twice(client: HandMadeClient, browser: Browser) -> None:
    browser.sign_in(client.start())
    client.provider.calls.clear()
    assert "code" in response(browser.sign_in(client.start()))
    endpoints = [call.endpoint for call in client.provider.calls]
    assert endpoints == ["pushed_authorization_request", "authorization", "interaction"]


def test_consent_is_for_one_client(client: HandMadeClient, browser: Browser) -> None:
    browser.sign_in(client.start())
    other = HandMadeClient(client.provider, client_id="other")
    back = response(browser.sign_in(other.start(prompt="none")))
    assert back["error"] == "consent_required"


def test_prompt_none(client: HandMadeClient, browser: Browser) -> None:
    back = response(browser.sign_in(client.start(prompt="none")))
    assert (back["error"], back["state"], back["iss"]) == ("login_required", "the-state", OP)
    browser.sign_in(client.start())
    assert "code" in response(browser.sign_in(client.start(prompt="none")))
    wider = response(browser.sign_in(client.start(prompt="none", scope="openid phone")))
    assert wider["error"] == "consent_required"
    old = response(browser.sign_in(client.start(prompt="none", max_age=0)))
    assert old["error"] == "login_required"


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
def test_prompt_login(client: HandMadeClient, browser: Browser, clock: Clock, prompt: str) -> None:
    browser.sign_in(client.start())
    clock.now += 100
    back = response(browser.sign_in(client.start(prompt=prompt), "grace"))
    claims = client.verify(client.redeem(back["code"]).json()["id_token"])[1]
    assert (claims["sub"], claims["auth_time"]) == ("grace", NOW + 100)


def test_prompt_consent(client: HandMadeClient, browser: Browser) -> None:
    browser.sign_in(client.start())
    client.provider.calls.clear()
    browser.sign_in(client.start(prompt="consent"))
    assert "consent" in [call.endpoint for call in client.provider.calls]


@pytest.mark.parametrize(("max_age", "auth_time"), [(100, NOW), (99, NOW + 100), (0, NOW + 100)])
def test_max_age(
    client: HandMadeClient, browser: Browser, clock: Clock, max_age: int, auth_time: int
) -> None:
    browser.sign_in(client.start())
    clock.now += 100
    back = response(browser.sign_in(client.start(max_age=max_age)))
    claims = client.verify(client.redeem(back["code"]).json()["id_token"])[1]
    assert claims["auth_time"] == auth_time


@pytest.mark.parametrize(
    ("urls", "acr", "amr"),
    [
        ({}, "pwd", ["pwd"]),
        ({"acr_values": "unknown"}, "pwd", ["pwd"]),
        ({"acr_values": "unknown mfa pwd"}, "mfa", ["pwd", "otp", "mfa"]),
        (
            {"claims": {"id_token": {"acr": {"value": "phr", "essential": True}}}},
            "phr",
            ["hwk", "user"],
        ),
        ({"claims": {"id_token": {"acr": {"values": ["x"]}}}}, "pwd", ["pwd"]),
        ({"claims": {"id_token": {"acr": {"essential": True}}}}, "pwd", ["pwd"]),
    ],
)
def test_acr(client: HandMadeClient, urls: dict[str, Any], acr: str, amr: list[str]) -> None:
    claims = client.verify(client.tokens(**urls)["id_token"])[1]
    assert (claims["acr"], claims["amr"]) == (acr, amr)


def test_a_stronger_login_is_asked_for_when_needed(
    client: HandMadeClient, browser: Browser, clock: Clock
) -> None:
    browser.sign_in(client.start())
    clock.now += 10
    stronger = response(browser.sign_in(client.start(acr_values="mfa")))
    claims = client.verify(client.redeem(stronger["code"]).json()["id_token"])[1]
    assert (claims["acr"], claims["auth_time"]) == ("mfa", NOW + 10)
    clock.now += 10
    weaker = response(browser.sign_in(client.start(acr_values="pwd")))
    claims = client.verify(client.redeem(weaker["code"]).json()["id_token"])[1]
    assert (claims["acr"], claims["auth_time"]) == ("pwd", NOW + 10)


@pytest.mark.parametrize(
    ("own", "asked", "acr", "amr"),
    [
        ({"acr": "mfa"}, "", "mfa", ["pwd", "otp", "mfa"]),
        ({"acr": "mfa", "amr": ["face"]}, "pwd", "pwd", ["face"]),
        ({"acr": "mfa", "amr": ["face"]}, "pwd mfa", "mfa", ["face"]),
        ({"acr": "mfa", "amr": ["face"]}, "phr", "phr", ["hwk", "user"]),
        ({"acr": "urn:x"}, "", "urn:x", ["pwd"]),
        ({"acr": "urn:x"}, "mfa", "mfa", ["pwd", "otp", "mfa"]),
        ({"acr": "urn:x"}, "mfa urn:x", "urn:x", ["pwd"]),
        ({"amr": ("face",)}, "phr", "phr", ["face"]),
        ({"amr": "face"}, "", "pwd", ["pwd"]),
    ],
)
def test_how_a_person_signs_in(
    client: HandMadeClient, own: dict[str, Any], asked: str, acr: str, amr: list[str]
) -> None:
    client.provider.people["mia"] = Person("mia", {"name": "Mia", **own})
    tokens = client.tokens("mia", acr_values=asked)
    claims = client.verify(tokens["id_token"])[1]
    assert (claims["acr"], claims["amr"]) == (acr, amr)
    userinfo = client.userinfo(tokens["access_token"]).json()
    assert userinfo == {"sub": "mia", "name": "Mia"}, "a sign-in is no claim of userinfo"


def test_the_levels_are_those_of_the_metadata(client: HandMadeClient) -> None:
    def signed_in(acr_values: str = "") -> tuple[str, list[str]]:
        claims = client.verify(client.tokens(acr_values=acr_values)["id_token"])[1]
        return claims["acr"], claims["amr"]

    levels = ["urn:1", "urn:2", "urn:3", "urn:4"]
    client.provider.metadata["acr_values_supported"] = levels
    assert signed_in() == signed_in("mfa") == ("urn:1", ["pwd"])
    assert signed_in("urn:2") == ("urn:2", ["pwd", "otp", "mfa"])
    assert signed_in("urn:4") == ("urn:4", ["hwk", "user"])
    client.provider.people["ada"] = Person("ada", {"acr": "urn:2"})
    assert [signed_in(acr)[0] for acr in levels] == levels
    assert signed_in("urn:1") == ("urn:1", ["pwd", "otp", "mfa"]), "strong enough for it"
    client.provider.people["ada"] = Person("ada")
    del client.provider.metadata["acr_values_supported"]
    assert signed_in() == ("pwd", ["pwd"])


def test_an_unknown_essential_acr(client: HandMadeClient) -> None:
    urls = {"id_token": {"acr": {"values": ["x"], "essential": True}}}
    back = response(client.provider.sign_in(client.start(claims=urls)))
    assert back["error"] == "unmet_authentication_requirements"


def test_claims_are_read_where_the_metadata_says_so(client: HandMadeClient) -> None:
    urls = {"id_token": {"acr": {"values": ["mfa"]}, "phone_number": None}}
    claims = client.verify(client.tokens(claims=urls)["id_token"])[1]
    assert claims["acr"] == "mfa" and "phone_number" in claims
    client.provider.metadata["claims_parameter_supported"] = False
    claims = client.verify(client.tokens(claims=urls)["id_token"])[1]
    assert claims["acr"] == "pwd" and "phone_number" not in claims


def test_login_hint_comes_first(client: HandMadeClient) -> None:
    for hint in ("emilie", "emilie@people.example"):
        visitor, parts = Client(client.provider.app), urlsplit(client.start(login_hint=hint))
        begun = visitor.get(parts.path, base_url=OP, query_string=parts.query)
        page = visitor.get(begun.headers["Location"], base_url=OP).text
        assert page.index("milie du") < page.index("Ada Lovelace")
        assert page.count("suggested by the site") == 1


def test_form_post(client: HandMadeClient) -> None:
    url = client.start(response_mode="form_post")
    visitor = Client(client.provider.app)
    parts = urlsplit(url)
    page = visitor.get(parts.path, base_url=OP, query_string=parts.query)
    place = page.headers["Location"]
    page = visitor.post(f"{place}/sign-in", base_url=OP, data={"decision": "deny"})
    assert page.status_code == 200
    assert 'method="post" action="https://site.example/callback"' in page.text
    assert 'name="error" value="access_denied"' in page.text
    back = response(client.provider.sign_in(client.start(response_mode="form_post")))
    assert {*back} == {"code", "state", "iss"}


def test_a_response_without_state(client: HandMadeClient) -> None:
    assert {*response(client.provider.sign_in(client.start(state=GONE)))} == {"code", "iss"}


def test_the_query_of_a_redirect_uri_is_kept(client: HandMadeClient) -> None:
    uri = "https://site.example/callback?tenant=a"
    client.provider.register(
        ClientMetadata(
            client_id=client.client_id,
            redirect_uris=[uri],
            jwks={"keys": [client.key.as_dict(private=False)]},
        )
    )
    back = response(client.provider.sign_in(client.start(redirect_uri=uri)))
    assert {*back} == {"tenant", "code", "state", "iss"}


def test_an_interaction_belongs_to_one_browser(client: HandMadeClient, clock: Clock) -> None:
    parts = urlsplit(client.start())
    visitor, thief = Client(client.provider.app), Client(client.provider.app)
    place = visitor.get(parts.path, base_url=OP, query_string=parts.query).headers["Location"]
    assert visitor.get(place, base_url=OP).status_code == 200
    for stolen in (
        thief.get(place, base_url=OP),
        thief.post(f"{place}/sign-in", base_url=OP, data={"person": "ada"}),
        thief.post(f"{place}/consent", base_url=OP, data={"decision": "approve"}),
    ):
        assert stolen.status_code == 400
        assert "begun in another browser" in stolen.text
    clock.now += 600
    assert visitor.get(place, base_url=OP).status_code == 400


def test_no_one_can_consent_before_signing_in(client: HandMadeClient) -> None:
    parts, visitor = urlsplit(client.start()), Client(client.provider.app)
    place = visitor.get(parts.path, base_url=OP, query_string=parts.query).headers["Location"]
    answer = visitor.post(f"{place}/consent", base_url=OP, data={"decision": "approve"})
    assert response(answer.headers["Location"])["error"] == "access_denied"


def test_an_unknown_person_cannot_sign_in(client: HandMadeClient) -> None:
    with pytest.raises(ValueError, match="no button for .*there are: ada, grace, alan, emilie"):
        client.provider.sign_in(client.start(), "mallory")
    parts, visitor = urlsplit(client.start()), Client(client.provider.app)
    place = visitor.get(parts.path, base_url=OP, query_string=parts.query).headers["Location"]
    answer = visitor.post(f"{place}/sign-in", base_url=OP, data={"person": "mallory"})
    assert answer.status_code == 400


def test_home(client: HandMadeClient, browser: Browser) -> None:
    page = browser.get(f"{OP}/")
    assert page.status_code == 200
    assert "hand made/client:1" in page.text
    assert "Signed in" not in page.text
    browser.sign_in(client.start())
    assert "Signed in: <strong>Ada Lovelace" in browser.get(OP).text
    assert "none yet" in DevProvider(OP).browser().get(OP).text


def test_a_browser_does_not_go_round_in_circles() -> None:
    def circle(environ: Any, start_response: Any) -> list[bytes]:
        start_response("302 Found", [("Location", "/again")])
        return []

    with pytest.raises(RuntimeError, match="in 12 steps"):
        Browser(circle, OP).sign_in(f"{OP}/authorize?{urlencode({'x': 1})}")
