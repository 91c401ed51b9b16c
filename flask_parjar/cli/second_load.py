"""Whether SECRET_KEY is made anew at each start: then workers, or two starts, share no login."""

from __future__ import annotations

import hashlib
import secrets
import subprocess
import sys
from collections.abc import Iterator

from flask import Flask
from flask.cli import ScriptInfo

from .findings import FAULT, WARNING, Finding

_SECONDS = 60

#: Prints a digest of the key, so that the key itself is in no output and in no process list.
_PROGRAM = """
import sys
from flask.cli import ScriptInfo
from flask_parjar.cli.second_load import digest_of_key
path, salt = sys.argv[1:]
print(digest_of_key(ScriptInfo(app_import_path=path or None).load_app(), salt))
"""


def check_second_load(info: ScriptInfo | None, app: Flask) -> Iterator[Finding]:
    """Load the app once more, in a process of its own, and compare the keys.

    :param info: knows where the app is; None, or without an import path, nothing can be compared.
    """
    if info is None or info.create_app is not None:
        return
    salt = secrets.token_hex(16)
    path = info.app_import_path or ""
    try:
        ended = subprocess.run(  # noqa: S603 - this Python, and the app that runs here already
            [sys.executable, "-c", _PROGRAM, path, salt],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        found = f"the app could not be loaded a second time ({type(exc).__name__})"
        yield Finding(severity=WARNING, about="app", subject="SECRET_KEY", found=found)
        return
    if ended.stdout.split()[-1:] != [digest_of_key(app, salt)]:
        yield Finding(
            severity=FAULT,
            about="app",
            subject="SECRET_KEY",
            found="it is another one each time that the app is loaded: with several workers most "
            "logins fail (state_forged), and each restart ends all sessions",
            write="make one key, keep it outside of the code, and give it to all workers",
        )


def digest_of_key(app: Flask, salt: str) -> str:
    """A digest of SECRET_KEY that only shows whether two are the same."""
    key = app.secret_key or ""
    encoded = key.encode() if isinstance(key, str) else key
    return hashlib.sha256(salt.encode() + encoded).hexdigest()
