"""The reader with a deadline: it ends an exchange whose next byte is always there already."""

from __future__ import annotations

import io
import socket
import time

import pytest

from flask_parjar.provider.transport import _DeadlineReader


def test_bytes_that_are_always_there_end_too() -> None:
    """A socket's own time-out would never come: nothing is ever waited for."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        theirs.sendall(b"x" * 1000)
        raw = ours.makefile("rb", buffering=0)
        reader = _DeadlineReader(raw, ours)  # type: ignore[arg-type]
        with reader:
            assert reader.readable()
            assert reader.readinto(bytearray(1)) == 1
            time.sleep(0.25)
            with pytest.raises(TimeoutError, match="whole exchange"):
                reader.readinto(bytearray(1))
        assert reader.closed and raw.closed
        assert isinstance(reader, io.RawIOBase)
