"""A file of keys: readable by its owner alone, and never half written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

_OWNER_ALONE = 0o600


class KeyFileError(Exception):
    """A file of keys cannot be read or written; the text says why."""


def read_key_file(path: Path) -> str:
    """Read a file of keys.

    :raises KeyFileError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyFileError(f"{path} cannot be read ({type(exc).__name__})") from exc


def create_key_file(path: Path, text: str) -> None:
    """Write a new file, and no other one over.

    :raises KeyFileError: there is one, or it cannot be written.
    """
    try:
        _write_new(path, text)
    except FileExistsError as exc:
        raise KeyFileError(f"{path} is there already: choose another name") from exc
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be written ({type(exc).__name__})") from exc


def change_key_file(path: Path, change: Callable[[str], str]) -> None:
    """Put a new file in the place of the old one, at once, with the same owner and permissions.

    The new file lies beside the old one while it is written, under a name that says that this is
    going on: so two commands do not change one file at the same time.

    :param change: from the old text to the new one.
    :raises KeyFileError: it cannot be read or written, or another command is changing it.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    beside = path.with_name(f"{path.name}.new")
    try:
        _write_new(beside, "")
    except FileExistsError as exc:
        raise KeyFileError(
            f"{beside} is there: another command is changing the keys. If none is, remove it"
        ) from exc
    except OSError as exc:
        raise KeyFileError(f"{beside} cannot be written ({type(exc).__name__})") from exc
    try:
        text = change(read_key_file(path))
        _keep_owner(path, beside)
        with beside.open("w", encoding="utf-8") as file:
            _write(file, text)
        os.replace(beside, path)
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be written ({type(exc).__name__})") from exc
    finally:
        beside.unlink(missing_ok=True)


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            _write(file, text)
    except OSError:
        path.unlink()  # half a key is worse than none
        raise


def _write(file: TextIO, text: str) -> None:
    """Write a text, and wait until the disk has it: the rename after it must not be first."""
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def _keep_owner(old: Path, new: Path) -> None:
    """Give the new file to the owner of the old one: a site must not lose its keys to root."""
    status = os.stat(old)
    if os.name == "posix":  # pragma: no branch - Windows has no such owners
        os.chown(new, status.st_uid, status.st_gid)
    os.chmod(new, status.st_mode & 0o777)
