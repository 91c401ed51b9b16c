"""Whole logins where the authorization response is a signed JWT (JARM)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from joserfc.jwe import encrypt_compact
from joserfc.jwk import ECKey, import_key
from werkzeug.test import TestResponse

from flask_parjar import ConfigError
from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.testing import DevProvider
from tests.support.after_login import token_site
from tests.support.pages import code_of
from tests.support.site import SCOPES, Visitor, make_site, make_site_of_two, query

EC = ECKey.generate_key("P-256", {"kid": "ours"}).as_dict(private=True)
ENCRYPTED: dict[str, Any] = {
    "PARJAR_RESPONSE_MODE": "jwt",
    "PARJAR_ENCRYPTION_KEY": EC,
    "PARJAR_RESPONSE_ENCRYPTION": "ECDH-ES A256GCM",
}
MODES = ["jwt", "query.jwt", "form_post.jwt"]
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


def signed_site(provider: DevProvider, mode: str = "jwt", **config: Any) -> Flask:
    return make_site(provider, PARJAR_RESPONSE_MODE=mode, **config)


def bring(visitor: Visitor, back: str, **more: Any) -> TestResponse:
    """Bring an answer to the callback, as its response mode says."""
    if visitor.app.extensions["parjar"].providers["default"].posts_responses:
        path, _, _ = back.partition("?")
        form = {name: values[0] for name, values in query(back).items()}
        return visitor.post(path, data=form, headers=FROM_HERE, **more)
    return visitor.get(back, **more)


def parts(back: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a signed response."""
    (response,) = query(back)["response"]
    header, claims, _ = response.split(".")
    return json.loads(b64decode(header)), json.loads(b64decode(claims))


def asked(provider: DevProvider) -> list[str]:
    return [call.endpoint for call in provider.calls]


def replaced(back: str, text: str) -> str:
    return f"{back.partition('?')[0]}?response={text}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_whole_login(provider: DevProvider, mode: str, alg: str) -> None:
    visitor = Visitor(signed_site(provider, mode, PARJAR_ID_TOKEN_ALGS=[alg]), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert list(query(back)) == ["response"]
    header, claims = parts(back)
    assert header["alg"] == alg
    assert sorted(claims) == ["aud", "code", "exp", "iss", "state"]
    assert bring(visitor, back).location == "/me"
    assert visitor.get("/me").status_code == 200


@pytest.mark.parametrize("level", ["pushed+signed", "pushed", "signed", "plain"])
def test_every_request_level(provider: DevProvider, level: str) -> None:
    provider.allow_requests(level)
    visitor = Visitor(signed_site(provider, PARJAR_REQUEST=level), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"


def test_a_provider_that_lists_no_algorithm_signs_with_rs256(provider: DevProvider) -> None:
    del provider.metadata["authorization_signing_alg_values_supported"]
    visitor = Visitor(signed_site(provider), provider)
    back = visitor.come_back(visitor.leave())
    assert parts(back)[0]["alg"] == "RS256"
    assert visitor.get(back).status_code == 302


@pytest.mark.parametrize("mode", MODES)
def test_errors_are_signed_too(provider: DevProvider, mode: str) -> None:
    visitor = Visitor(signed_site(provider, mode), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"), approve=False)
    assert list(query(back)) == ["response"]
    page = bring(visitor, back)
    assert (page.status_code, code_of(page)) == (403, "access_denied")
    assert "The person said no." in page.text
    again = bring(visitor, back)
    assert code_of(again) == "login_lost", "the login that was refused is over"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A256KW"])
def test_an_encrypted_response(provider: DevProvider, mode: str, alg: str) -> None:
    config = {**ENCRYPTED, "PARJAR_RESPONSE_ENCRYPTION": f"{alg} A256GCM A128GCM"}
    config["PARJAR_RESPONSE_MODE"] = mode
    visitor = Visitor(make_site(provider, **config), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert query(back)["response"][0].count(".") == 4
    assert bring(visitor, back).location == "/me"
    keys = visitor.get("/.well-known/jwks.json").json
    assert keys is not None
    assert [(key["use"], key["alg"]) for key in keys["keys"][1:]] == [("enc", alg)]


def test_an_encrypted_error(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, **ENCRYPTED), provider)
    page = visitor.get(visitor.come_back(visitor.leave(), approve=False))
    assert (page.status_code, code_of(page)) == (403, "access_denied")


def test_a_form_from_the_provider_s_page_is_posted_once_more(provider: DevProvider) -> None:
    """The browser keeps a SameSite=Lax cookie back from a form that another site sends."""
    visitor = Visitor(signed_site(provider, "form_post.jwt"), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    (text,) = query(back)["response"]
    elsewhere = visitor.app.test_client()
    form = {"response": text}
    bounce = elsewhere.post("/callback", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert bounce.status_code == 200
    assert f'name="response" value="{text}"' in bounce.text
    again = {**form, "parjar_posted_again": "1"}
    assert visitor.post("/callback", data=again, headers=FROM_HERE).location == "/me"


def test_two_tabs(provider: DevProvider) -> None:
    for config in ({"PARJAR_RESPONSE_MODE": "jwt"}, ENCRYPTED):
        visitor = Visitor(make_site(provider, **config), provider)
        first, second = (visitor.leave(f"/login?next=/{each}") for each in ("one", "two"))
        assert visitor.get(visitor.come_back(second)).location == "/two"
        assert visitor.get(visitor.come_back(first)).location == "/one"


# Answers that were made up, and answers without a login.


def bent(back: str, changes: Mapping[str, Any]) -> str:
    """The same response with other claims, under the old signature."""
    (text,) = query(back)["response"]
    header, _, signature = text.split(".")
    claims = b64encode(json.dumps(parts(back)[1] | changes).encode())
    return replaced(back, f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("config", [{"PARJAR_RESPONSE_MODE": "jwt"}, ENCRYPTED])
def test_an_answer_that_was_made_up_ends_no_login(
    provider: DevProvider, config: dict[str, Any]
) -> None:
    visitor = Visitor(make_site(provider, **config), provider)
    away = visitor.leave("/login?next=/me")
    back = visitor.come_back(away)
    (text,) = query(back)["response"]
    broken = ".".join([*text.split(".")[:-1], b64encode(bytes(16))])
    codes = [
        code_of(visitor.get(replaced(back, each)))
        for each in (broken, encrypted_garbage(), "x.y.z")
    ]
    assert codes == (
        ["token_decryption", "token_malformed", "token_malformed"]
        if "PARJAR_ENCRYPTION_KEY" in config
        else ["token_signature", "token_encrypted", "token_malformed"]
    )
    assert "token" not in asked(provider)
    assert visitor.get(back).location == "/me"


def test_a_forged_answer_to_the_right_login_leads_back_to_its_page(provider: DevProvider) -> None:
    visitor = Visitor(signed_site(provider), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    page = visitor.get(bent(back, {"code": "injected"}))
    assert (page.status_code, code_of(page)) == (502, "token_signature")
    assert 'href="/login?next=/me"' in page.text
    assert visitor.get(back).location == "/me"


def test_an_answer_counts_once(provider: DevProvider) -> None:
    visitor = Visitor(signed_site(provider), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(back).location == "/me"
    assert asked(provider).count("token") == 1
    assert visitor.get(back).location == "/"
    assert asked(provider).count("token") == 1


def test_the_answer_of_one_browser_is_none_of_another(provider: DevProvider) -> None:
    app = signed_site(provider)
    ada, eve = Visitor(app, provider), Visitor(app, provider)
    back = ada.come_back(ada.leave())
    eve.leave()
    provider.calls.clear()
    assert eve.get(back).location.startswith("https://op.example/authorize?")  # her login, anew
    assert asked(provider) == ["pushed_authorization_request"]


@pytest.mark.parametrize("config", [{"PARJAR_RESPONSE_MODE": "jwt"}, ENCRYPTED])
def test_an_answer_of_another_provider_or_for_another_client(config: dict[str, Any]) -> None:
    app, work, home = make_site_of_two(**config)
    visitor = Visitor(app, work)
    back = visitor.come_back(visitor.leave("/login/work"))
    at_home = Visitor(app, home)
    at_home.client = visitor.client
    other = at_home.come_back(at_home.leave("/login/home"))
    swapped = visitor.get(back.replace("/callback/work", "/callback/home"))
    assert (swapped.status_code, code_of(swapped)) in (
        (400, "state_mismatch"),
        (502, "token_issuer"),
    )
    assert visitor.get(back).status_code == 302
    assert visitor.get(other).status_code == 302


def test_no_key_is_fetched_for_a_browser_without_that_login(provider: DevProvider) -> None:
    app = signed_site(provider)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave())
    provider.calls.clear()
    stranger = Visitor(app, provider)
    lost = stranger.get(back)
    assert lost.status_code == 302, "the login begins again, as every lost login does"
    forged = bent(back, {"state": "x"})
    assert code_of(stranger.get(forged)) == "state_forged"
    assert asked(provider) == ["pushed_authorization_request"]


def encrypted_garbage() -> str:
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"}
    public = {name: value for name, value in EC.items() if name != "d"}
    return encrypt_compact(header, "{}", import_key(public))


def test_nothing_is_decrypted_for_a_browser_without_a_login(provider: DevProvider) -> None:
    """What would be told of the content is not told, and no key is fetched."""
    app = make_site(provider, **ENCRYPTED)
    visitor = Visitor(app, provider)
    visitor.leave()
    provider.calls.clear()
    stranger = Visitor(app, provider)
    page = stranger.get(f"/callback?response={encrypted_garbage()}")
    assert (page.status_code, code_of(page)) == (400, "login_lost")
    assert asked(provider) == []
    opened = visitor.get(f"/callback?response={encrypted_garbage()}")
    assert (opened.status_code, code_of(opened)) == (502, "token_malformed")


def test_an_encrypted_answer_after_the_login_leads_home(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, **ENCRYPTED), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(back).location == "/me"
    assert visitor.get(back).location == "/"
    script = visitor.app.test_client()
    answer = script.get(back, headers={"Sec-Fetch-Mode": "cors", "Accept": "application/json"})
    assert answer.status_code == 401


def test_an_encrypted_answer_of_a_used_login_while_another_is_under_way(
    provider: DevProvider,
) -> None:
    visitor = Visitor(make_site(provider, **ENCRYPTED), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert visitor.get(back).location == "/me"
    visitor.leave()
    assert visitor.get(back).location == "/"


def test_an_encrypted_answer_that_comes_too_late(
    provider: DevProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(make_site(provider, **ENCRYPTED), provider)
    back = visitor.come_back(visitor.leave())
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    page = visitor.get(back)
    assert (page.status_code, code_of(page)) == (400, "login_lost")


def test_no_signed_response_is_in_a_log_or_a_page(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(signed_site(provider), provider)
    back = visitor.come_back(visitor.leave())
    (text,) = query(back)["response"]
    caplog.set_level("DEBUG")
    page = visitor.get(bent(back, {"code": "x"}))
    assert visitor.get(back).status_code == 302
    for part in text.split("."):
        assert part not in caplog.text + page.text
    assert parts(back)[1]["code"] not in caplog.text


def test_the_tokens_are_kept_as_ever(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "memory", PARJAR_RESPONSE_MODE="jwt"), provider)
    visitor.log_in()
    kept = visitor.get("/kept").json
    assert kept is not None
    assert kept["access_token"]


def test_scopes_and_everything_else_stay_the_same(provider: DevProvider) -> None:
    visitor = Visitor(signed_site(provider, PARJAR_SCOPES=SCOPES, PARJAR_DPOP=True), provider)
    visitor.log_in()
    me = visitor.get("/me").json
    assert me is not None
    assert (me["sub"], me["scopes"]) == ("ada", sorted(SCOPES.split()))


# The configuration.


def test_an_encryption_of_responses_needs_a_signed_mode(provider: DevProvider) -> None:
    for mode in (None, "query", "form_post"):
        with pytest.raises(ConfigError, match="RESPONSE_ENCRYPTION needs RESPONSE_MODE"):
            make_site(provider, **{**ENCRYPTED, "PARJAR_RESPONSE_MODE": mode})
    with pytest.raises(ConfigError, match="ENCRYPTION_KEY is required by RESPONSE_ENCRYPTION"):
        make_site(provider, **{**ENCRYPTED, "PARJAR_ENCRYPTION_KEY": None})
