"""Each secret of a login with DPoP and encryption, and each place where none of them may be."""

from __future__ import annotations

import base64
import gc
import json
import logging
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, import_key

from flask_parjar import ParJar, signals
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.transaction import derive, mix
from flask_parjar.testing import DevProvider
from flask_parjar.testing.faults import FAULTS, REFRESH_FAULTS
from flask_parjar.testing.serving import WSGIAdapter
from flask_parjar.web import tokens
from flask_parjar.web.session import current_entry
from flask_parjar.web.transactions import PendingLogin
from tests.support import after_login
from tests.support.after_login import age, all_of, store_address, token_site, token_views
from tests.support.headers import FROM_HERE, NAVIGATION
from tests.support.jwt import read_jwt
from tests.support.redis_process import RedisProcess
from tests.support.secret_scan import secrets_in
from tests.support.site import ISSUER, Visitor

SECRET_KEY = "a-key-of-the-app-that-signs-and-seals"
CLIENT_SECRET = "the-client-secret-of-these-tests-here"
ALG = "ECDH-ES+A256KW"
DECRYPTION_KEY = ECKey.generate_key("P-256", {"kid": "enc"})
EVERYTHING = {
    "SECRET_KEY": SECRET_KEY,
    "PARJAR_DPOP": True,
    "PARJAR_USERINFO": True,
    "PARJAR_CLIENT_SECRET": CLIENT_SECRET,
    "PARJAR_ENCRYPTION_KEY": DECRYPTION_KEY.as_dict(private=True),
    "PARJAR_ID_TOKEN_ENCRYPTION": f"{ALG} A256GCM",
    "PARJAR_USERINFO_ENCRYPTION": f"{ALG} A256GCM",
    "PARJAR_REQUEST_ENCRYPTION_ALG": ALG,
}
#: Types of the package that hold secrets; their ``repr`` must have been looked at.
HOLDERS = {
    *("Transaction", "AuthorizationRequest", "AuthorizationResponse"),
    *("Outbound", "TokenSet", "DPoP", "DPoPProof", "ProofKey", "ClientConfig", "TokenStore"),
}
SIGNALS = [each for each in vars(signals).values() if isinstance(each, signals.NamedSignal)]


@dataclass
class Scan:
    """The secrets of one visitor's logins, and the places that were looked at.

    :param places: texts by the name of the place.
    :param types: the names of the types whose ``repr`` is in ``reprs``.
    """

    visitor: Visitor
    provider: DevProvider
    answers: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    seeds: set[str] = field(default_factory=set)
    looks_at_reprs: bool = False

    def see(self, place: str, text: str) -> None:
        self.places.setdefault(place, []).append(text)

    def see_cookies(self, place: str) -> None:
        """Look at every cookie that the browser has of the site."""
        cookies = self.visitor.client._cookies or {}
        self.see(place, "\n".join(cookie.value for cookie in cookies.values()))

    def see_signal(self, sender: Any, **sent: Any) -> None:
        """Look at what a signal says, and at each of our objects that is alive meanwhile."""
        self.see("signals", repr(sent))
        for each in _new_objects() if self.looks_at_reprs else ():
            module = type(each).__module__
            if module.startswith("flask_parjar.") and "testing" not in module:
                self.types.add(type(each).__name__)
                self.see("reprs", repr(each))

    def keep_answer(self, response: Response) -> Response:
        """Keep what the provider's endpoints answer."""
        if request.path == "/token" and response.status_code == 200:
            self.answers.append(response.get_json(silent=True) or {})
        if request.path == "/userinfo":
            self.texts.append(response.get_data(as_text=True))
        return response

    def secrets(self) -> dict[str, str]:
        """Every secret, by its name."""
        client = self.visitor.app.extensions["parjar"].providers["default"].client
        found = {
            "SECRET_KEY": SECRET_KEY,
            "client secret": CLIENT_SECRET,
            "signing key": client.signing_keys[0]._key.as_dict(private=True)["d"],
            "decryption key": DECRYPTION_KEY.as_dict(private=True)["d"],
        }
        for number, seed in enumerate(sorted(self.seeds)):
            found |= {f"{name} {number}": value for name, value in _of_a_login(seed).items()}
        for number, call in enumerate(self.provider.calls):
            for name in ("request", "client_assertion", "code", "code_verifier", "token"):
                if call.form.get(name):
                    found[f"{call.endpoint} {name} {number}"] = call.form[name]
            if "DPoP" in call.headers:
                found[f"{call.endpoint} proof {number}"] = call.headers["DPoP"]
        given = [
            (name, answer[name])
            for answer in self.answers
            for name in ("access_token", "refresh_token", "id_token")
            if isinstance(answer.get(name), str)
        ]
        given += [("userinfo", text) for text in self.texts]
        for number, (name, text) in enumerate(given):
            if 20 < len(text) < 10_000:  # (faults make it shorter and longer)
                found[f"{name} {number}"] = text
            if text.count(".") == 4 and (inner := _decrypted(text)) is not None:
                found[f"decrypted {name} {number}"] = inner
        return found


def _new_objects() -> list[Any]:
    """What was made since the last full run of the garbage collector, and is alive."""
    return [each for young in (0, 1) for each in gc.get_objects(generation=young)]


def _of_a_login(seed: str) -> dict[str, str]:
    """What is derived from the seed of a login, and the seed."""
    secret = mix(seed, SECRET_KEY.encode())
    private = BeginDPoP(alg="ES256", at_par=True)(secret).to_text().partition(".")[2]
    made = {name: derive(secret, name) for name in ("nonce", "code_verifier")}
    return {"seed": seed, "secret of the transaction": secret, "DPoP key": private, **made}


def _decrypted(text: str) -> str | None:
    """The signed token inside an encrypted one; None if it cannot be decrypted."""
    try:
        opened = jwe.decrypt_compact(text, DECRYPTION_KEY, algorithms=[ALG, "A256GCM"])
    except (ValueError, JoseError):
        return None
    inner = (opened.plaintext or b"").decode("ascii", "replace")
    return inner if inner.count(".") == 2 else None


def views(app: Flask, parjar: ParJar) -> None:
    """A call of an API, and the key of the tokens as they are stored."""
    token_views(app, parjar)

    @app.get("/call")
    def call() -> str:
        api = parjar.api(ISSUER)
        api.mount(ISSUER, WSGIAdapter(app.config["API"]))
        return api.get("userinfo").text

    @app.get("/renew")
    def renew() -> str:
        return str(len(parjar.access_token()))

    @app.get("/key")
    def key() -> str:
        session = current_entry()
        assert session is not None
        stored = tokens._token_store(session).load()
        assert stored is not None
        return stored.binding.to_text().partition(".")[2]


@contextmanager
def scanning(
    provider: DevProvider,
    store: str,
    *,
    caplog: pytest.LogCaptureFixture,
    reprs: bool = False,
    **config: Any,
) -> Iterator[Scan]:
    """A visitor of a site that uses everything, and who looks at all that it writes.

    :param reprs: whether to look at the ``repr`` of objects too, which takes longer.
    """
    if reprs:
        gc.collect()
    given = {**EVERYTHING, "prepare": views, "API": provider.app, **config}
    visitor = Visitor(token_site(provider, store, **given), provider)
    scan = Scan(visitor=visitor, provider=provider, looks_at_reprs=reprs)
    provider.app.after_request(scan.keep_answer)
    provider.dpop_nonces = True
    caplog.handler.setLevel(logging.DEBUG)
    caplog.clear()
    with ExitStack() as connected, after_login.everything_logged():
        for signal in SIGNALS:
            connected.enter_context(signal.connected_to(scan.see_signal))
        yield scan
    write = logging.Formatter().format  # (with the traceback, where there is one)
    scan.see(
        "log",
        "\n".join(
            write(record)
            for record in caplog.records
            if record.name.startswith(("flask_parjar", "urllib3", "requests", "joserfc"))
        ),
    )


def begin(scan: Scan) -> str:
    """Log in as far as the provider: the URL that the browser comes back with."""
    back = scan.visitor.come_back(scan.visitor.leave())
    with scan.visitor.client.session_transaction() as session:
        waiting = PendingLogin.from_cookie(session["_parjar_logins"][0])
    assert waiting is not None
    scan.seeds.add(waiting.seed)
    scan.see("reprs", repr(waiting))
    return back


def open_page(scan: Scan, url: str) -> int:
    """Open a page that may be an error page, and look at it."""
    answer = scan.visitor.get(url, headers=NAVIGATION)
    scan.see("pages", f"{answer.headers}\n{answer.text}")
    return answer.status_code


def leaks(scan: Scan, secrets: dict[str, str]) -> set[tuple[str, str]]:
    """The places with a secret, and its name."""
    return {
        (place, name)
        for place, texts in scan.places.items()
        for name in secrets_in("\n".join({*texts}), secrets)
    }


@pytest.fixture(params=["cookie", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return str(store_address(request.param, redis_process))


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic"])
def test_no_secret_from_the_login_to_the_logout(
    provider: DevProvider,
    store: str,
    method: str,
    redis_process: RedisProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        redis_process.client() as redis,
        scanning(provider, store, caplog=caplog, reprs=True, PARJAR_CLIENT_AUTH=method) as scan,
    ):
        visitor = scan.visitor
        back = begin(scan)
        scan.see_cookies("cookies of a login under way")
        assert visitor.get(back).status_code == 302
        stored_key = visitor.get("/key").text
        for step in range(2):
            scan.see_cookies("cookies of a session")
            scan.see("Redis", json.dumps(all_of(redis)))
            assert json.loads(visitor.get("/me").text)["sub"] == "ada"
            assert len(visitor.get("/call").text) > 20
            age(visitor, left=-1)
            assert visitor.get("/token").status_code == 200, step
        assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
        assert not visitor.client._cookies
        scan.see("Redis", json.dumps(all_of(redis)))
    secrets = scan.secrets()
    assert scan.types >= HOLDERS
    expected = {"cookies of a login under way", "cookies of a session"}
    assert scan.places.keys() == {*expected, "Redis", "log", "signals", "reprs"}
    assert "token: HTTP 200" in scan.places["log"][0]
    kinds = {name.rstrip("0123456789 ") for name in secrets}
    assert {"DPoP key", "decrypted id_token", "decrypted userinfo", "token proof"} <= kinds
    # The seed can be read, and gives nothing without SECRET_KEY.
    assert leaks(scan, secrets) == {("cookies of a login under way", "seed 0")}
    # What is looked for is what was used.
    (private,) = {value for name, value in secrets.items() if name.startswith("DPoP key")}
    assert stored_key == private
    jwk = read_jwt(provider.calls[-1].headers["DPoP"])[0]["jwk"]
    assert import_key({**jwk, "d": private}).is_private


FAILING = [
    *sorted(name for name in FAULTS if name.startswith(("dpop_", "jwe_", "token_dpop_"))),
    *("par_error_invalid_client", "token_error_invalid_grant", "jwks_500"),
    *("id_token_bad_signature", "id_token_nonce_wrong", "userinfo_sub_foreign", "userinfo_401"),
]


@pytest.mark.parametrize("fault", FAILING)
def test_no_secret_when_a_login_fails(
    provider: DevProvider, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with scanning(provider, "cookie", caplog=caplog, DEBUG=True) as scan:
        back = begin(scan)
        with provider.fault(fault):
            status = open_page(scan, back)
            scan.see_cookies("cookies")
            open_page(scan, "/login")
    assert status in (302, 400, 401, 502, 503)
    secrets = {name: value for name, value in scan.secrets().items() if name != "seed 0"}
    assert leaks(scan, secrets) == set()


@pytest.mark.parametrize("fault", sorted(REFRESH_FAULTS))
def test_no_secret_when_a_renewal_or_a_logout_fails(
    provider: DevProvider, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with scanning(provider, "cookie", caplog=caplog, DEBUG=True, PARJAR_HTTP_TIMEOUT=1) as scan:
        assert scan.visitor.get(begin(scan)).status_code == 302
        age(scan.visitor, left=-1)
        with provider.fault(fault):
            open_page(scan, "/renew")
            scan.see_cookies("cookies")
            answer = scan.visitor.post("/logout", headers=FROM_HERE)
    # By design the browser brings the ID token to the provider, unless its session has ended.
    has_ended = fault == "refresh_session_expiry_past"
    assert has_ended or str(answer.location).startswith(f"{ISSUER}/end-session?")
    assert leaks(scan, scan.secrets()) == set()


def test_tokens_with_their_key_are_of_no_use_without_the_secret_key(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The cookies have both, sealed in one text."""
    with scanning(provider, "cookie", caplog=caplog) as scan:
        visitor = scan.visitor
        assert visitor.get(begin(scan)).status_code == 302
        names = {cookie.key for cookie in (visitor.client._cookies or {}).values()}
        assert "session_parjar_tokens_0" in names
        assert visitor.get("/key").text == _of_a_login(*scan.seeds)["DPoP key"]
        # Somebody who knows how the session cookie is signed still cannot open the tokens.
        serializer = SecureCookieSessionInterface().get_signing_serializer(visitor.app)
        assert serializer is not None
        cookie = visitor.client.get_cookie("session")
        assert cookie is not None
        known = serializer.loads(cookie.value)
        visitor.app.config["SECRET_KEY"] = "another-key-of-the-app-that-has-no-former"
        with visitor.client.session_transaction() as session:
            session.update(known)
        assert visitor.get("/token", headers=NAVIGATION).status_code == 302


@dataclass
class Held:
    private: bytes


def test_the_scan_finds_what_is_encoded() -> None:
    """That it finds nothing elsewhere says something then."""
    secret = base64.urlsafe_b64encode(bytes(range(120, 152))).decode().rstrip("=")
    octets = bytes(range(120, 152))
    text = json.dumps({"deep": [{"d": secret}]})
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode() * 3)).decode()
    app = Flask("site")
    app.secret_key = SECRET_KEY
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    hidden = [
        secret,
        f"…{secret[3:30]}…",
        octets.hex(),
        repr(Held(octets)),
        repr(int.from_bytes(octets, "big")),
        base64.b64encode(b"id:" + secret.encode()).decode(),
        base64.urlsafe_b64encode(b'{"key": "' + octets + b'"}').decode(),
        packed,
        base64.urlsafe_b64encode(f"x.{packed}.y".encode()).decode(),
        str(serializer.dumps({"key": secret, "more": "x" * 400})),
    ]
    for number, each in enumerate(hidden):
        assert secrets_in(each, {"it": secret}) == {"it"}, number
    assert secrets_in("".join(hidden).replace("A", "B")[:16], {"it": secret}) == set()
    other = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    assert secrets_in("\n".join(hidden), {"it": other}) == set()
    with pytest.raises(ValueError, match="by chance"):
        secrets_in("", {"it": "short"})
