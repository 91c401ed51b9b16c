"""Published weaknesses of other libraries: each is tried here.

One test for each, as a browser does, with the CVE or GHSA number it comes from.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface

from flask_parjar import ParJar
from flask_parjar.testing import DevProvider, Person
from tests.support.faults import ENCRYPTED
from tests.support.headers import FROM_HERE
from tests.support.hostile_front import hostile_front, reset, site_behind
from tests.support.jwt import read_jwt
from tests.support.pages import code_of, is_logged_out_page
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, query
from tests.support.threads import at_once


def who(visitor: Visitor) -> str | None:
    """The subject that is logged in, or None."""
    answer = visitor.get("/me")
    return answer.json["sub"] if answer.status_code == 200 else None


def forms(provider: DevProvider, endpoint: str) -> list[Any]:
    return [call.form for call in provider.calls if call.endpoint == endpoint]


def refused_login(visitor: Visitor, fault: str, login_url: str = "/login") -> str | None:
    """Log in at a provider with this fault: the code of the error, no one being logged in."""
    with visitor.provider.fault(fault):
        page = visitor.log_in(login_url)
    assert page.status_code == 502 and who(visitor) is None
    return code_of(page)


def test_state_nonce_and_verifier_belong_to_the_browser_that_began(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2025-68158, CVE-2026-41425: the state was in a cache, and not bound to a session.

    A login that began in one browser cannot be completed in another one. Within one browser, no
    login uses the nonce or the verifier of another one.
    """
    theirs = visitor.come_back(visitor.leave("/login?next=/me"))
    other = Visitor(site, provider)
    mine = other.come_back(other.leave("/login?next=/me"))
    provider.calls.clear()
    assert other.get(theirs).location.startswith(f"{ISSUER}/")
    assert forms(provider, "token") == [] and who(other) is None
    crossed = query(mine) | {"code": query(theirs)["code"]}
    page = other.get(f"/callback?{urlencode(crossed, doseq=True)}")
    assert code_of(page) == "code_refused"  # the verifier is that of another login
    assert who(other) is None
    assert refused_login(visitor, "id_token_nonce_wrong") == "token_nonce"
    assert refused_login(visitor, "id_token_nonce_missing") == "token_nonce"


def test_a_login_under_way_is_never_accepted_as_a_session(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2023-48309 (NextAuth: a state cookie was accepted as a session token)."""
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    state = query(back)["state"][0]
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None
    for value in (state, state.rpartition(".")[0], str(cookie.value)):
        somebody = Visitor(site, provider)
        somebody.client.set_cookie("session", value)
        assert who(somebody) is None
    provider.calls.clear()
    page = visitor.client.get("/callback", query_string={"state": cookie.value, "code": "x"})
    assert code_of(page) == "state_forged"
    serializer = SecureCookieSessionInterface().get_signing_serializer(site)
    assert serializer is not None
    forged = serializer.dumps(["id", "default", "/me", True])
    page = visitor.client.get("/callback", query_string={"state": forged, "code": "x"})
    assert code_of(page) == "state_forged" and provider.calls == []


@pytest.mark.parametrize(
    "fault, code",
    [
        ("id_token_alg_none", "token_algorithm"),  # CVE-2026-28802
        ("id_token_alg_none_disguised", "token_algorithm"),
        ("id_token_hs256_with_public_key", "token_algorithm"),  # CVE-2024-37568
        ("id_token_header_jwk", "token_signature"),  # CVE-2026-27962
        ("id_token_header_jku", "token_signature"),
        ("id_token_header_x5u", "token_signature"),
        ("id_token_header_crit", "token_header"),  # CVE-2025-59420
    ],
)
def test_a_token_does_not_choose_how_it_is_verified(
    visitor: Visitor, fault: str, code: str
) -> None:
    """CVE-2026-28802 (``none``), CVE-2024-37568 (HMAC with a public key), CVE-2026-27962 (a key
    from the token's own header), CVE-2025-59420 (an unknown ``crit``)."""
    assert refused_login(visitor, fault) == code


@pytest.mark.parametrize("fault", ["id_token_at_hash_wrong", "id_token_at_hash_not_a_string"])
def test_a_hash_that_cannot_be_checked_does_not_pass(visitor: Visitor, fault: str) -> None:
    """CVE-2026-28498: at_hash and similar claims were accepted if they could not be checked."""
    assert refused_login(visitor, fault) == "token_hash"


def test_sizes_are_bounded_before_anything_is_decoded(
    visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2025-61920 (oversized segments of a token), CVE-2024-24814 (a cookie that says how many
    chunks it has), CVE-2023-28625 (a crash caused by a request)."""
    for fault in ("id_token_oversized", "id_token_header_oversized", "id_token_claims_deep"):
        began = time.process_time()
        assert refused_login(visitor, fault) == "token_malformed"
        assert time.process_time() - began < 1
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    provider.calls.clear()
    for spoilt, code in (
        (f"{back}&code=again", "response_duplicate"),
        (f"{back}&x={'x' * 9000}", "response_malformed"),
        (f"/callback?state={'.eJ' + 'A' * 4000}", "state_forged"),
    ):
        assert code_of(visitor.get(spoilt)) == code
    chunks = "; ".join(f"session_{n}=x; session{n}=x" for n in range(200))
    header = {"Cookie": f"session_chunks=99999999; {chunks}"}
    assert visitor.app.test_client(use_cookies=False).get("/me", headers=header).status_code == 302
    assert provider.calls == []
    assert visitor.get(back).location == "/me"


def test_a_login_begins_a_new_session(provider: DevProvider) -> None:
    """CVE-2021-41246, GHSA-f24x-5g9q-753f: session fixation, and content of an anonymous
    session or of another person's session in a user's session."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/remember/<thing>")
        def remember(thing: str) -> str:
            session["thing"] = thing
            return thing

        @app.get("/thing")
        def thing() -> str:
            return str(session.get("thing"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.get("/remember/planted")
    planted = visitor.client.get_cookie("session")
    assert planted is not None
    for person in ("ada", "grace"):
        visitor.log_in(person=person)
        assert (who(visitor), visitor.get("/thing").text) == (person, "None")
        visitor.get(f"/remember/{person}")
    attacker = Visitor(visitor.app, provider)
    attacker.client.set_cookie("session", planted.value)
    assert who(attacker) is None


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/%2f/evil.example",
        "/%5cevil.example",
        "/.//evil.example",
        "https://evil.example",
        "https:evil.example",
        "//site@evil.example",
        "javascript:alert(1)",
        "\r\nLocation: //evil.example",
        "https://localhost.evil.example",
    ],
)
def test_nothing_leads_to_another_site(visitor: Visitor, target: str) -> None:
    """CVE-2022-23527, GHSA-7p99-3798-f85c: return URLs that a browser reads as another host."""
    encoded = urlencode({"next": target})
    assert visitor.log_in(f"/login?{encoded}").location == "/"
    visitor.client.delete_cookie("session")
    assert is_logged_out_page(visitor.post(f"/logout?{encoded}", headers=FROM_HERE))
    form = {"next": target}
    assert is_logged_out_page(visitor.post("/logout", data=form, headers=FROM_HERE))


def two_tenants() -> tuple[Flask, list[DevProvider]]:
    """A site with a login at each of two tenants, each an issuer of its own."""
    tenants = [DevProvider(f"https://tenant-{name}.example") for name in "ab"]
    sections = {
        name: {"issuer": tenant.issuer, "client_id": f"client-{name}"}
        for name, tenant in zip("ab", tenants, strict=True)
    }
    app = make_site(tenants[0], connect=False, PARJAR_PROVIDERS=sections)
    for tenant in tenants:
        tenant.connect(app)
    return app, tenants


def test_mix_up_of_issuers_and_tenants() -> None:
    """No number: the mix-up attack (RFC 9207), also between the tenants of one provider.

    A transaction is bound to one issuer, in the callback's path, in ``iss``, and in the ID token.
    """
    app, (first, second) = two_tenants()
    visitor = Visitor(app, first)
    back = visitor.come_back(visitor.leave("/login/a?next=/me"))
    parameters = {name: values[0] for name, values in query(back).items()}
    for tenant in (first, second):
        tenant.calls.clear()
    elsewhere = visitor.get(back.replace("/callback/a", "/callback/b"))
    assert code_of(elsewhere) == "state_mismatch"
    pretended = visitor.get(f"/callback/a?{urlencode(parameters | {'iss': second.issuer})}")
    assert code_of(pretended) == "issuer_mismatch"
    assert first.calls == [] and second.calls == []
    assert who(visitor) is None
    assert refused_login(visitor, "id_token_iss_foreign", "/login/a") == "token_issuer"


def test_shared_objects_have_no_data_of_a_request() -> None:
    """CVE-2026-40155: data of one request was stored in an object that all requests share."""
    app, tenants = two_tenants()
    wrong: list[Any] = []

    def work(turn: int) -> None:
        name, tenant = "ab"[turn % 2], tenants[turn % 2]
        person = ("ada", "grace")[turn // 2 % 2]
        visitor = Visitor(app, tenant)
        away = visitor.leave(f"/login/{name}?next=/{turn}")
        landed = visitor.get(visitor.come_back(away, person)).location
        me = visitor.get("/me").json
        found = (away.startswith(f"{tenant.issuer}/"), landed, me["sub"], me["iss"])
        if found != (True, f"/{turn}", person, tenant.issuer):
            wrong.append(found)

    at_once([partial(work, turn) for turn in range(16)])
    assert wrong == []


def test_proxy_headers_are_not_trusted(visitor: Visitor, provider: DevProvider) -> None:
    """CVE-2026-40575, CVE-2025-64484: a header of any client was trusted as a proxy's header."""
    headers = {
        "X-Forwarded-Uri": "/",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X_Forwarded_User": "grace",
        "X-Forwarded-User": "grace",
        "X-Forwarded-Email": "grace@people.example",
        "X-Auth-Request-User": "grace",
    }
    assert visitor.get("/me", headers=headers).location == "/login?next=/me"
    visitor.get("/login", headers=headers)
    claims = read_jwt(forms(provider, "pushed_authorization_request")[-1]["request"])[1]
    assert claims["redirect_uri"] == "http://localhost/callback"
    visitor.log_in()
    assert visitor.get("/me", headers=headers).json["sub"] == "ada"


def test_answers_are_not_kept_and_errors_are_text(visitor: Visitor, provider: DevProvider) -> None:
    """CVE-2025-48947 and CVE-2023-30861 (a cache that returns another user's cookie),
    CVE-2021-32702 (script in the error's description)."""
    away = visitor.get("/login?next=/me")
    with provider.fault("response_error_markup"):
        page = visitor.get(visitor.come_back(away.location))
    assert "&lt;script&gt;" in page.text and "<script" not in page.text and "<img" not in page.text
    landed = visitor.log_in("/login?next=/me")
    for response in (away, page, landed, visitor.get("/logout")):
        assert response.headers["Cache-Control"] == "no-store"
        assert "Cookie" in response.headers["Vary"]
    me = visitor.get("/me")
    assert "no-store" in me.headers["Cache-Control"] and "Cookie" in me.headers["Vary"]


def test_fetches_of_keys_are_limited_when_the_provider_is_down() -> None:
    """No number: many tokens, or an outage, must not cause many requests for keys."""
    with hostile_front() as front:
        app = site_behind(front)
        visitors = [Visitor(app, front.provider) for _ in range(10)]
        backs = [visitor.come_back(visitor.leave()) for visitor in visitors]
        front.spoil("jwks", reset)
        for visitor, back in zip(visitors, backs, strict=True):
            page = visitor.get(back)
            assert (page.status_code, code_of(page)) == (503, "provider_unreachable")
            assert who(visitor) is None
        assert front.arrived.count("token") == 10
        assert front.arrived.count("jwks") <= 2


def test_a_logout_token_is_no_id_token_and_a_cross_site_logout_is_harmless(
    visitor: Visitor, provider: DevProvider
) -> None:
    """No number: a logout token is not accepted as an ID token, and only where it is verified and
    the site can act on it; a page of another site cannot log a user out."""
    assert refused_login(visitor, "id_token_typ_logout_token") == "token_kind"
    assert refused_login(visitor, "id_token_is_logout_token") == "token_nonce"
    visitor.log_in()
    provider.calls.clear()
    for path in ("/logout", "/backchannel-logout", "/callback", "/logout/backchannel"):
        answer = visitor.post(
            path, data={"logout_token": "e30.e30.e30"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code in (403, 404, 405) or path == "/backchannel-logout"
        assert answer.status_code != 400 or answer.json["code"] == "logout_tokens_unsupported"
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert visitor.get("/logout", headers=image).location is None
    assert who(visitor) == "ada" and provider.calls == []


def test_the_account_is_issuer_and_subject_and_nothing_else() -> None:
    """CVE-2025-65431: an account was found by a claim that the user can change."""
    app, (first, second) = two_tenants()
    same = {"email": "ada@people.example", "preferred_username": "ada", "email_verified": True}
    second.people["mallory"] = Person("mallory", {"sub": "666", **same})
    second.people["ada"] = Person("ada", same)
    accounts: set[tuple[str, str]] = set()
    for tenant, name, person in (
        (first, "a", "ada"),
        (second, "b", "mallory"),
        (second, "b", "ada"),
    ):
        visitor = Visitor(app, tenant)
        assert (
            visitor.get(visitor.come_back(visitor.leave(f"/login/{name}"), person)).location == "/"
        )
        me = visitor.get("/me").json
        assert me["email"] == "ada@people.example"
        accounts.add((me["iss"], me["sub"]))
    assert accounts == {(first.issuer, "ada"), (second.issuer, "666"), (second.issuer, "ada")}
    changed = Visitor(app, first)
    changed.client = visitor.client  # the same browser: another issuer's "ada" is another person
    with changed.client.session_transaction() as stored:
        stored["mine"] = True
    changed.get(changed.come_back(changed.leave("/login/a")))
    with changed.client.session_transaction() as stored:
        assert "mine" not in stored


def test_a_scope_that_is_not_mentioned_is_the_one_asked_for(
    visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2022-31690: an answer without a scope granted more than was requested."""
    with provider.fault("token_scope_missing"):
        visitor.log_in()
    assert visitor.get("/me").json["scopes"] == sorted(SCOPES.split())
    narrower = Visitor(make_site(provider, PARJAR_SCOPES="openid"), provider)
    with provider.fault("token_scope_missing"):
        narrower.log_in()
    assert narrower.get("/me").json["scopes"] == ["openid"]
    assert narrower.get("/reports").status_code == 403
    fewer = Visitor(visitor.app, provider)
    provider.connect(visitor.app)
    with provider.fault("token_scope_narrower"):
        fewer.log_in()
    assert set(fewer.get("/me").json["scopes"]) < set(SCOPES.split())


def test_no_secret_in_a_log_and_no_value_that_hangs(
    visitor: Visitor, provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """CVE-2022-31093: a malformed return URL made the request hang."""
    with caplog.at_level(logging.DEBUG):
        back = visitor.come_back(visitor.leave("/login?next=/me"))
        visitor.get(back)
    answer, token = query(back), forms(provider, "token")[0]
    for secret in (answer["code"][0], answer["state"][0], token["code_verifier"]):
        assert secret not in caplog.text
    assert token["client_assertion"] not in caplog.text
    began = time.process_time()
    for bad in (
        "http:",
        "%",
        "/" * 20_000,
        "/%" * 10_000,
        "\x00" * 1000,
        "a" * 100_000,
        "[" * 5000,
    ):
        assert visitor.log_in(f"/login?{urlencode({'next': bad})}").location == "/"
        broken = visitor.get(f"/callback?{urlencode({'state': bad})}")
        assert broken.status_code == 400
        malformed = visitor.app.test_client(use_cookies=False)
        assert (
            malformed.get("/me", headers={"Cookie": f"session={bad.encode()!r}"}).status_code == 302
        )
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("jwe_pbes2", "token_encryption"),
        ("jwe_zip", "token_encryption"),
        ("jwe_rsa1_5", "token_encryption"),
        ("jwe_oversized", "token_malformed"),
        ("jwe_point_off_the_curve", "token_decryption"),
        ("jwe_unsigned", "token_malformed"),
    ],
)
def test_an_encrypted_token_does_not_choose_how_it_is_decrypted(
    provider: DevProvider, fault: str, code: str
) -> None:
    """CVE-2023-6681 (jwcrypto: PBES2 with as many rounds as the sender wants), CVE-2024-28102 and
    CVE-2024-33664 (jwcrypto, python-jose: a small token with a huge content), CVE-2017-16007
    (node-jose: points that are not on the curve gave the key away).
    """
    visitor = Visitor(make_site(provider, **ENCRYPTED), provider)
    assert refused_login(visitor, fault) == code
