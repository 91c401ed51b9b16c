"""An app of a page, run as its reader does: settings in the environment, the key in the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tests.support.doc_pages import blocks, run


def text_of(page: str, language: str, caption: str, replace: Mapping[str, str]) -> str:
    """The block of a page with that caption; the text of it that is replaced must be there."""
    (text,) = [each.text for each in blocks(page, language) if each.caption == caption]
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    return text


def run_app(
    page: str,
    caption: str,
    *,
    issuer: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    replace: Mapping[str, str],
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """Run an app with the settings of the quickstart: the names of its module.

    :param folder: where it runs; its name becomes that of the module.
    :param settings: further settings, without ``FLASK_``.
    """
    (folder / "key.pem").write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)
    environment = {
        "SECRET_KEY": "of the tests, and long enough",
        "PARJAR_ISSUER": issuer,
        "PARJAR_CLIENT_ID": "my-site",
        "PARJAR_SIGNING_KEY": "key.pem",
        **settings,
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    namespace: dict[str, Any] = {"__name__": folder.name}  # Celery wants a name of its own
    run(text_of(page, "python", caption, replace), namespace, page=page)
    return namespace
