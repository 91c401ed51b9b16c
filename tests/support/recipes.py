"""The settings that the documentation shows for a provider: the tests log in with them."""

from __future__ import annotations

import os
import re
from typing import Any
from unittest.mock import patch

from flask import Config
from joserfc.jwk import Key

from tests.support.doc_pages import PAGES, RST_BLOCK

_HEADING = re.compile(r"^(\S.*)\n[=~-]{3,}\n", re.MULTILINE)


def settings_of(block: str) -> dict[str, Any]:
    """The settings in a block of environment variables, as ``from_prefixed_env`` reads them."""
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    with patch.dict(os.environ, dict(line.split("=", 1) for line in lines), clear=True):
        config = Config("")
        config.from_prefixed_env()
    return {name: value for name, value in config.items() if name.startswith("PARJAR_")}


def shown_settings(page: str, heading: str) -> dict[str, Any]:
    """The settings of the first block below a heading."""
    parts = _HEADING.split(PAGES[page])
    titles = zip(parts[1::2], parts[2::2], strict=True)
    (section,) = [below for title, below in titles if title == heading]
    found = [body for _, language, _, body in RST_BLOCK.findall(section) if language == "ini"]
    assert found, f"{page}: {heading} shows no settings"
    return settings_of(found[0])


def recipe(heading: str, *, issuer: str, key: Key, **more: Any) -> dict[str, Any]:
    """The settings that ``docs/providers`` shows for a provider, of which the tests have one.

    :param heading: that of the section.
    :param issuer: that of the provider on this machine.
    :param key: the signing key of the site.
    """
    shown = shown_settings("providers", heading)
    here = {"PARJAR_ISSUER": issuer, "PARJAR_SIGNING_KEY": key.as_dict(private=True)}
    assert {*here} <= {*shown}, f"{heading}: {sorted(shown)}"
    if "PARJAR_STORE" in shown:  # a Redis that is not here
        here["PARJAR_STORE"] = "memory"
    return {**shown, **here, **more}
