"""Client assertions that somebody else signs: out of a file that changes, or from a function."""

from __future__ import annotations

import functools
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from flask_parjar import ConfigError
from flask_parjar.config import read_settings
from flask_parjar.protocol.keys import SigningKey, parse_signing_keys
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, token_site
from tests.support.pages import code_of
from tests.support.site import ISSUER, Visitor, make_site

MISSING = (503, "client_assertion_missing")


@functools.cache
def jwk() -> dict[str, Any]:
    """The key that the provider knows; the site has it for its requests alone."""
    return dict(ECKey.generate_key("P-256").as_dict(private=True))


@functools.cache
def key() -> SigningKey:
    return parse_signing_keys(jwk())[0]


def assertion() -> str:
    now = int(time.time())
    claims = {"iss": "flask-parjar", "sub": "flask-parjar", "aud": ISSUER, "iat": now}
    more = {"exp": now + 60, "jti": secrets.token_urlsafe(16)}
    return key().sign({**claims, **more}, alg="ES256")


def sent(provider: DevProvider) -> list[str]:
    forms = [call.form for call in provider.calls]
    return [form["client_assertion"] for form in forms if "client_assertion" in form]


def test_a_file_is_read_again_when_it_changes(provider: DevProvider, tmp_path: Path) -> None:
    file, written = tmp_path / "token", [assertion(), assertion()]
    file.write_text(written[0])
    app = make_site(provider, PARJAR_SIGNING_KEY=jwk(), PARJAR_CLIENT_ASSERTION=str(file))
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    file.write_text(written[1] + "\n")
    assert visitor.get(back).location == "/me"
    assert sent(provider) == written


def test_a_function_is_asked_for_each_request(provider: DevProvider) -> None:
    given: list[str] = []

    def ask() -> str:
        given.append(assertion())
        return given[-1]

    app = token_site(provider, "memory", PARJAR_SIGNING_KEY=jwk(), PARJAR_CLIENT_ASSERTION=ask)
    visitor = Visitor(app, provider)
    visitor.log_in()
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert sent(provider) == given and len(given) == 3


@pytest.mark.parametrize("gives", [None, "", "no JWT", "a.b.c\r\nd.e", b"a.b.c", OSError("x")])
def test_what_is_no_assertion_is_not_sent(provider: DevProvider, gives: object) -> None:
    def ask() -> Any:
        if isinstance(gives, Exception):
            raise gives
        return gives

    app = make_site(provider, PARJAR_SIGNING_KEY=jwk(), PARJAR_CLIENT_ASSERTION=ask)
    page = Visitor(app, provider).get("/login")
    assert (page.status_code, code_of(page)) == MISSING
    assert sent(provider) == []


def test_a_file_that_is_taken_away(provider: DevProvider, tmp_path: Path) -> None:
    """The login fails as in an outage; a renewal is tried again later, and no session ends."""
    file = tmp_path / "token"
    file.write_text(assertion())
    app = token_site(provider, "memory", PARJAR_SIGNING_KEY=jwk(), PARJAR_CLIENT_ASSERTION=file)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave())
    file.write_text(assertion())
    assert visitor.get(back).location == "/"
    file.unlink()
    age(visitor, left=-1)
    page = visitor.get("/token")
    assert (page.status_code, code_of(page)) == MISSING
    assert visitor.get("/me").status_code == 200
    page = Visitor(app, provider).get("/login")
    assert (page.status_code, code_of(page)) == MISSING


def read(**config: Any) -> None:
    base = {"PARJAR_ISSUER": ISSUER, "PARJAR_CLIENT_ID": "site", "PARJAR_REQUEST": "pushed"}
    settings = read_settings({**base, **config}, secret_key="of the tests")
    client = settings.providers["default"]
    assert client.possible_client_auths == ("private_key_jwt",)
    assert client.first_assertion_key is None


def test_no_key_is_needed_beside_it(tmp_path: Path) -> None:
    read(PARJAR_CLIENT_ASSERTION=assertion)
    read(PARJAR_CLIENT_ASSERTION=assertion, PARJAR_CLIENT_AUTH="private_key_jwt")


@pytest.mark.parametrize(
    ("config", "at_fault"),
    [
        ({"PARJAR_CLIENT_ASSERTION": "no/such/file"}, "PARJAR_CLIENT_ASSERTION"),
        ({"PARJAR_CLIENT_ASSERTION": 7}, "PARJAR_CLIENT_ASSERTION"),
        ({"PARJAR_CLIENT_SECRET": "s"}, "PARJAR_CLIENT_SECRET"),
        ({"PARJAR_ASSERTION_KEY": jwk()}, "PARJAR_ASSERTION_KEY"),
        ({"PARJAR_CLIENT_AUTH": "none"}, "PARJAR_CLIENT_AUTH"),
        ({"PARJAR_REQUEST": "pushed+signed"}, "PARJAR_SIGNING_KEY"),
    ],
)
def test_faults(config: dict[str, Any], at_fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**{"PARJAR_CLIENT_ASSERTION": assertion, **config})
    (fault,) = caught.value.faults
    assert fault.startswith(at_fault)
