"""What it takes to be there at all: the time of an import, and memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

from tests.benchmark.stub_process import ROOT

_IMPORTS = {
    "flask, requests, joserfc.jwt": "import flask, requests, joserfc.jwt",
    "flask_parjar": "import flask_parjar",
    "flask": "import flask",
    "authlib.integrations.flask_client": "import authlib.integrations.flask_client",
}
BASIS, OURS = list(_IMPORTS)[:2]

_TIMED = """
import time
began = time.process_time()
{statement}
print(time.process_time() - began)
"""

_BARE = """
import flask
app = flask.Flask("app")
app.config["SECRET_KEY"] = "s" * 32
app.add_url_rule("/", view_func=lambda: "page")
"""

_APPS = {
    "bare Flask app": "",
    "with Flask-ParJar": """
import flask_parjar
app.config.update(
    PARJAR_ISSUER="https://op.example", PARJAR_CLIENT_ID="site", PARJAR_SIGNING_KEY={key!r}
)
flask_parjar.ParJar(app)
""",
    "with Authlib's flask_client": """
from authlib.integrations.flask_client import OAuth
OAuth(app).register("op", client_id="site", client_secret="secret")
""",
}
BARE_APP = next(iter(_APPS))

_LOOKED_AT = """
app.test_client().get("/")
from tests.benchmark.footprint import resident_bytes
print(resident_bytes())
"""


def resident_bytes(pid: int | None = None) -> int:
    """The resident memory of a process, this one by default; 0 where it is not known (no Linux)."""
    try:
        with open(f"/proc/{pid or os.getpid()}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> int:
    """The open files and sockets of this process; 0 where it is not known (no Linux)."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _run(code: str, bytecode: str) -> float:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"PYTHONPYCACHEPREFIX": bytecode},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))


class Footprint(NamedTuple):
    """Milliseconds of a processor for each import, and bytes for each app."""

    imports: Mapping[str, float]
    apps: Mapping[str, int]


def measure_footprint(key: str, *, rounds: int) -> Footprint:
    """Import and build in fresh processes, in turn; medians.

    :param key: a PEM for the app to sign with.
    """
    times: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    sizes: dict[str, list[float]] = {name: [] for name in _APPS}
    # What a site has compiled once must be compiled here too, however it was installed.
    with tempfile.TemporaryDirectory(prefix="parjar-benchmark-") as bytecode:
        for number in range(rounds + 1):
            for name, statement in _IMPORTS.items():
                spent = _run(_TIMED.format(statement=statement), bytecode) * 1000
                if number:  # the first one compiles
                    times[name].append(spent)
        for _ in range(max(1, rounds // 2)):
            for name, setup in _APPS.items():
                size = _run(_BARE + setup.format(key=key) + _LOOKED_AT, bytecode)
                sizes[name].append(size)
    return Footprint(
        imports={name: statistics.median(each) for name, each in times.items()},
        apps={name: round(statistics.median(each)) for name, each in sizes.items()},
    )
