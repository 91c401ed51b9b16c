"""A window of Chromium: what happened in it, and what is checked of its pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Locator,
        LocatorAssertions,
        Page,
        Request,
        Route,
    )

ARTEFACTS = Path(__file__).parent / "artefacts"
LOWEST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA); large text may have 3

#: Every text that can be seen, with the contrast it has to what is painted behind it.
_CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement)
      layers.unshift(rgba(getComputedStyle(e).backgroundColor));
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reduce((below, layer) => over(layer, below), Array(3).fill(dark ? 18 : 255));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.matches("script, style, .unseen")) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const [high, low] = [luminance(over(rgba(style.color), ground)), luminance(ground)]
      .sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    found.push({text: text.slice(0, 60), contrast: (high + 0.05) / (low + 0.05), large});
  }
  return found;
}"""

#: What is wider than the window.
_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.outerHTML.slice(0, 120))"""

#: Controls and pictures without a name, and labels that say nothing.
_NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), img")]
  .filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]"))
  .filter((e) => e.tagName === "IMG" ? !e.hasAttribute("alt")
    : !(e.innerText || e.ariaLabel || e.labels?.length || e.querySelector("[alt]")))
  .map((e) => e.outerHTML.slice(0, 120))"""


def expect(what: Locator) -> LocatorAssertions:
    """Wait until something holds of the page; Playwright's own, imported where it is there."""
    from playwright.sync_api import expect as expect_of_playwright

    return expect_of_playwright(what)


@dataclass(frozen=True)
class Look:
    """How the window is: its colours and its size."""

    scheme: str
    width: int
    height: int = 800

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}"


LOOKS = [Look(scheme, width) for scheme in ("light", "dark") for width in (1280, 360)]


@dataclass
class Window:
    """A window of a browser without cookies.

    :param site: the origin whose pages are checked; the pages of others are only passed.
    """

    browser: Browser
    site: str
    look: Look = LOOKS[0]
    name: str = ""
    javascript: bool = True
    console: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    other_sites: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = self.browser.new_context(
            viewport={"width": self.look.width, "height": self.look.height},
            color_scheme="dark" if self.look.scheme == "dark" else "light",
            java_script_enabled=self.javascript,
        )
        self.context.set_default_timeout(10_000)
        self.context.route("**/*", self._stay_on_this_machine)
        self.page = self.new_tab()

    def new_tab(self) -> Page:
        """Open another tab of this window."""
        page = self.context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request))
        return page

    def _stay_on_this_machine(self, route: Route, request: Request) -> None:
        if urlsplit(request.url).hostname in ("127.0.0.1", "localhost"):
            route.fallback()
            return
        if request.frame.url.startswith(self.site) or request.is_navigation_request():
            self.other_sites.append(request.url)
        route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        where = str(message.location.get("url", ""))
        if message.type in ("error", "warning") and where.startswith(self.site):
            path = urlsplit(where).path
            self.console.append(f"{path}: {message.text}")

    def open(self, path: str) -> None:
        """Type an address of the site."""
        self.page.goto(self.site + path)

    def url_of(self, url: str) -> str:
        """The URL of the last request to that address, query and all."""
        return [each.url for each in self.requests if each.url.partition("?")[0] == url][-1]

    def query_of(self, url: str) -> list[tuple[str, str]]:
        """The query of the last request to that address."""
        return parse_qsl(urlsplit(self.url_of(url)).query, keep_blank_values=True)

    def fetch(self, path: str) -> tuple[int, Any]:
        """Call the site as a script of the page does."""
        status, body = self.page.evaluate(
            "async (url) => { const r = await fetch(url); return [r.status, await r.json()] }",
            self.site + path,
        )
        return status, body

    def look_at(self, title: str) -> None:
        """Keep a picture of the page, and check the page."""
        self.photograph(title)
        faint = [
            text
            for text in self.page.evaluate(_CONTRASTS)
            if text["contrast"] < (3 if text["large"] else LOWEST_CONTRAST)
        ]
        assert faint == [], f"{title}: text that is hard to read"
        assert self.page.evaluate(_TOO_WIDE) == [], f"{title}: wider than the window"
        assert self.page.evaluate(_NAMELESS) == [], f"{title}: a control without a name"
        assert self.page.locator("h1:visible").count() == 1, f"{title}: one heading above all"
        assert self.page.title(), f"{title}: has no title"

    def photograph(self, title: str) -> None:
        """Keep a picture of the page, without a check."""
        ARTEFACTS.mkdir(exist_ok=True)
        picture = ARTEFACTS / f"{self.name}-{title}-{self.look}.png"
        self.page.screenshot(path=picture, full_page=True)

    def end(self, *, expected_on_console: tuple[str, ...] = ()) -> None:
        """Close the window. There must be no error in it, and no request to another site."""
        self.context.close()
        assert self.other_sites == [], "our pages sent requests to another site"
        unexpected = [m for m in self.console if not m.startswith(expected_on_console or ("\0",))]
        assert unexpected == [], "unexpected messages on the console"
