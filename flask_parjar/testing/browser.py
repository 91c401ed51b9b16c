"""A browser for tests: it keeps cookies, follows redirects and presses the provider's buttons.

It uses the same pages as a person, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from werkzeug.test import Client, TestResponse

from .answers import with_query

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MAX_STEPS = 12


class Stopped(RuntimeError):
    """The provider showed a page on which the browser cannot continue.

    :param status: the page's HTTP status
    :param page: its HTML
    """

    def __init__(self, status: int, page: str) -> None:
        super().__init__(f"the provider answered {status}: {visible_text(page)}")
        self.status = status
        self.page = page


class Browser:
    """One browser, used by one person.

    :param app: the provider's WSGI app
    :param issuer: the URL of that app
    """

    def __init__(self, app: WSGIApplication, issuer: str) -> None:
        #: The URLs of the frames of the last page. They are not loaded.
        self.frames: list[str] = []
        self._client = Client(app)
        self._home = issuer.rstrip("/")

    def sign_in(
        self,
        url: str,
        person: str = "ada",
        *,
        approve: bool = True,
        scopes: Collection[str] | None = None,
        decline: Collection[str] = (),
    ) -> str:
        """Open an authorization URL, sign in, agree, and come back.

        :param person: the username to choose
        :param approve: whether to agree or to say no
        :param scopes: the only scopes to agree to; by default all
        :param decline: scopes not to agree to
        :returns: the callback URL with the response in its query, also for ``form_post``
        :raises Stopped: the provider shows an error instead
        :raises TypeError: there is no URL, because the login has not begun
        :raises ValueError: there is no such person, or the provider asked about no such scope
        """
        given: object = url
        if not isinstance(given, str):
            raise TypeError(
                f"{url!r} is no URL to open: the answer of the site was no redirect. Look at its "
                "status and its text. Before the first login, DevProvider.connect(app) is needed"
            )
        choices = {"person": person, "decision": "approve" if approve else "deny"}
        back, offered = self._walk(url, choices, _Agreed(scopes, decline))
        named = {*decline, *(() if scopes is None else {*scopes} - {"openid"})}
        if unasked := sorted(named - offered):
            raise ValueError(
                f"not asked about {', '.join(unasked)}: the login does not ask for it "
                "(PARJAR_SCOPES), or the person agreed to it before"
            )
        return back

    def sign_out(self, url: str, *, approve: bool = True) -> str | None:
        """Open an end-session URL and say yes or no.

        :returns: the URL of the client that the provider sends the browser to; None if the
            provider shows its own page
        :raises Stopped: the provider shows an error instead
        """
        try:
            return self._walk(url, {"decision": "approve" if approve else "deny"}, _Agreed())[0]
        except Stopped as stopped:
            if stopped.status == 200:
                return None
            raise

    def get(self, url: str) -> TestResponse:
        """Open one of the provider's own pages; redirects are not followed."""
        return self._send("GET", url, None)

    def _walk(self, url: str, choices: dict[str, str], agreed: _Agreed) -> tuple[str, set[str]]:
        """Continue to a URL that is not the provider's; return it and the values in the forms."""
        method, body, offered = "GET", None, set[str]()
        for _ in range(_MAX_STEPS):
            response = self._send(method, url, body)
            if 300 <= response.status_code < 400:
                method, url, body = "GET", urljoin(url, response.headers["Location"]), None
            else:
                form = self._only_form(response)
                method, url = "POST", urljoin(url, form.action)
                fields = form.filled_in(choices, agreed)
                offered.update(value for _, value in form.fields)
                body = urlencode(fields)
                if not self._is_ours(url):
                    return with_query(url, fields), offered
            if not self._is_ours(url):
                return url, offered
        raise RuntimeError(f"the provider did not finish in {_MAX_STEPS} steps")

    def _only_form(self, response: TestResponse) -> _Form:
        html = response.get_data(as_text=True)
        reader = _FormReader()
        reader.feed(html)
        self.frames = reader.frames
        if response.status_code != 200 or not reader.forms:
            raise Stopped(response.status_code, html)
        return reader.forms[0]

    def _is_ours(self, url: str) -> bool:
        return url == self._home or url.startswith((f"{self._home}/", f"{self._home}?"))

    def _send(self, method: str, url: str, body: str | None) -> TestResponse:
        parts = urlsplit(url)
        return self._client.open(
            parts.path or "/",
            base_url=f"{parts.scheme}://{parts.netloc}/",
            query_string=parts.query,
            method=method,
            data=body,
            headers={"Accept": "text/html"},
            content_type=None if body is None else "application/x-www-form-urlencoded",
        )


class _Agreed(NamedTuple):
    """What a person agrees to: all scopes or some, without those that they decline."""

    scopes: Collection[str] | None = None
    decline: Collection[str] = ()

    def covers(self, scope: str) -> bool:
        return scope not in self.decline and (self.scopes is None or scope in self.scopes)


@dataclass(slots=True)
class _Form:
    """A form as a browser sees it: its action, its fields and its buttons."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def filled_in(self, choices: dict[str, str], agreed: _Agreed) -> list[tuple[str, str]]:
        fields = [pair for pair in self.fields if pair[0] != "scope" or agreed.covers(pair[1])]
        wanted = choices.items()
        if ("decision", "deny") in wanted and ("decision", "deny") in self.buttons:
            return [*fields, ("decision", "deny")]
        pressed = [button for button in self.buttons if button in wanted]
        if self.buttons and not pressed:
            there = ", ".join(value for _, value in self.buttons)
            raise ValueError(f"no button for {choices}; there are: {there}")
        return [*fields, *pressed[:1]]


class _FormReader(HTMLParser):
    """The forms with their fields and buttons, the frames, and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.frames: list[str] = []
        self.text: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._hidden = tag in ("style", "script", "title")
        unticked = given.get("type") == "checkbox" and "checked" not in given
        if tag == "form":
            self.forms.append(_Form(given.get("action", "")))
        elif tag == "input" and self.forms and not unticked and "disabled" not in given:
            self.forms[-1].fields.append((given["name"], given.get("value", "")))
        elif tag == "button" and self.forms and "name" in given:
            self.forms[-1].buttons.append((given["name"], given.get("value", "")))
        elif tag == "iframe":
            self.frames.append(given.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.text.append(data.strip())


def visible_text(html: str) -> str:
    """The beginning of what a page says."""
    reader = _FormReader()
    reader.feed(html)
    return " ".join(reader.text)[:500]
