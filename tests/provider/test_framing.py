"""The readers underneath an answer: of a socket until a deadline, and of a body in chunks."""

from __future__ import annotations

import io
import socket
import time
from http.client import IncompleteRead

import pytest

from flask_parjar.provider.framing import (
    MalformedAnswer,
    _Chunks,
    _DeadlineReader,
    _read_fields,
)
from tests.support.framing import CHUNKS, SAID


def test_bytes_that_are_always_there_end_too() -> None:
    """A socket's own time-out would never come: nothing is ever waited for."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        theirs.sendall(b"x" * 1000)
        reader = _DeadlineReader(ours)
        with reader:
            assert reader.readable()
            assert reader.readinto(bytearray(1)) == 1
            time.sleep(0.25)
            with pytest.raises(TimeoutError, match="whole exchange"):
                reader.readinto(bytearray(1))
        assert reader.closed and reader._raw.closed
        assert isinstance(reader, io.RawIOBase)


def test_a_socket_that_is_not_to_wait_is_looked_at_after_the_deadline_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.01)
        with _DeadlineReader(ours) as reader:
            time.sleep(0.02)
            ours.settimeout(0)
            assert reader.readinto(bytearray(1)) is None
            theirs.sendall(b"x")
            assert reader.readinto(bytearray(1)) == 1


def test_chunks_are_read_as_far_as_they_are_there() -> None:
    """What ``read1`` of a response asks for, with the newer urllib3."""
    ours, theirs = socket.socketpair()
    with ours, theirs, _Chunks(ours.makefile("rb")) as chunks:
        ours.settimeout(2)
        theirs.sendall(b"7\r\n" + SAID[:3])
        assert chunks.readline() == b"7\r\n"
        assert chunks.read1(100) == SAID[:3]
        theirs.sendall(SAID[3:] + CHUNKS[-7:])
        assert (chunks.read1(2), chunks.read1()) == (SAID[3:5], SAID[5:])
        assert chunks.read1(2) == b"\r\n"
        assert not chunks.ended
        assert chunks.readline() == b"0\r\n"
        assert chunks.ended
        assert chunks.readline() == b"\r\n"
    assert chunks.closed


def test_chunks_give_no_more_than_is_theirs() -> None:
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS)))  # type: ignore[arg-type]
    with pytest.raises(MalformedAnswer):
        chunks.read(2)
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS)))  # type: ignore[arg-type]
    chunks.readline()
    with pytest.raises(MalformedAnswer):
        chunks.readline()
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS)))  # type: ignore[arg-type]
    chunks.readline()
    buffer = bytearray(100)
    assert chunks.readinto(buffer) == 3 and buffer[:3] == SAID[:3]
    assert chunks.read(100) == b"\r\n"
    chunks.readline()
    assert chunks.read() == SAID[3:]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 6])
def test_chunks_are_read_up_to_a_limit(limit: int) -> None:
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS)))  # type: ignore[arg-type]
    assert (chunks.read_whole(limit), chunks.ended) == (SAID[:limit], False)


@pytest.mark.parametrize("limit", [8, 1000])
def test_chunks_are_read_to_their_end(limit: int) -> None:
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS)))  # type: ignore[arg-type]
    assert (chunks.read_whole(limit), chunks.ended) == (SAID, True)


@pytest.mark.parametrize("length", range(len(CHUNKS) - 2))
def test_chunks_that_are_cut_off(length: int) -> None:
    """Without the empty line at the end they are complete: see the trailer section."""
    chunks = _Chunks(io.BufferedReader(io.BytesIO(CHUNKS[:length])))  # type: ignore[arg-type]
    with pytest.raises(IncompleteRead):
        chunks.read_whole(1000)
    assert not chunks.ended


def fields_of(text: bytes) -> list[tuple[str, str]]:
    reader = io.BufferedReader(io.BytesIO(text + b"\r\nbody"))  # type: ignore[arg-type]
    fields = _read_fields(reader).items()
    assert reader.read() == b"body"
    return fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (b"", []),
        (b"A: b\r\nC:d\n", [("A", "b"), ("C", "d")]),
        (b"A: b\r\nA: c\r\n", [("A", "b"), ("A", "c")]),
        (b"A: b\r\n c\r\n\t d\nE: f\r\n", [("A", "b c d"), ("E", "f")]),
        (b"A: b\r\n \r\n c\r\n", [("A", "b  c")]),
        (b"A: \xe9\r\n", [("A", "\xe9")]),
    ],
)
def test_field_lines_and_those_that_continue_another(
    text: bytes, fields: list[tuple[str, str]]
) -> None:
    """RFC 9112 section 5.2: the line break and the white space after it become one space."""
    assert fields_of(text) == fields


@pytest.mark.parametrize(
    "text",
    [
        b" A: b\r\n",
        b"A : b\r\n",
        b"A\r\n",
        b": b\r\n",
        b"A: \0\r\n",
        b"A: b\r\r\n",
        b"A: b\rC: d\r\n",
    ],
)
def test_a_field_line_that_is_none(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        fields_of(text)
