"""The wire: the last login of a browser, shown step by step at ``/wire``.

It uses only the signals of Flask-ParJar, so you can add it to any app: copy this file,
``templates/wire.html`` and the second half of ``static/style.css``, and call ``Wire(app)``. The
logins are kept in the memory of one process. It is for development: if a login fails, the page
shows what is in the operator's log.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, g, has_request_context, render_template, request, session

from flask_parjar import (
    Identity,
    ParJarError,
    logged_in,
    login_failed,
    login_started,
    provider_called,
    refresh_failed,
    tokens_refreshed,
)

#: What the answer says, by whether it is an error.
ANSWERS: Mapping[bool, str] = {
    refused: f"It has {what}. state and iss say which login and which provider it belongs to."
    for refused, what in ((False, "a code, which is useless to an attacker"), (True, "an error"))
}

MAX_BROWSERS = 100
MAX_LOGINS = 5  # of one browser: as many as can be under way in a session
MAX_KEYS = 20
SESSION_KEY = "wire"

BROWSER, SITE, PROVIDER, PERSON = "browser", "site", "provider", "person"

#: For each request to the provider: a heading, an explanation, the standard.
CALLS: Mapping[str, tuple[str, str, str]] = {
    "discovery": (
        "The provider's metadata is fetched",
        "The answer is cached, so the next login does not need this step.",
        "OpenID Connect Discovery",
    ),
    "pushed_authorization_request": (
        "The signed request is pushed",
        "It is sent from server to server, so no browser can read or change it. "
        "The provider stores it and returns a reference.",
        "RFC 9126",
    ),
    "unsigned_push": (
        "The request is pushed",
        "It is sent from server to server, so no browser can read or change it. It is not signed. "
        "The provider stores it and returns a reference.",
        "RFC 9126",
    ),
    "token": (
        "The code is exchanged for tokens",
        "The code can only be used with the code_verifier. This site has sent it to no one before.",
        "RFC 6749, RFC 7636",
    ),
    "refresh": (
        "The tokens are renewed",
        "The access token was about to expire and was needed. The user did not have to log in.",
        "RFC 6749 section 6",
    ),
    "jwks": (
        "The provider's public keys are fetched",
        "They are cached, and fetched again when a token names an unknown key.",
        "RFC 7517",
    ),
    "nonce": (
        "The provider asks for a nonce",
        "It wants one in the DPoP proof, so that no proof can be made in advance. The same request "
        "is sent once more.",
        "RFC 9449 section 8",
    ),
    "userinfo": (
        "The user's claims are fetched",
        "This request uses the access token. The answer must be about the same subject.",
        "OpenID Connect Core 5.3",
    ),
}

#: What is said besides of a request with a DPoP proof, and of one that brings a bound token.
PROOF = " A proof, signed with the key of this login, is sent beside it."
BOUND = " The access token is bound to this key: without a proof it is of no use."

#: For each parameter by which the browser brings a request: an explanation, the standard.
WAYS: Mapping[str, tuple[str, str]] = {
    "request_uri": (
        "It carries only these parameters. They contain nothing that can be read or changed.",
        "RFC 9126 section 4",
    ),
    "request": (
        "It carries the signed request: no one can change it, but who sees the URL can read it.",
        "RFC 9101 section 5",
    ),
    "redirect_uri": (
        "It carries the request itself, unsigned: who sees the URL can read and change it.",
        "OpenID Connect Core 3.1.2.1",
    ),
}

#: What each check of the ID token says, by the name that the ``logged_in`` signal gives it.
CHECKS: Mapping[str, str] = {
    "encryption": "it came encrypted, for a key of this site",
    "signature": "by a key that the provider publishes",
    "iss": "the provider that was asked",
    "aud": "this client",
    "exp": "not expired",
    "iat": "just issued",
    "nonce": "that of this login",
    "sub": "present",
    "at_hash": "the access token that came with it",
    "auth_time": "as this login asked",
    "acr": "as this login asked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A message between browser, site and provider. An answer is drawn dashed."""

    sender: str
    receiver: str
    label: str
    answers: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a login.

    :param name: what kind of step it is, for tests and style sheets.
    :param work: what happens, if the step is not a message.
    :param by: where it happens.
    :param call: the request to the provider, in one line.
    :param tables: a caption and the members below it, as the signals have them.
    """

    name: str
    title: str
    text: str = ""
    source: str = ""
    arrows: Sequence[Arrow] = ()
    work: str = ""
    by: str = SITE
    call: str = ""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: Sequence[str] = ()
    failed: bool = False


@dataclass(slots=True, eq=False)
class Login:
    """The steps of one login so far.

    :param state: the shortened ``state`` of its request, to find the login of an answer.
    :param whole: how many of the steps belong to the login; the others came after it.
    """

    state: object = None
    steps: tuple[Step, ...] = ()
    whole: int = 0
    person: str | None = None
    failure: str | None = None
    calls: int = 0
    milliseconds: float = 0
    began: float = field(default_factory=time.time)
    left: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        return bool(self.person or self.failure)


class Wire:
    """Records the logins of an app, and shows each browser its own last login."""

    def __init__(self, app: Flask) -> None:
        self._browsers: OrderedDict[str, deque[Login]] = OrderedDict()
        self._lock = threading.Lock()
        app.extensions["wire"] = self  # signals keep only weak references to their receivers
        provider_called.connect(self._on_call, app)
        login_started.connect(self._on_started, app)
        logged_in.connect(self._on_logged_in, app)
        login_failed.connect(self._on_failed, app)
        tokens_refreshed.connect(self._on_refreshed, app)
        refresh_failed.connect(self._on_refresh_failed, app)
        app.add_template_filter(clock)
        app.add_url_rule("/wire", "wire", self.show)

    def show(self) -> tuple[str, dict[str, str]]:
        """``GET /wire``: the page."""
        with self._lock:
            logins = self._browsers.get(session.get(SESSION_KEY, ""))
            login = logins[-1] if logins else None
        return render_template("wire.html", login=login), {"Cache-Control": "no-store"}

    # Receivers of signals.

    def _on_call(self, app: Flask, **call: Any) -> None:
        """Keep a request and the name of the browser until the next signal.

        When ``logged_in`` is sent, the session that has the browser's name is already replaced.
        """
        if has_request_context():
            g.setdefault("wire_calls", []).append(call)
            g.setdefault("wire_browser", session.get(SESSION_KEY))

    def _on_started(self, app: Flask, **sent: Any) -> None:
        calls, signed, redirect = g.pop("wire_calls", []), sent["request_object"], sent["redirect"]
        login = Login()
        _count(login, calls)
        before = [call for call in calls if call["endpoint"] == "discovery"]
        pushed = [call for call in calls if call["endpoint"] != "discovery"]
        login.state = _asked(signed, redirect, pushed).get("state")
        login.steps = (
            _start(),
            *map(_call, before),
            *([_sign(signed)] if signed else []),
            *map(_call, pushed),
            _redirect(redirect),
        )
        self._keep(login)

    def _on_logged_in(self, app: Flask, **sent: Any) -> None:
        identity: Identity = sent["identity"]
        calls = g.pop("wire_calls", [])
        login = self._find(sent["response"])
        steps = [*_return(login, sent["response"], calls), *map(_call, calls)]
        with_userinfo = any(call["endpoint"] == "userinfo" for call in calls)
        steps += [
            _verify(sent["id_token"], sent["checked"], with_userinfo=with_userinfo),
            _logged_in(identity),
        ]
        _count(login, calls)
        login.steps += tuple(steps)
        login.whole = len(login.steps)
        login.person = identity.name
        self._rename_browser()
        self._keep(login)

    def _on_failed(self, app: Flask, **sent: Any) -> None:
        error: ParJarError = sent["error"]
        calls, response = g.pop("wire_calls", []), sent["response"]
        login = self._find(response) if response else Login(steps=(_start(),))
        steps = [*_return(login, response, calls)] if response else []
        _count(login, calls)
        login.steps += (*steps, *map(_call, calls), _fail(error))
        login.failure = error.error_code
        self._keep(login)

    def _on_refreshed(self, app: Flask, **sent: Any) -> None:
        """Add the last renewal of the tokens below the login."""
        calls = g.pop("wire_calls", [])
        with self._lock:
            logins = self._browsers.get(_browser() or "", ())
            login = next((each for each in reversed(logins) if each.person), None)
            if login is not None:
                login.steps = (*login.steps[: login.whole], *map(_call, calls))

    def _on_refresh_failed(self, app: Flask, **sent: Any) -> None:
        """Show it in place of the login if the tokens have ended: the next step is a new login."""
        if not sent["usable"]:
            self._on_failed(app, error=sent["error"], response={})

    # The memory.

    def _find(self, response: Mapping[str, Any]) -> Login:
        """The login under way that this answer belongs to."""
        with self._lock:
            for login in self._browsers.get(_browser() or "", ()):
                if login.state == response.get("state") and not login.over:
                    return login
        return Login()

    def _rename_browser(self) -> None:
        """Give this browser a new name: another one may have known the one before the login.

        An attacker who has planted a session in this browser must not see who logs in.
        """
        name, before = secrets.token_urlsafe(16), _browser() or ""
        with self._lock:
            self._browsers[name] = self._browsers.pop(before, deque(maxlen=MAX_LOGINS))
        g.wire_browser = session[SESSION_KEY] = name

    def _keep(self, login: Login) -> None:
        """Store a login as the last one of this browser."""
        name = session[SESSION_KEY] = _browser() or secrets.token_urlsafe(16)
        with self._lock:
            logins = self._browsers.setdefault(name, deque(maxlen=MAX_LOGINS))
            if login in logins:
                logins.remove(login)
            logins.append(login)
            self._browsers.move_to_end(name)
            while len(self._browsers) > MAX_BROWSERS:
                self._browsers.popitem(last=False)


def clock(seconds: float) -> str:
    """The time of day of a timestamp."""
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "no valid time"


def _browser() -> str | None:
    name: str | None = g.get("wire_browser") or session.get(SESSION_KEY)
    return name


def _count(login: Login, calls: Iterable[Mapping[str, Any]]) -> None:
    for call in calls:
        login.calls += 1
        login.milliseconds += call["milliseconds"]


# The steps.


def _start() -> Step:
    path = request.args.get("next")
    return Step(
        name="start",
        title="A login starts",
        text="A person pressed the button, or opened a page that needs a login.",
        arrows=[Arrow(sender=BROWSER, receiver=SITE, label=f"{request.method} {request.path}")],
        tables={"Query": {"next": path[:200]}} if path else {},
    )


def _asked(
    signed: Mapping[str, Any] | None, redirect: Mapping[str, Any], pushed: Sequence[Any]
) -> Mapping[str, Any]:
    """The parameters of the request, wherever they were sent."""
    if signed:
        claims: Mapping[str, Any] = signed["claims"]
        return claims
    sent: Mapping[str, Any] = pushed[-1]["sent"] if pushed else redirect["parameters"]
    return sent


def _sign(signed: Mapping[str, Any]) -> Step:
    return Step(
        name="sign",
        title="The request is signed",
        text="So the provider knows that every parameter comes from this site.",
        source="RFC 9101",
        work="signs the request",
        tables={"Header": signed["header"], "Claims": signed["claims"]},
    )


def _call(call: Mapping[str, Any]) -> Step:
    endpoint, status, received = call["endpoint"], call["status"], call["received"]
    name = "refresh" if call["sent"].get("grant_type") == "refresh_token" else endpoint
    title, text, source = _explain(name, call)
    failed = bool(call["error"]) or status is None or status >= 400
    failed = failed and not _asks_for_nonce(call)
    method = "POST" if call["sent"] else "GET"
    outcome = f"{status or call['error']} · {call['milliseconds']:.1f} ms"
    if endpoint == "discovery":  # only the part of the metadata that matters for this login
        received = {member: received[member] for member in received if member in _RELEVANT}
    elif endpoint == "jwks":
        received = _describe_keys(received.get("keys"))
    return Step(
        name=name,
        title=title,
        text=text,
        source=source,
        failed=failed,
        call=f"{method} {call['url']}",
        arrows=[
            Arrow(sender=SITE, receiver=PROVIDER, label=f"{method} {urlsplit(call['url']).path}"),
            Arrow(sender=PROVIDER, receiver=SITE, label=outcome, answers=True, failed=failed),
        ],
        tables={"Sent": call["sent"], **_proof(call["dpop_proof"]), "Received": received},
    )


def _explain(name: str, call: Mapping[str, Any]) -> tuple[str, str, str]:
    """A heading, an explanation, the standard."""
    if _asks_for_nonce(call):
        return CALLS["nonce"]
    unsigned = name == "pushed_authorization_request" and "request" not in call["sent"]
    title, text, source = CALLS.get("unsigned_push" if unsigned else name, (name, "", ""))
    if call["dpop_proof"] is None:
        return title, text, source
    bound = str(call["received"].get("token_type")).lower() == "dpop"
    return title, text + PROOF + (BOUND if bound else ""), f"{source}, RFC 9449"


def _asks_for_nonce(call: Mapping[str, Any]) -> bool:
    return bool(call["received"].get("error") == "use_dpop_nonce")


def _proof(proof: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The tables of a DPoP proof. It has the public key alone."""
    if proof is None:
        return {}
    header, jwk = dict(proof["header"]), proof["header"]["jwk"]
    header["jwk"] = [f"{name} {part}" for name, part in jwk.items()]
    return {"DPoP proof: header": header, "DPoP proof: claims": proof["claims"]}


_RELEVANT = (
    "issuer",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "request_object_signing_alg_values_supported",
    "code_challenge_methods_supported",
)


def _describe_keys(keys: object) -> dict[str, str]:
    listed = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    return {
        str(key.get("kid")): " ".join(str(key[x]) for x in ("kty", "crv", "alg", "use") if x in key)
        for key in listed[:MAX_KEYS]
    }


def _redirect(redirect: Mapping[str, Any]) -> Step:
    text, source = next(WAYS[name] for name in WAYS if name in redirect["parameters"])
    return Step(
        name="redirect",
        title="The browser is redirected to the provider",
        text=text,
        source=source,
        arrows=[
            Arrow(sender=SITE, receiver=BROWSER, label="302", answers=True),
            Arrow(sender=BROWSER, receiver=PROVIDER, label=f"GET {urlsplit(redirect['url']).path}"),
        ],
        tables={"Query": redirect["parameters"]},
    )


def _return(login: Login, response: Mapping[str, Any], calls: Sequence[Any]) -> list[Step]:
    """The sign-in at the provider, and the way back with the answer."""
    posted, refused = request.method == "POST", "error" in response
    sent, text = "Form" if posted else "Query", ANSWERS[bool(refused)]
    tables: dict[str, Mapping[str, Any]] = {sent: response}
    jwt = request.values.get("response", "")
    if jwt and "response" not in response:  # it was opened: what is in it are the parameters
        text += " All of it is in one signed JWT."
        tables = {sent: {"response": f"… ({len(jwt)} characters)"}, **_decoded(jwt, response)}
    back = Step(
        name="return",
        title="The browser comes back",
        text=text,
        source="JARM" if jwt else "RFC 6749, RFC 9207",
        arrows=[
            Arrow(
                sender=PROVIDER,
                receiver=BROWSER,
                label="a form to post" if posted else "redirect",
                answers=True,
            ),
            Arrow(sender=BROWSER, receiver=SITE, label=f"{request.method} {request.path}"),
        ],
        tables=tables,
        failed=refused,
    )
    if not login.steps:
        return [back]
    away = time.monotonic() - login.left - sum(call["milliseconds"] for call in calls) / 1000
    person = Step(
        name="sign_in",
        title="The person signs in",
        text="The provider asks who they are, and whether they agree. This site is not involved.",
        work=f"the person signs in · {away:.1f} s",
        by=PERSON,
    )
    return [person, back]


def _decoded(jwt: str, parameters: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The header of a signed response, and its claims: secrets are already cut short in these."""
    header, *others = jwt.split(".")
    claims = {} if len(others) != 2 else _from_json(others[0])  # it is encrypted otherwise
    times: dict[str, Any] = {name: claims[name] for name in ("aud", "exp") if name in claims}
    return {"Header": _from_json(header), "Claims": {**parameters, **times}}


def _from_json(part: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value if isinstance(value, dict) else {}


def _verify(id_token: Mapping[str, Any], checked: Sequence[str], *, with_userinfo: bool) -> Step:
    encrypted = "encryption" in checked
    checks = [f"{name}: {CHECKS.get(name, 'checked')}" for name in checked]
    if with_userinfo:
        checks.append("userinfo: about the same sub")
    return Step(
        name="verify",
        title=f"The ID token is {'decrypted and ' if encrypted else ''}verified",
        text="If one of these checks fails, the login ends.",
        source="OpenID Connect Core 3.1.3.7",
        work=f"{'decrypts and ' if encrypted else ''}verifies the ID token",
        checks=checks,
        tables={"Header": id_token["header"], "Claims": id_token["claims"]},
    )


def _logged_in(identity: Identity) -> Step:
    return Step(
        name="logged_in",
        title=f"{identity.name} is logged in",
        text="The session says who is logged in. Its cookie contains no token.",
        arrows=[Arrow(sender=SITE, receiver=BROWSER, label="302, cookie", answers=True)],
        tables={
            "current_user": {
                "issuer": identity.issuer,
                "subject": identity.subject,
                "scopes": " ".join(sorted(identity.scopes)),
            }
        },
    )


def _fail(error: ParJarError) -> Step:
    found = {"code": error.error_code, "detail": error.detail, "advice": error.advice}
    return Step(
        name="failed",
        title="The login fails here",
        text=str(error),
        work=error.error_code,
        failed=True,
        tables={"For the operator": {name: text for name, text in found.items() if text}},
    )
