"""Requests straight into a WSGI app."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from flask_parjar.testing import WSGIAdapter


class Echo:
    """An app that says what it was asked, and counts what it was made to say."""

    def __init__(self) -> None:
        self.made = 0
        self.endings: list[str] = []
        self.app = Flask("echo")
        methods = ["GET", "POST", "HEAD"]
        self.app.add_url_rule("/<path:path>", "echo", self.echo, methods=methods)
        self.app.add_url_rule("/", "root", self.echo, defaults={"path": "/"}, methods=methods)
        self.app.add_url_rule("/pieces", "pieces", self.pieces)

    def echo(self, path: str) -> Any:
        answer = Response(status=201)
        answer.set_data(f"{request.url}|{request.get_data(as_text=True)}|{request.content_type}")
        answer.headers["X-Kind"] = request.headers.get("X-Kind", "none")
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    def pieces(self) -> Any:
        def make() -> Iterator[bytes]:
            try:
                while True:
                    self.made += 1
                    yield b"" if self.made % 2 else b"x" * 1000
            finally:
                self.endings.append("closed")

        return Response(make())


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def http(echo: Echo) -> requests.Session:
    session = requests.Session()
    session.mount("https://echo.example/", WSGIAdapter(echo.app))
    return session


def test_a_post(http: requests.Session) -> None:
    answer = http.post(
        "https://echo.example/a%20b/c?d=e&d=f", data={"k": "v w"}, headers={"X-Kind": "rare"}
    )
    assert (answer.status_code, answer.reason) == (201, "CREATED")
    expected = "https://echo.example/a%20b/c?d=e&d=f|k=v+w|application/x-www-form-urlencoded"
    assert answer.text == expected
    assert answer.headers["x-kind"] == "rare"
    assert answer.headers["Set-Cookie"] == "a=1; Path=/, b=2; Path=/"
    assert answer.url == "https://echo.example/a%20b/c?d=e&d=f"
    assert answer.encoding == "utf-8"
    assert answer.request.method == "POST"


def test_bytes_and_nothing(http: requests.Session) -> None:
    assert http.post("https://echo.example/", data=b"\x41").text == "https://echo.example/|A|None"
    assert http.get("https://echo.example").text == "https://echo.example/||None"
    assert http.head("https://echo.example/").text == ""


def test_a_body_is_made_as_it_is_read(http: requests.Session, echo: Echo) -> None:
    answer = http.get("https://echo.example/pieces", stream=True)
    assert answer.raw.read(1500) == b"x" * 1500
    assert echo.made < 30
    assert echo.endings == []
    answer.close()
    answer.close()
    assert echo.endings == ["closed"]


def test_a_bare_request_without_a_session(echo: Echo) -> None:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = None, "https://echo.example"
    prepared.headers = requests.structures.CaseInsensitiveDict()
    with WSGIAdapter(echo.app).send(prepared, stream=True) as answer:
        assert answer.raw.read() == b"https://echo.example/||None"


@pytest.mark.parametrize("length", [0, 5, 100_000])
def test_a_body_of_a_file_or_in_pieces(http: requests.Session, length: int) -> None:
    content = "x" * length
    halves = [content[: length // 2].encode(), content[length // 2 :].encode()]
    for body in (io.BytesIO(content.encode()), io.StringIO(content), iter(halves)):
        answer = http.post("https://echo.example/", data=body)
        assert answer.text == f"https://echo.example/|{content}|None"


def test_an_app_that_answers_with_a_list(echo: Echo) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"plain"]

    session = requests.Session()
    session.mount("http://", WSGIAdapter(app))
    with session.get("http://any.example/", stream=True) as answer:
        assert answer.content == b"plain"
    session.close()
