"""Published weaknesses of other libraries, and defects seen in them: each is tried here.

One test for each, through the front door, with the advisory it comes from. The first part are
classes of weakness with their CVE or GHSA numbers, the second what was found by running the peers.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.test import TestResponse

from flask_parjar import ConfigError, ParJar, current_user
from flask_parjar.testing import DevProvider, Person
from tests.hostile_front import drip_a_byte_a_second, hostile_front, instead, reset, site_behind
from tests.site import ISSUER, SCOPES, Visitor, make_site, query

FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def endpoints(provider: DevProvider) -> list[str]:
    return [call.endpoint for call in provider.calls]


def code_of(page: TestResponse) -> str | None:
    found = re.search(r"Code: <code>(\w+)</code>", page.text)
    return found[1] if found else None


def who(visitor: Visitor) -> str | None:
    """The subject that is logged in, or None."""
    answer = visitor.get("/me")
    return answer.json["sub"] if answer.status_code == 200 else None


def parts(jwt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in jwt.split(".")[:2]
    )
    return header, claims


def forms(provider: DevProvider, endpoint: str) -> list[Any]:
    return [call.form for call in provider.calls if call.endpoint == endpoint]


def refused(visitor: Visitor, fault: str, login_url: str = "/login") -> str | None:
    """Log in at a provider with this fault: the code of the error, nobody being logged in."""
    with visitor.provider.fault(fault):
        page = visitor.log_in(login_url)
    assert page.status_code == 502 and who(visitor) is None
    return code_of(page)


# Published weaknesses.


def test_state_nonce_and_verifier_belong_to_the_browser_that_began(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2025-68158, CVE-2026-41425: a state in a cache, and not bound to the browser's session.

    What began in one browser ends in no other; and within one browser no login lends another one
    its nonce or its verifier.
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
    assert refused(visitor, "id_token_nonce_wrong") == "token_nonce"
    assert refused(visitor, "id_token_nonce_missing") == "token_nonce"


def test_a_login_under_way_never_passes_for_a_session(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2023-48309 (NextAuth: a state cookie was taken as a session token)."""
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
    slip = serializer.dumps(["id", "default", "/me", True])
    page = visitor.client.get("/callback", query_string={"state": slip, "code": "x"})
    assert code_of(page) == "state_forged" and provider.calls == []


@pytest.mark.parametrize(
    "fault, code",
    [
        ("id_token_alg_none", "token_algorithm"),  # CVE-2026-28802
        ("id_token_alg_none_disguised", "token_algorithm"),
        ("id_token_hs256_with_public_key", "token_algorithm"),  # CVE-2024-37568
        ("id_token_header_jwk", "token_header"),  # CVE-2026-27962
        ("id_token_header_jku", "token_header"),
        ("id_token_header_x5u", "token_header"),
        ("id_token_header_crit", "token_header"),  # CVE-2025-59420
    ],
)
def test_a_token_does_not_choose_how_it_is_verified(
    visitor: Visitor, fault: str, code: str
) -> None:
    """CVE-2026-28802 (``none``), CVE-2024-37568 (HMAC with a public key), CVE-2026-27962 (a key
    from the token's own header), CVE-2025-59420 (an unknown ``crit``)."""
    assert refused(visitor, fault) == code


@pytest.mark.parametrize("fault", ["id_token_at_hash_wrong", "id_token_at_hash_not_a_string"])
def test_a_hash_that_cannot_be_checked_does_not_pass(visitor: Visitor, fault: str) -> None:
    """CVE-2026-28498: at_hash and its kin failed open."""
    assert refused(visitor, fault) == "token_hash"


def test_sizes_are_bounded_before_anything_is_decoded(
    visitor: Visitor, provider: DevProvider
) -> None:
    """CVE-2025-61920 (oversized segments of a token), CVE-2024-24814 (a cookie that says how many
    chunks it has), CVE-2023-28625 (a crash on a request of a stranger)."""
    for fault in ("id_token_oversized", "id_token_header_oversized", "id_token_claims_deep"):
        began = time.monotonic()
        assert refused(visitor, fault) == "token_malformed"
        assert time.monotonic() - began < 1
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
    """CVE-2021-41246, GHSA-f24x-5g9q-753f: session fixation, and what was anonymous or another
    person's carried over into a user's session."""

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
    assert visitor.post(f"/logout?{encoded}", headers=FROM_HERE).location == "/"
    assert visitor.post("/logout", data={"next": target}, headers=FROM_HERE).location == "/"


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
    """No number: the mix-up attack (RFC 9207), and its sibling between the tenants of one provider.

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
    assert refused(visitor, "id_token_iss_foreign", "/login/a") == "token_issuer"


def test_nothing_of_a_request_lies_on_shared_objects() -> None:
    """CVE-2026-40155: what belongs to one request, kept on an object that all requests share."""
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

    in_threads([lambda n=n: work(n) for n in range(16)])  # type: ignore[misc]
    assert wrong == []


def in_threads(jobs: list[Callable[[], None]]) -> None:
    failed: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as exc:  # told in the test's own thread
            failed.append(exc)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_proxy_headers_are_not_trusted(visitor: Visitor, provider: DevProvider) -> None:
    """CVE-2026-40575, CVE-2025-64484: a header that any client can send, taken for a proxy's."""
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
    claims = parts(forms(provider, "pushed_authorization_request")[-1]["request"])[1]
    assert claims["redirect_uri"] == "http://localhost/callback"
    visitor.log_in()
    assert visitor.get("/me", headers=headers).json["sub"] == "ada"


def test_answers_are_not_kept_and_errors_are_text(visitor: Visitor, provider: DevProvider) -> None:
    """CVE-2025-48947 and CVE-2023-30861 (a cache that hands out somebody's cookie), CVE-2021-32702
    (script in the error's description)."""
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
    """No number: a flood of tokens, or an outage, must not become a flood of fetches."""
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
    """No number: a logout token passes for no ID token, and is taken at one place alone, where it
    is proved and the site can act on it; and another site's page logs nobody out."""
    assert refused(visitor, "id_token_typ_logout_token") == "token_kind"
    assert refused(visitor, "id_token_is_logout_token") == "token_nonce"
    visitor.log_in()
    provider.calls.clear()
    for path in ("/logout", "/backchannel-logout", "/callback", "/logout/backchannel"):
        answer = visitor.post(
            path, data={"logout_token": "e30.e30.e30"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code in (403, 404, 405) or path == "/backchannel-logout"
        assert answer.status_code != 400 or answer.json["code"] == "notices_unsupported"
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert visitor.get("/logout", headers=image).location is None
    assert who(visitor) == "ada" and provider.calls == []


def test_the_account_is_issuer_and_subject_and_nothing_else() -> None:
    """CVE-2025-65431: an account found by a claim that its owner can change."""
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
    """CVE-2022-31690: an answer without a scope became more than was asked."""
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
    """CVE-2022-31093: a malformed return URL hung the request."""
    with caplog.at_level(logging.DEBUG):
        back = visitor.come_back(visitor.leave("/login?next=/me"))
        visitor.get(back)
    answer, token = query(back), forms(provider, "token")[0]
    for secret in (answer["code"][0], answer["state"][0], token["code_verifier"]):
        assert secret not in caplog.text
    assert token["client_assertion"] not in caplog.text
    began = time.monotonic()
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
    assert time.monotonic() - began < 5


# Defects that were seen in peers by running them.


def test_defect_1_issuer_and_audience(visitor: Visitor) -> None:
    """requests_oauth2client: an ID token with a foreign iss, or no aud, was accepted; ``?issuer=``
    in the callback's URL became the issuer that was expected."""
    assert refused(visitor, "id_token_iss_foreign") == "token_issuer"
    assert refused(visitor, "id_token_aud_missing") == "token_audience"
    other = "https://other-provider.example"
    with visitor.provider.fault("id_token_iss_foreign"):
        back = visitor.come_back(visitor.leave())
        page = visitor.get(f"{back}&issuer={other}")
    assert code_of(page) == "token_issuer" and who(visitor) is None


def test_defect_2_audience_before_authorized_party_and_the_age_of_a_login(
    provider: DevProvider,
) -> None:
    """Authlib with default options: aud of somebody else passed when azp was us; max_age only asked
    whether auth_time was there."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/fresh")(lambda: parjar.login(max_age=60))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert refused(visitor, "id_token_aud_foreign_azp_ours") == "token_audience"
    assert refused(visitor, "id_token_auth_time_old", "/fresh") == "token_auth_time"
    assert refused(visitor, "id_token_auth_time_missing", "/fresh") == "token_auth_time"
    assert visitor.log_in("/fresh").status_code == 302


def test_defect_3_pushes_and_request_objects(visitor: Visitor, provider: DevProvider) -> None:
    """idpyoidc: 201 was a failure, iss was empty, aud and exp were missing, a mistyped JWE
    algorithm dropped the encryption; requests_oauth2client: ``typ: JWT``, no iss, aud, jti;
    mod_auth_openidc: ``alg: none`` unless configured."""
    visitor.leave()
    header, claims = parts(forms(provider, "pushed_authorization_request")[0]["request"])
    assert (header["typ"], header["alg"]) == ("oauth-authz-req+jwt", "ES256")
    assert (claims["iss"], claims["aud"]) == ("flask-parjar", ISSUER)
    assert 0 < claims["exp"] - claims["iat"] <= 60 and len(claims["jti"]) >= 32
    with provider.fault("par_200"):
        assert visitor.get("/login").status_code == 302
    for value in ("RSA-OAEP-256", "RSA-OEAP-265"):
        with pytest.raises(ConfigError, match="REQUEST_ENCRYPTION_ALG"):
            make_site(provider, PARJAR_REQUEST_ENCRYPTION_ALG=value)
    with pytest.raises(ConfigError, match="PARJAR_SIGNING_ALG"):
        make_site(provider, PARJAR_SIGNING_ALG="none")


def test_defect_4_two_logins_at_once() -> None:
    """auth0-server-python: the user of one tenant was sent to the other; flask-dance: challenge and
    verifier of different users on one shared blueprint.

    The provider checks each verifier against its challenge, so that a crossed pair is a refusal.
    """
    app, tenants = two_tenants()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    visitors = [Visitor(app, tenants[n % 2]) for n in range(12)]
    aways: list[tuple[int, str]] = []
    in_threads(
        [
            lambda n=n, visitor=visitor: aways.append(  # type: ignore[misc]
                (n, visitor.leave(f"/login/{'ab'[n % 2]}"))
            )
            for n, visitor in enumerate(visitors)
        ]
    )
    assert len(aways) == 12
    for n, away in aways:
        assert away.startswith(f"{tenants[n % 2].issuer}/")
        assert visitors[n].get(visitors[n].come_back(away)).status_code == 302
    for tenant in tenants:
        verifiers = [form["code_verifier"] for form in forms(tenant, "token")]
        assert len(set(verifiers)) == 6


def test_defect_5_the_logout_leads_to_no_other_site(visitor: Visitor) -> None:
    """flask-oidc: ``/logout?next=//evil.example``."""
    assert visitor.get("/logout?next=//evil.example", headers=FROM_HERE).location == "/"
    visitor.log_in()
    away = visitor.get("/logout?next=//evil.example", headers=FROM_HERE).location
    assert away.startswith(f"{ISSUER}/") and "evil" not in away


def test_defect_6_what_authlib_leaves_to_the_app(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Authlib's Flask client: iss of the response ignored; five logins with an unknown kid made
    five fetches; documents never expired; a connection for each call; the verifier in the DEBUG
    log; userinfo of another subject taken; a form_post error was a 500; forty abandoned logins made
    a cookie of 3.4 kB."""
    with caplog.at_level(logging.DEBUG), hostile_front() as front:
        visitor = Visitor(site_behind(front, PARJAR_USERINFO=True), front.provider)
        visitor.log_in()
        assert front.connections == 1
        assert forms(front.provider, "token")[0]["code_verifier"] not in caplog.text
        visitor.client.delete_cookie("session")
        front.arrived.clear()
        for _ in range(5):
            assert refused(visitor, "id_token_kid_unknown") == "token_key"
        assert front.arrived.count("jwks") == 1
        assert refused(visitor, "userinfo_sub_foreign") == "userinfo_subject"
        front.spoil("token", instead("200 OK", b"[]"))
        back = visitor.come_back(visitor.leave())
        foreign = {name: values[0] for name, values in query(back).items()}
        foreign["iss"] = "https://evil.example"
        assert code_of(visitor.get(f"/callback?{urlencode(foreign)}")) == "issuer_mismatch"
        client = visitor.app.extensions["parjar"].providers["default"]
        front.arrived.clear()
        client.metadata(int(time.time()) + 601)
        assert front.arrived == ["discovery"]
    poster = Visitor(make_site(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    form = query(poster.come_back(poster.leave(), approve=False))
    page = poster.post("/callback", data=form, headers=FROM_HERE)
    assert (page.status_code, code_of(page)) == (403, "access_denied")
    for _ in range(40):
        away = poster.get("/login?next=/me")
    assert len(away.headers["Set-Cookie"]) < 800


def test_defect_7_basic_credentials_are_form_encoded(provider: DevProvider) -> None:
    """Authlib: an id with a colon was ambiguous (RFC 6749 section 2.3.1)."""
    app = make_site(
        provider,
        PARJAR_CLIENT_ID="https://client.example:8443/a b",
        PARJAR_CLIENT_SECRET="se:cr+t/%é ü",
        PARJAR_CLIENT_AUTH="client_secret_basic",
    )
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    sent = next(c.headers["Authorization"] for c in provider.calls if c.endpoint == "token")
    pair = base64.b64decode(sent.removeprefix("Basic ")).decode("ascii")
    assert pair.count(":") == 1 and pair.startswith("https%3A%2F%2Fclient.example%3A8443%2Fa+b:")


def test_defect_8_a_rotation_costs_no_login(visitor: Visitor, provider: DevProvider) -> None:
    """auth0-server-python: an unknown kid failed for ten minutes after a rotation, and there was no
    nonce at all; mozilla-django-oidc: aud and iss were not checked."""
    visitor.log_in()
    visitor.client.delete_cookie("session")
    provider.rotate_keys()
    assert visitor.log_in("/login?next=/me").location == "/me"
    visitor.client.delete_cookie("session")
    for form in forms(provider, "pushed_authorization_request"):
        assert len(parts(form["request"])[1]["nonce"]) >= 43
    assert refused(visitor, "id_token_nonce_missing") == "token_nonce"
    assert refused(visitor, "id_token_aud_foreign") == "token_audience"
    assert refused(visitor, "id_token_iss_slash") == "token_issuer"


def test_defect_9_what_is_over_is_gone_and_what_is_said_is_done(provider: DevProvider) -> None:
    """express-openid-connect: old cookie chunks were never cleared; Flask-Multipass: the documented
    time-out was not the coded one; flask-pyoidc: one destination per session."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/whoami")
        def whoami() -> str:
            return current_user.subject or "nobody"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    tabs = [visitor.leave(f"/login?next=/tab{n}") for n in range(2)]
    assert [visitor.get(visitor.come_back(tab)).location for tab in tabs] == ["/tab0", "/tab1"]
    visitor.post("/logout", headers=FROM_HERE)
    assert visitor.get("/whoami").text == "nobody"
    assert visitor.client.get_cookie("session") is None
    with hostile_front() as front:
        front.spoil("pushed_authorization_request", drip_a_byte_a_second)
        slow = Visitor(site_behind(front, PARJAR_HTTP_TIMEOUT=1.5), front.provider)
        began = time.monotonic()
        assert code_of(slow.get("/login")) == "provider_timeout"
        assert 1.4 < time.monotonic() - began < 2.5
