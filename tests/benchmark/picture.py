"""One picture: the processor time of a login, as a multiple of the floor's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.benchmark.measure import AGAIN, Timing

_WIDTH, _LEFT, _BAR, _STEP = 760, 250, 22, 34
_COLOURS = {"floor": "#9aa0a6", "Flask-ParJar": "#1f7a4d"}
_OTHERS = "#b7c4d6"


def draw(timings: Sequence[Timing], *, title: str, note: str) -> str:
    """Draw bars from nought, the least first; a thin line spans the quartiles."""
    shown = sorted(
        (each for each in timings if each.name != AGAIN), key=lambda each: each.ratio.median
    )
    scale = (_WIDTH - _LEFT - 70) / max(each.ratio.high for each in shown)
    height = 64 + _STEP * len(shown) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="14">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="32" font-size="17" font-weight="600">{escape(title)}</text>',
    ]
    for number, each in enumerate(shown):
        top = 56 + number * _STEP
        middle = top + _BAR / 2
        width, low, high = (value * scale for value in each.ratio)
        lacks = "*" if each.does_less else ""
        parts += [
            f'<text x="{_LEFT - 10}" y="{middle + 5}" text-anchor="end">'
            f"{escape(each.name)}{lacks}</text>",
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" '
            f'fill="{_COLOURS.get(each.name, _OTHERS)}"/>',
            f'<path d="M{_LEFT + low:.1f} {middle}H{_LEFT + high:.1f}" stroke="#333"/>',
            f'<text x="{_LEFT + max(width, high) + 8:.1f}" y="{middle + 5}">'
            f"{each.ratio.median:.2f}</text>",
        ]
    parts.append(
        f'<text x="16" y="{height - 14}" font-size="12" fill="#555">{escape(note)}</text></svg>'
    )
    return "\n".join(parts) + "\n"
