"""A browser without screen and JavaScript: it follows redirects, keeps cookies, fills in forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from tests.interop.provider_process import ProviderProcess

MOST_STEPS = 20


@dataclass
class Form:
    """A form of a page, as far as submitting it goes."""

    action: str
    id: str | None
    fields: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str] | None] = field(default_factory=list)

    def leaves(self, page: str) -> str | None:
        """Return where a form that posts itself to another origin leads, with its fields as query.

        :param page: the URL of the page that has the form.
        :returns: None if the form stays at that origin.
        """
        target = urljoin(page, self.action)
        if urlsplit(target)[:2] == urlsplit(page)[:2]:
            return None
        return f"{target}?{urlencode(self.fields)}"


class Page(HTMLParser):
    """Heading, forms and links of an HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.heading = ""
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._inside: str | None = None
        self._link: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "h1":
            self._inside = tag
        elif tag == "a":
            self._link = attributes.get("href")
        elif tag == "form":
            self._inside = tag
            self.forms.append(Form(attributes.get("action", ""), attributes.get("id")))
        elif tag == "input" and self._inside == "form":
            name, kind = attributes.get("name", ""), attributes.get("type", "text").lower()
            if kind in ("text", "password", "email"):
                self.forms[-1].questions.append(name)
            elif kind == "hidden":
                self.forms[-1].fields[name] = attributes.get("value", "")
            elif kind == "submit":
                self._add_button(attributes)
        elif tag == "button" and attributes.get("type", "submit") == "submit":
            self._add_button(attributes)

    def _add_button(self, attributes: dict[str, str]) -> None:
        named = (attributes.get("name", ""), attributes.get("value", ""))
        for form in self._forms_of(attributes.get("form")):
            form.buttons.append(named if named[0] else None)

    def _forms_of(self, form_id: str | None) -> list[Form]:
        if form_id is not None:
            return [form for form in self.forms if form.id == form_id]
        return self.forms[-1:] if self._inside == "form" else []

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = None
        elif tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.heading += data.strip()
        if self._link is not None and data.strip():
            self.links[data.strip()] = self._link


class ScriptedBrowser:
    """One person's browser at one provider; its cookies live as long as it does.

    It follows redirects and forms until the provider sends it to another origin, and returns that
    URL without opening it. ``headings`` has the headings of the pages on the way.

    :param ca_bundle: the only authorities to trust, for a provider behind https.
    """

    def __init__(self, *, ca_bundle: Path | None = None) -> None:
        self.headings: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca_bundle) if ca_bundle else True
        self._session.headers["Accept"] = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

    def sign_in(self, url: str, *, login: str = "ada") -> str:
        """Open an authorization URL, answer the forms, return the callback URL."""
        names = dict.fromkeys(("login", "sub", "username"), login)
        return self._walk(url, answers={**names, "password": "any"})

    def cancel_sign_in(self, url: str) -> str:
        """Open an authorization URL, press *Cancel*, return the callback URL."""
        return self._walk(url, follow_link="[ Cancel ]")

    def sign_out(self, url: str) -> str:
        """Open an end-session URL, confirm, return the URL that the provider sends one to."""
        return self._walk(url)

    def open(self, url: str) -> requests.Response:
        """Open a URL there, and follow nothing."""
        return self._session.get(url, allow_redirects=False, timeout=10)

    def close(self) -> None:
        """Forget the cookies and close the connections."""
        self._session.close()

    def _walk(
        self, url: str, *, answers: dict[str, str] | None = None, follow_link: str | None = None
    ) -> str:
        home = urlsplit(url)[:2]
        response = self.open(url)
        for _ in range(MOST_STEPS):
            if response.is_redirect:
                target = urljoin(response.url, response.headers["Location"])
                if urlsplit(target)[:2] != home:
                    return target
                response = self.open(target)
                continue
            page = Page(response.text)
            self.headings.append(page.heading)
            if follow_link is not None and follow_link in page.links:
                target = urljoin(response.url, page.links[follow_link])
                response = self.open(target)
                continue
            forms = [form for form in page.forms if form.questions] or page.forms
            if response.status_code != 200 or len(forms) != 1:
                raise AssertionError(
                    f"the provider kept the browser: {response.status_code} at "
                    f"{urlsplit(response.url).path}\n{response.text[-600:]}"
                )
            if leaves := forms[0].leaves(response.url):
                return leaves
            response = self._submit(response.url, forms[0], answers or {})
        raise AssertionError(f"no end after {MOST_STEPS} steps: {self.headings}")

    def _submit(self, url: str, form: Form, answers: dict[str, str]) -> requests.Response:
        fields = form.fields | {question: answers[question] for question in form.questions}
        if form.buttons and form.buttons[0] is not None:
            name, value = form.buttons[0]
            fields[name] = value
        return self._session.post(
            urljoin(url, form.action), data=fields, allow_redirects=False, timeout=10
        )


OpenBrowser = Callable[[ProviderProcess], ScriptedBrowser]
