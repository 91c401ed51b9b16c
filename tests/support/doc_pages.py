"""The pages of the documentation as text, and the code on them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"

#: The text of each page by its name: ``tokens``, ``extensions/celery``.
PAGES = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
    for path in DOCS.rglob("*.rst")
}

RST_BLOCK = re.compile(
    r"^( *)\.\. code-block:: (\S+)\n((?:\1   :.*\n)*)\n((?:\1   .*\n|\n)+)", re.MULTILINE
)
_MARKDOWN_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block of a page."""

    page: str
    language: str
    caption: str
    text: str


def blocks(page: str, language: str) -> list[Block]:
    """The code blocks of a page; at least one."""
    if page == "README":
        found = [Block(page, kind, "", text) for kind, text in _MARKDOWN_BLOCK.findall(README)]
    else:
        found = [
            Block(
                page, kind, "".join(re.findall(r":caption: (.*)", options)), textwrap.dedent(text)
            )
            for _, kind, options, text in RST_BLOCK.findall(PAGES[page])
        ]
    of_language = [block for block in found if block.language == language]
    assert of_language, f"{page} has no block of {language}"
    return of_language


def run(code: str, namespace: dict[str, Any], *, page: str) -> None:
    exec(compile(code, f"<{page}>", "exec"), namespace)  # noqa: S102 - the page is our own
