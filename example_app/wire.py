"""The wire: the last login of a browser, drawn step by step at ``/wire``.

It knows what Flask-ParJar's signals tell, and nothing else, so any app can have it: take this file,
``templates/wire.html`` and the second half of ``static/style.css``, and call ``Wire(app)``. The
logins lie in the memory of one process. It is for development: where a login fails, the page says
what the operator's log says.
"""

from __future__ import annotations

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
    tokens_refreshed,
)

MAX_BROWSERS = 100
MAX_LOGINS = 5  # of one browser: as many as may wait in a session
MAX_KEYS = 20
SESSION_KEY = "wire"

BROWSER, SITE, PROVIDER, PERSON = "browser", "site", "provider", "person"

#: What each call is for: a heading, an explanation, where it is written.
CALLS: Mapping[str, tuple[str, str, str]] = {
    "discovery": (
        "The provider is asked what it can do",
        "Once; the answer is kept, and the next login leaves this step out.",
        "OpenID Connect Discovery",
    ),
    "pushed_authorization_request": (
        "The signed request is pushed",
        "From server to server, where no browser can read or change it. "
        "The provider keeps it and gives a reference.",
        "RFC 9126",
    ),
    "token": (
        "The code is exchanged for tokens",
        "Worth something only with the code_verifier, which never left this site until now.",
        "RFC 6749, RFC 7636",
    ),
    "refresh": (
        "The tokens are renewed",
        "The access token was near its end, and somebody asked for it. Nobody had to log in.",
        "RFC 6749 section 6",
    ),
    "jwks": (
        "The provider's public keys are fetched",
        "Once; they are kept, and asked for again when a token names a new one.",
        "RFC 7517",
    ),
    "userinfo": (
        "The provider is asked about the person",
        "With the access token; the answer must be about the same subject.",
        "OpenID Connect Core 5.3",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A message between two of the three; a dashed one answers another."""

    sender: str
    receiver: str
    label: str
    answers: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a login.

    :param work: what somebody does, where the step is not a message.
    :param by: who does it.
    :param call: a call to the provider, in a line.
    :param tables: a caption and the members under it, as the signals gave them.
    """

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
    """One login as far as it got.

    :param state: the ``state`` of its request, cut short: what its answer is known by.
    :param whole: how many of its steps are those of the login; what follows came after it.
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
    """Listens to the logins of an app, and shows each browser the last one of its own."""

    def __init__(self, app: Flask) -> None:
        self._browsers: OrderedDict[str, deque[Login]] = OrderedDict()
        self._lock = threading.Lock()
        app.extensions["wire"] = self  # signals hold their receivers weakly
        provider_called.connect(self._on_call, app)
        login_started.connect(self._on_started, app)
        logged_in.connect(self._on_logged_in, app)
        login_failed.connect(self._on_failed, app)
        tokens_refreshed.connect(self._on_refreshed, app)
        app.add_template_filter(clock)
        app.add_url_rule("/wire", "wire", self.show)

    def show(self) -> tuple[str, dict[str, str]]:
        """``GET /wire``: the page."""
        with self._lock:
            logins = self._browsers.get(session.get(SESSION_KEY, ""))
            login = logins[-1] if logins else None
        return render_template("wire.html", login=login), {"Cache-Control": "no-store"}

    # What the signals bring.

    def _on_call(self, app: Flask, **call: Any) -> None:
        """Keep a call until it is known what came of it, and whose browser this is.

        The session that names the browser is not there any more when ``logged_in`` comes.
        """
        if has_request_context():
            g.setdefault("wire_calls", []).append(call)
            g.setdefault("wire_browser", session.get(SESSION_KEY))

    def _on_started(self, app: Flask, **told: Any) -> None:
        calls, signed, redirect = g.pop("wire_calls", []), told["request_object"], told["redirect"]
        login = Login()
        _count(login, calls)
        before = [call for call in calls if call["endpoint"] == "discovery"]
        pushed = [call for call in calls if call["endpoint"] != "discovery"]
        asked = signed["claims"] if signed else redirect["parameters"]
        login.state = asked.get("state")
        login.steps = (
            _ask(),
            *map(_call, before),
            *([_sign(signed)] if signed else []),
            *map(_call, pushed),
            _leave(redirect),
        )
        self._keep(login)

    def _on_logged_in(self, app: Flask, **told: Any) -> None:
        identity: Identity = told["identity"]
        calls = g.pop("wire_calls", [])
        login = self._take(told["response"])
        steps = [*_return(login, told["response"], calls), *map(_call, calls)]
        steps += [_prove(told["id_token"], told["checks"]), _welcome(identity)]
        _count(login, calls)
        login.steps += tuple(steps)
        login.whole = len(login.steps)
        login.person = identity.name
        self._keep(login)

    def _on_failed(self, app: Flask, **told: Any) -> None:
        error: ParJarError = told["error"]
        calls, response = g.pop("wire_calls", []), told["response"]
        login = self._take(response) if response else Login(steps=(_ask(),))
        steps = [*_return(login, response, calls)] if response else []
        _count(login, calls)
        login.steps += (*steps, *map(_call, calls), _fail(error))
        login.failure = error.code
        self._keep(login)

    def _on_refreshed(self, app: Flask, **told: Any) -> None:
        """Draw the last renewal below the login that it keeps alive."""
        calls = g.pop("wire_calls", [])
        with self._lock:
            logins = self._browsers.get(_browser() or "", ())
            login = next((each for each in reversed(logins) if each.person), None)
            if login is not None:
                login.steps = (*login.steps[: login.whole], *map(_call, calls))

    # What is remembered.

    def _take(self, response: Mapping[str, Any]) -> Login:
        """The login under way that this answer belongs to."""
        with self._lock:
            for login in self._browsers.get(_browser() or "", ()):
                if login.state == response.get("state") and not login.over:
                    return login
        return Login()

    def _keep(self, login: Login) -> None:
        """Keep a login as the last one of this browser."""
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
    """A time of day, as claims are best read beside their number."""
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "beyond the calendar"


def _browser() -> str | None:
    name: str | None = g.get("wire_browser") or session.get(SESSION_KEY)
    return name


def _count(login: Login, calls: Iterable[Mapping[str, Any]]) -> None:
    for call in calls:
        login.calls += 1
        login.milliseconds += call["milliseconds"]


# What is drawn.


def _ask() -> Step:
    path = request.args.get("next")
    return Step(
        title="Somebody wants to log in",
        text="A button was pressed, or a page opens only for those who are logged in.",
        arrows=[Arrow(sender=BROWSER, receiver=SITE, label=f"{request.method} {request.path}")],
        tables={"Query": {"next": path[:200]}} if path else {},
    )


def _sign(signed: Mapping[str, Any]) -> Step:
    return Step(
        title="The request is signed",
        text="So the provider knows that every parameter is this site's own.",
        source="RFC 9101",
        work="signs the request",
        tables={"Header": signed["header"], "Claims": signed["claims"]},
    )


def _call(call: Mapping[str, Any]) -> Step:
    endpoint, status, received = call["endpoint"], call["status"], call["received"]
    refreshed = call["sent"].get("grant_type") == "refresh_token"
    title, text, source = CALLS.get("refresh" if refreshed else endpoint, (endpoint, "", ""))
    failed = bool(call["error"]) or status is None or status >= 400
    method = "POST" if call["sent"] else "GET"
    outcome = f"{status or call['error']} · {call['milliseconds']:.1f} ms"
    if endpoint == "discovery":  # of a long public document, what this login turned on
        received = {name: received[name] for name in received if name in _TURNED_ON}
    elif endpoint == "jwks":
        received = _describe_keys(received.get("keys"))
    return Step(
        title=title,
        text=text,
        source=source,
        failed=failed,
        call=f"{method} {call['url']}",
        arrows=[
            Arrow(sender=SITE, receiver=PROVIDER, label=f"{method} {urlsplit(call['url']).path}"),
            Arrow(sender=PROVIDER, receiver=SITE, label=outcome, answers=True, failed=failed),
        ],
        tables={"Sent": call["sent"], "Received": received},
    )


_TURNED_ON = (
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


def _leave(redirect: Mapping[str, Any]) -> Step:
    return Step(
        title="The browser is sent to the provider",
        text="This is all that it carries: there is nothing in it to read or to change.",
        source="RFC 9126 section 4",
        arrows=[
            Arrow(sender=SITE, receiver=BROWSER, label="302", answers=True),
            Arrow(sender=BROWSER, receiver=PROVIDER, label=f"GET {urlsplit(redirect['url']).path}"),
        ],
        tables={"Query": redirect["parameters"]},
    )


def _return(login: Login, response: Mapping[str, Any], calls: Sequence[Any]) -> list[Step]:
    """The person at the provider, and the way back with its answer."""
    posted, refused = request.method == "POST", "error" in response
    back = Step(
        title="The browser comes back",
        text=f"With {'an error' if refused else 'a code that is worth nothing to a thief'}, "
        "and with state and iss, which say whose answer it is.",
        source="RFC 6749, RFC 9207",
        arrows=[
            Arrow(
                sender=PROVIDER,
                receiver=BROWSER,
                label="a form to post" if posted else "redirect",
                answers=True,
            ),
            Arrow(sender=BROWSER, receiver=SITE, label=f"{request.method} {request.path}"),
        ],
        tables={"Form" if posted else "Query": response},
        failed=refused,
    )
    if not login.steps:
        return [back]
    away = time.monotonic() - login.left - sum(call["milliseconds"] for call in calls) / 1000
    person = Step(
        title="The person is asked",
        text="Who they are, and whether they agree. This site sees nothing of it.",
        work=f"the person is asked · {away:.1f} s",
        by=PERSON,
    )
    return [person, back]


def _prove(id_token: Mapping[str, Any], checks: Sequence[str]) -> Step:
    return Step(
        title="The ID token is proved",
        text="Each of these had to hold; one that does not ends the login.",
        source="OpenID Connect Core 3.1.3.7",
        work="proves the ID token",
        checks=checks,
        tables={"Header": id_token["header"], "Claims": id_token["claims"]},
    )


def _welcome(identity: Identity) -> Step:
    return Step(
        title=f"{identity.name} is logged in",
        text="The session remembers who it is. No token lies in its cookie.",
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
    found = {"code": error.code, "found": error.detail, "advice": error.advice}
    return Step(
        title="The login ends here",
        text=str(error),
        work=error.code,
        failed=True,
        tables={"For the operator": {name: text for name, text in found.items() if text}},
    )
