"""A new signing key while somebody logs in, or is logged in: which key signs for them.

What DevProvider received is asserted: the ``kid`` of each client assertion.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey, OKPKey

from flask_parjar.testing import DevProvider
from flask_parjar.testing.jws import decode_json
from tests.support.after_login import age, copy_of, token_site
from tests.support.certificates import make_key_and_certificate
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of
from tests.support.site import Visitor

KEYS = {
    name: ECKey.generate_key("P-256", {"kid": f"key-{name}"}).as_dict(private=True)
    for name in "ABC"
}
PUBLIC = {name: {k: v for k, v in jwk.items() if k != "d"} for name, jwk in KEYS.items()}
GONE = "the current key signs in its place"


def jwks(names: str) -> dict[str, Any]:
    """A set of keys; one whose name is in lower case has no private part."""
    return {"keys": [KEYS[n] if n in KEYS else PUBLIC[n.upper()] for n in names]}


def site(provider: DevProvider, keys: str, **config: Any) -> Flask:
    """A process of the site, with keys in this order."""
    return token_site(provider, "cookie", **{"PARJAR_SIGNING_KEY": jwks(keys), **config})


def signed_by(provider: DevProvider) -> list[tuple[str, str]]:
    """Which key has authenticated the client at each endpoint since the last look, in order."""
    found = [
        (call.endpoint, str(header_of(call.form["client_assertion"])["kid"]).removeprefix("key-"))
        for call in provider.calls
        if "client_assertion" in call.form
    ]
    provider.calls.clear()
    return found


def header_of(token: str) -> dict[str, object]:
    return decode_json(token.split(".")[0])


PUSH, TOKEN, REVOCATION = "pushed_authorization_request", "token", "revocation"


@pytest.mark.parametrize("former", ["AB", "Ab", "A"])
def test_a_session_goes_on_with_the_key_that_it_began_with(
    provider: DevProvider, former: str
) -> None:
    provider.demands.key_of_the_push = True
    before = Visitor(site(provider, former), provider)
    before.log_in()
    after = copy_of(before, site(provider, "BA"))
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    age(after, left=-1)  # and again, from what was renewed
    assert after.get("/token").status_code == 200
    after.post("/logout", headers=FROM_HERE)
    assert signed_by(provider) == [(PUSH, "A"), *[(TOKEN, "A")] * 3, *[(REVOCATION, "A")] * 2]
    after.log_in()
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    assert signed_by(provider) == [(PUSH, "B"), (TOKEN, "B"), (TOKEN, "B")]


def test_a_login_goes_on_with_the_key_that_signed_its_push(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.demands.key_of_the_push = True
    before = Visitor(site(provider, "AB"), provider)
    back = before.come_back(before.leave())
    after = copy_of(before, site(provider, "BCA"))
    assert after.get(back).location == "/"
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    assert signed_by(provider) == [(PUSH, "A"), (TOKEN, "A"), (TOKEN, "A")]
    assert GONE not in caplog.text


def test_a_key_that_is_gone_is_replaced_and_the_log_says_so(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    before, other = (Visitor(site(provider, "AB"), provider) for _ in range(2))
    back = other.come_back(other.leave())
    before.log_in()
    signed_by(provider)
    now = site(provider, "Bac")
    after = copy_of(before, now)
    age(after, left=-1)
    with caplog.at_level(logging.WARNING):
        assert after.get("/token").status_code == 200
    assert caplog.text.count(GONE) == 1
    assert signed_by(provider) == [(TOKEN, "B")]
    # A login under way: the code was exchanged with another key, which is now that of its session.
    late = copy_of(other, now)
    assert late.get(back).location == "/"
    assert caplog.text.count(GONE) == 2
    again = copy_of(late, site(provider, "CB"))
    age(again, left=-1)
    assert again.get("/token").status_code == 200
    assert caplog.text.count(GONE) == 2
    assert signed_by(provider) == [(TOKEN, "B"), (TOKEN, "B")]


def test_where_the_key_is_gone_a_strict_provider_ends_the_session(provider: DevProvider) -> None:
    provider.demands.key_of_the_push = True
    before, other = (Visitor(site(provider, "AB"), provider) for _ in range(2))
    back = other.come_back(other.leave())
    before.log_in()
    now = site(provider, "Ba")
    after = copy_of(before, now)
    age(after, left=-1)
    answer = after.get("/token", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (401, "refresh_refused")
    assert code_of(copy_of(other, now).get(back)) == "code_refused"
    assert after.log_in().location == "/"


def test_a_key_of_its_own_for_assertions(provider: DevProvider) -> None:
    """The signing key signed them; now it signs requests alone, and goes on for old sessions."""
    before = Visitor(site(provider, "A"), provider)
    before.log_in()
    after = copy_of(before, site(provider, "A", PARJAR_ASSERTION_KEY=jwks("BC")))
    age(after, left=-1)
    after.get("/token")
    new = Visitor(after.app, provider)
    new.log_in()
    assert signed_by(provider) == [
        *[(PUSH, "A"), (TOKEN, "A"), (TOKEN, "A")],
        *[(PUSH, "B"), (TOKEN, "B")],
    ]
    rotated = copy_of(new, site(provider, "A", PARJAR_ASSERTION_KEY=jwks("CB")))
    age(rotated, left=-1)
    rotated.get("/token")
    assert signed_by(provider) == [(TOKEN, "B")]


def test_a_former_key_of_another_kind_has_its_own_algorithm(provider: DevProvider) -> None:
    ed25519 = OKPKey.generate_key("Ed25519", {"kid": "key-E"}).as_dict(private=True)
    before = Visitor(site(provider, "", PARJAR_SIGNING_KEY=ed25519), provider)
    before.log_in()
    both = {"keys": [KEYS["A"], ed25519]}
    after = copy_of(before, site(provider, "", PARJAR_SIGNING_KEY=both))
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    assert signed_by(provider)[-1] == (TOKEN, "E")


def test_a_former_key_whose_algorithm_the_provider_takes_no_more(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    ed25519 = OKPKey.generate_key("Ed25519", {"kid": "key-E"}).as_dict(private=True)
    before = Visitor(site(provider, "", PARJAR_SIGNING_KEY=ed25519), provider)
    before.log_in()
    provider.metadata["token_endpoint_auth_signing_alg_values_supported"] = ["ES256"]
    both = {"keys": [KEYS["A"], ed25519]}
    after = copy_of(before, site(provider, "", PARJAR_SIGNING_KEY=both))
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    assert signed_by(provider)[-1] == (TOKEN, "A")
    assert GONE in caplog.text


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_jwt"])
def test_a_site_that_has_a_secret_now(
    provider: DevProvider, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = Visitor(site(provider, "AB"), provider)
    before.log_in()
    config = {
        "PARJAR_CLIENT_SECRET": "a secret of 32 characters or more",
        "PARJAR_CLIENT_AUTH": auth,
    }
    after = copy_of(before, site(provider, "BA", **config))
    age(after, left=-1)
    assert after.get("/token").status_code == 200
    assert GONE not in caplog.text
    new = Visitor(after.app, provider)
    assert new.log_in().location == "/"
    new.leave()
    with new.client.session_transaction() as stored:
        assert [len(entry) for entry in stored["_parjar_logins"]] == [5]


def test_with_one_key_the_session_cookie_has_nothing_of_it(provider: DevProvider) -> None:
    entries = {}
    for keys in ("A", "Ab", "AB"):
        visitor = Visitor(site(provider, keys), provider)
        visitor.leave()
        with visitor.client.session_transaction() as stored:
            (entries[keys],) = stored["_parjar_logins"]
    assert {keys: len(entry) for keys, entry in entries.items()} == {"A": 5, "Ab": 5, "AB": 6}
    assert [(name, len(mark)) for name, mark in entries["AB"][5].items()] == [("key", 8)]


@pytest.mark.parametrize("certified", [True, False])
def test_a_former_key_is_named_by_its_certificate_too(
    provider: DevProvider, certified: bool
) -> None:
    first, second = with_certificate("key-A"), with_certificate("key-B")
    headers = ["kid", "x5t#S256"]
    config: dict[str, Any] = {"PARJAR_KEY_HEADERS": headers} if certified else {}
    if not certified:
        del first["x5c"]
    before = Visitor(site(provider, "", PARJAR_SIGNING_KEY={"keys": [first]}, **config), provider)
    before.log_in()
    both = {"keys": [second, first]}
    after = copy_of(before, site(provider, "", PARJAR_SIGNING_KEY=both, PARJAR_KEY_HEADERS=headers))
    age(after, left=-1)
    after.get("/token")
    forms = [call.form for call in provider.calls if "client_assertion" in call.form]
    asserted = [header_of(form["client_assertion"]) for form in forms]
    names = {"alg", "typ", "kid"} | ({"x5t#S256"} if certified else set())
    assert [set(header) for header in asserted] == [names] * 3
    assert {header["kid"] for header in asserted} == {"key-A"}
    assert len({header.get("x5t#S256") for header in asserted}) == 1


def with_certificate(kid: str) -> dict[str, Any]:
    pem, der = make_key_and_certificate()
    jwk = ECKey.import_key(pem).as_dict(private=True)
    return {**jwk, "kid": kid, "x5c": [base64.b64encode(der).decode()]}
