"""The same demo in a real browser, at oidc-provider, configured through the environment alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from joserfc.jwk import ECKey

from tests.browser.story import walk_through_the_example
from tests.browser.window import LOOKS, Look, Window
from tests.interop.provider_process import ProviderProcess, missing_oidc_provider
from tests.support.example_process import ExampleProcess
from tests.support.ports import find_free_port
from tests.support.requirements import need

pytestmark = pytest.mark.browser

KEY = ECKey.generate_key("P-256", {"kid": "example"})


@pytest.fixture(scope="module")
def at_oidc_provider(chromium: object) -> Iterator[tuple[ExampleProcess, ProviderProcess]]:
    """The example, and the provider that it is configured for."""
    need(missing_oidc_provider(), required_by="PARJAR_REQUIRE_INTEROP")
    port = find_free_port()
    client = {
        "client_id": "example",
        "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
        "post_logout_redirect_uris": [f"http://127.0.0.1:{port}/"],
        "jwks": {"keys": [KEY.as_dict(private=False)]},
        "request_object_signing_alg": "ES256",
        "id_token_signed_response_alg": "ES256",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
    }
    with ProviderProcess(clients=[client]) as provider:
        environment = {
            "FLASK_SECRET_KEY": "of the browser tests alone",
            "FLASK_PARJAR_ISSUER": provider.issuer,
            "FLASK_PARJAR_CLIENT_ID": "example",
            "FLASK_PARJAR_SIGNING_KEY": json.dumps(KEY.as_dict(private=True)),
            "FLASK_PARJAR_SCOPES": "openid profile email reports:read",
            "FLASK_PARJAR_USERINFO": "true",
        }
        with ExampleProcess(environment=environment, port=port) as example:
            assert "DEVELOPMENT" not in example.output
            yield example, provider


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_from_the_first_page_to_the_account_and_out_again(
    at_oidc_provider: tuple[ExampleProcess, ProviderProcess],
    open_window: Callable[..., Window],
    look: Look,
) -> None:
    example, provider = at_oidc_provider
    window = open_window(example.url, look=look, name="oidc-provider")
    page = window.page
    provider.forget_calls()

    def at_the_provider() -> None:
        page.locator("[name=login]").fill("ada")
        page.locator("[name=password]").fill("any")
        window.photograph("3a-provider-sign-in")
        page.locator("[type=submit]").click()
        page.locator("[type=submit]", has_text="Continue").click()

    def out_at_the_provider() -> None:
        window.photograph("7a-provider-sign-out")
        page.locator("[name=logout]").click()

    walk_through_the_example(
        window,
        authorization_endpoint=f"{provider.issuer}/auth",
        sign_in=at_the_provider,
        sign_out=out_at_the_provider,
        name="Ada",
        email="ada@example.com",
    )

    # Asserted on what the provider received, too.
    (arrival,) = [call for call in provider.calls("authorization") if call.path == "/auth"]
    assert [name for name, _ in arrival.query] == ["client_id", "request_uri"]
    (push,) = provider.calls("pushed_authorization_request")
    assert {name for name, _ in push.form} == {
        "client_id",
        "request",
        "client_assertion",
        "client_assertion_type",
    }
