"""The figures of the documentation, on a phone: what stands in them can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parent.parent.parent / "docs" / "_static"
FIGURES = sorted(STATIC.glob("*.svg.html"))
PHONE = 390
SMALLEST_TEXT = 9  # CSS pixels

#: The height of the letters of each text, as it is drawn.
_SIZES = """() => [...document.querySelectorAll("svg text, svg tspan")].map((e) =>
  parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a)"""


def test_there_are_figures() -> None:
    assert len(FIGURES) >= 3


@pytest.mark.parametrize("figure", FIGURES, ids=lambda path: path.name.partition(".")[0])
def test_text_of_a_figure_can_be_read_on_a_phone(chromium: Browser, figure: Path) -> None:
    """The figure may be wider than the window, if it can be moved inside its own frame."""
    page = chromium.new_page(viewport={"width": PHONE, "height": 800})
    try:
        style = (STATIC / "pages.css").read_text(encoding="utf-8")
        content = figure.read_text(encoding="utf-8")
        page.set_content(f"<style>body {{ margin: 0 }} {style}</style><article>{content}</article>")
        sizes = page.evaluate(_SIZES)
        assert sizes and min(sizes) >= SMALLEST_TEXT
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    finally:
        page.close()
