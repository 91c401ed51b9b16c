"""What caches are told: a page made for somebody is theirs, and a file for everybody is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import (
    Flask,
    Response,
    render_template_string,
    send_file,
    stream_template_string,
    stream_with_context,
)
from werkzeug.test import TestResponse

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.testing import DevProvider
from tests.support.site import Visitor, make_site

HELLO = "<p>{% if current_user %}Hello {{ current_user.email }}{% else %}Log in{% endif %}</p>"
#: The setting that many sites have for the files that everybody may have.
FOR_FILES = {"SEND_FILE_MAX_AGE_DEFAULT": 3600}


@pytest.fixture
def pages(tmp_path: Path) -> Callable[[Flask, ParJar], None]:
    """Views whose answer is made for the person who is logged in."""
    file = tmp_path / "invoice.txt"
    file.write_text("invoice of ada", encoding="utf-8")

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.static_folder = str(tmp_path)

        @app.get("/invoice")
        @login_required
        def invoice() -> Response:
            return send_file(file)

        @app.get("/invoice-for-a-minute")
        @login_required
        def invoice_for_a_minute() -> Response:
            return send_file(file, max_age=60)

        @app.get("/written")
        def written() -> str:
            return render_template_string(HELLO)

        @app.get("/streamed")
        def streamed() -> Any:
            return stream_template_string(HELLO)

        @app.get("/piece-by-piece")
        def piece_by_piece() -> Response:
            def pieces() -> Any:
                yield "Hello "
                yield current_user.email or "somebody"

            return Response(stream_with_context(pieces()))

    return prepare


def is_private(response: TestResponse) -> bool:
    """Whether no cache that several people share may keep an answer."""
    allowed = response.cache_control
    return not allowed.public and bool(allowed.private or allowed.no_store)


@pytest.mark.parametrize("config", [{}, FOR_FILES], ids=["plain", "a setting for files"])
@pytest.mark.parametrize("path", ["/invoice", "/invoice-for-a-minute"])
def test_a_file_behind_a_guard_is_kept_by_no_shared_cache(
    provider: DevProvider,
    pages: Callable[[Flask, ParJar], None],
    path: str,
    config: dict[str, Any],
) -> None:
    visitor = Visitor(make_site(provider, prepare=pages, **config), provider)
    visitor.log_in()
    answer = visitor.get(path, buffered=True)
    assert answer.text == "invoice of ada"
    assert is_private(answer) and "Cookie" in answer.vary


@pytest.mark.parametrize(
    "path, begins",
    [
        ("/written", "<p>Hello ada@"),
        ("/streamed", "<p>Hello ada@"),
        ("/piece-by-piece", "Hello ada@"),
    ],
)
def test_a_page_with_a_user_s_name_is_kept_by_no_shared_cache(
    provider: DevProvider, pages: Callable[[Flask, ParJar], None], path: str, begins: str
) -> None:
    """Also where the headers are gone before the name is asked for."""
    visitor = Visitor(make_site(provider, prepare=pages), provider)
    visitor.log_in()
    answer = visitor.get(path, buffered=True)
    assert answer.text.startswith(begins)
    assert is_private(answer) and "Cookie" in answer.vary


def test_a_static_file_may_be_cached_for_all(
    provider: DevProvider, pages: Callable[[Flask, ParJar], None]
) -> None:
    """Somebody who is logged in gets it with the same headers as everybody else."""
    app = make_site(provider, prepare=pages, **FOR_FILES)
    anonymous, visitor = Visitor(app, provider), Visitor(app, provider)
    visitor.log_in()
    for each in (anonymous, visitor):
        answer = each.get("/static/invoice.txt", buffered=True)
        assert (answer.status_code, answer.cache_control.public) == (200, True)
        assert answer.cache_control.max_age == 3600
        assert "Cookie" not in answer.vary and "Set-Cookie" not in answer.headers


def test_a_page_for_a_logged_in_user_is_not_stored(visitor: Visitor) -> None:
    assert "Cache-Control" not in visitor.get("/").headers
    visitor.log_in()
    assert visitor.get("/me").headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in visitor.get("/me").headers["Vary"]


@pytest.mark.parametrize(
    "given, sent",
    [
        ("private, max-age=5", "private, max-age=5"),
        ("no-store", "no-store"),
        ("no-cache", "no-cache, private"),
        ("max-age=5", "max-age=5, private"),
        ("public, s-maxage=60, max-age=5", "max-age=5, private"),
        ("public, no-store", "no-store"),
    ],
)
def test_a_page_that_sets_cache_control_keeps_it_for_the_browser_alone(
    provider: DevProvider, given: str, sent: str
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/cached")
        def cached() -> Response:
            text = f"Hello {current_user.name}"
            return Response(text, headers={"Cache-Control": given})

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/cached").headers["Cache-Control"] == given  # no one is logged in
    visitor.log_in()
    answer = visitor.get("/cached")
    assert answer.headers["Cache-Control"] == sent and "Cookie" in answer.vary


def test_a_stream_that_is_public_stays_so(provider: DevProvider) -> None:
    """Nothing but the view itself can have said that."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/prices")
        def prices() -> Response:
            return Response(iter(["1,", "2"]), headers={"Cache-Control": "public, max-age=60"})

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    answer = visitor.get("/prices", buffered=True)
    assert answer.headers["Cache-Control"] == "public, max-age=60" and "Cookie" not in answer.vary


def test_a_stream_for_a_visitor_without_a_login_is_left_alone(
    provider: DevProvider, pages: Callable[[Flask, ParJar], None]
) -> None:
    answer = Visitor(make_site(provider, prepare=pages), provider).get("/streamed", buffered=True)
    assert answer.text == "<p>Log in</p>" and "Cache-Control" not in answer.headers
