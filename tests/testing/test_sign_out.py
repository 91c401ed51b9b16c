"""RP-initiated logout: who may send a browser here, and where it may be sent on to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client

from flask_parjar.testing import Browser, DevProvider, Stopped
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import HOME, HandMadeClient, response

OP = "https://op.example"


@pytest.fixture
def browser(client: HandMadeClient) -> Browser:
    browser = client.provider.browser()
    browser.sign_in(client.start())
    return browser


def end_session(**parameters: str) -> str:
    return f"{OP}/end-session?{urlencode(parameters)}"


def is_signed_in(client: HandMadeClient, browser: Browser) -> bool:
    return "code" in response(browser.sign_in(client.start(prompt="none")))


def test_signing_out(client: HandMadeClient, browser: Browser) -> None:
    url = end_session(
        client_id=client.client_id,
        post_logout_redirect_uri=HOME,
        state="s t",
        logout_hint="ada",
    )
    assert browser.sign_out(url) == f"{HOME}?state=s+t"
    assert not is_signed_in(client, browser)


def test_staying(client: HandMadeClient, browser: Browser) -> None:
    url = end_session(client_id=client.client_id, post_logout_redirect_uri=HOME)
    assert browser.sign_out(url, approve=False) is None
    assert is_signed_in(client, browser)


def test_a_person_who_stays_signed_in_gets_a_link_to_the_site(client: HandMadeClient) -> None:
    url = end_session(client_id=client.client_id, post_logout_redirect_uri=HOME)
    visitor, action = signed_in(client, url)
    answer = visitor.post(action, base_url=OP, data={"decision": "deny"})
    assert answer.headers.get("Location", "").startswith(HOME) or f'href="{HOME}' in answer.text


@pytest.mark.parametrize(
    "decision, heading", [("deny", "Still signed in"), ("approve", "Signed out")]
)
def test_a_site_that_named_no_page_is_linked_to(
    client: HandMadeClient, decision: str, heading: str
) -> None:
    visitor, action = signed_in(client, end_session(client_id=client.client_id))
    answer = visitor.post(action, base_url=OP, data={"decision": decision})
    assert heading in answer.text
    assert f'href="{HOME}"' in answer.text


def test_without_a_site_there_is_no_link(client: HandMadeClient) -> None:
    visitor, action = signed_in(client)
    answer = visitor.post(action, base_url=OP, data={"decision": "deny"})
    assert "You may close this page" in answer.text
    assert "href" not in answer.text


def test_the_question_says_nothing_of_a_site_that_did_not_ask(client: HandMadeClient) -> None:
    visitor, _ = signed_in(client)
    page = visitor.get("/end-session", base_url=OP).text
    assert "Ada Lovelace" in page
    assert "signed you out" not in page


def test_the_question_names_the_site_that_asked(client: HandMadeClient) -> None:
    url = end_session(client_id=client.client_id)
    visitor, _ = signed_in(client, url)
    assert "The site" in visitor.get(url.removeprefix(OP), base_url=OP).text


def test_with_an_id_token_even_an_old_one(
    client: HandMadeClient, browser: Browser, clock: Clock
) -> None:
    hint = client.tokens()["id_token"]
    clock.now += 10_000
    url = end_session(id_token_hint=hint, post_logout_redirect_uri=HOME)
    assert browser.sign_out(url) == HOME


def test_when_no_one_is_signed_in(client: HandMadeClient, provider: DevProvider) -> None:
    url = end_session(client_id=client.client_id, post_logout_redirect_uri=HOME)
    assert provider.browser().sign_out(url) == HOME
    page = provider.browser().get(end_session())
    assert page.status_code == 200
    assert "Signed out" in page.text


def test_without_any_parameter(client: HandMadeClient, browser: Browser) -> None:
    assert browser.sign_out(end_session()) is None
    assert not is_signed_in(client, browser)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"post_logout_redirect_uri": HOME}, "needs a client_id or an id_token_hint"),
        ({"client_id": "unknown"}, "no client is registered"),
        (
            {
                "client_id": "hand made/client:1",
                "post_logout_redirect_uri": "https://evil.example/",
            },
            "is not registered",
        ),
        (
            {"client_id": "hand made/client:1", "post_logout_redirect_uri": HOME + "x"},
            "is not registered",
        ),
        ({"id_token_hint": "nonsense"}, "id_token_hint: a compact JWS has three parts"),
        ({"id_token_hint": "e30.e30."}, "id_token_hint: alg None"),
    ],
)
def test_what_is_refused(
    client: HandMadeClient, browser: Browser, parameters: dict[str, str], reason: str
) -> None:
    with pytest.raises(Stopped, match=reason) as stopped:
        browser.sign_out(end_session(**parameters))
    assert stopped.value.status == 400
    assert is_signed_in(client, browser)


def test_a_hint_that_was_issued_to_another(client: HandMadeClient, browser: Browser) -> None:
    other = HandMadeClient(client.provider, client_id="other")
    url = end_session(client_id=client.client_id, id_token_hint=other.tokens()["id_token"])
    with pytest.raises(Stopped, match="issued to another client"):
        browser.sign_out(url)


def test_a_hint_that_another_provider_signed(client: HandMadeClient, browser: Browser) -> None:
    foreign = HandMadeClient(DevProvider(OP, now=client.now)).tokens()["id_token"]
    with pytest.raises(Stopped, match="is not known"):
        browser.sign_out(end_session(id_token_hint=foreign))


def signed_in(client: HandMadeClient, url: str = f"{OP}/end-session") -> tuple[Client, str]:
    """A visitor who is signed in, and where the question whether to sign out is answered."""
    visitor = Client(client.provider.app)
    started = client.start().removeprefix(OP)
    place = visitor.get(started, base_url=OP).headers["Location"]
    visitor.post(f"{place}/sign-in", base_url=OP, data={"person": "ada"})
    page = visitor.get(url.removeprefix(OP), base_url=OP).text
    return visitor, page.split('action="')[1].split('"')[0]


def test_the_answer_belongs_to_the_browser_and_counts_once(client: HandMadeClient) -> None:
    visitor, action = signed_in(client)
    yes: dict[str, Any] = {"base_url": OP, "data": {"decision": "approve"}}
    assert Client(client.provider.app).post(action, **yes).status_code == 400
    assert "decided before" in visitor.post(action, **yes).text
    visitor, action = signed_in(client)
    assert visitor.post(action, **yes).status_code == 200
    assert visitor.post(action, **yes).status_code == 400


def test_by_post(client: HandMadeClient) -> None:
    form = {"client_id": client.client_id, "post_logout_redirect_uri": HOME}
    answer = Client(client.provider.app).post("/end-session", base_url=OP, data=form)
    assert answer.status_code == 303
    assert answer.headers["Location"] == end_session(**form)
