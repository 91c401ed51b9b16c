"""Spring Authorization Server as a child process: whether it can run here, its build, its start.

Its class is the one of ``docs/providers``. It is built once, into a cache folder outside the
checkout.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.interop.java import INSTALL, cache_folder, missing_java, run_step, told_by_java
from tests.support.child_process import ChildProcess

#: A Maven project: the class, and the client that ``docs/providers`` registers.
SOURCE = Path(__file__).parent / "spring"
JAR = "authorization-server.jar"

PERSON = {"name": "ada", "password": "any"}

# Less to compile and one thread that collects: a start takes a third of the processor time.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m")

SECONDS_TO_START = 120


def missing_spring() -> str | None:
    """What this machine lacks to build and run the server, with the command; or None."""
    built = _cached_jar().exists()
    missing = missing_java(prepared=built)
    if missing is None and not built and "jdk.compiler" not in told_by_java("--list-modules"):
        return f"this Java has no compiler: install a JDK, `{INSTALL}` (Debian)"
    return missing


def _cached_jar() -> Path:
    """Where the built server lies: another source is another file."""
    hashed = hashlib.sha256()
    for file in (SOURCE / "pom.xml", *sorted((SOURCE / "src").rglob("*.*"))):
        hashed.update(f"{file.relative_to(SOURCE)}\0".encode() + file.read_bytes())
    return cache_folder() / f"spring-{hashed.hexdigest()[:16]}.jar"


def built_server() -> Path:
    """Return the jar of the server; build it if need be.

    :raises NotPrepared: it cannot be built, with the end of what Maven wrote.
    """
    jar = _cached_jar()
    if jar.exists():
        return jar
    jar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
        project = Path(scratch)
        shutil.copy(SOURCE / "pom.xml", project)
        shutil.copytree(SOURCE / "src", project / "src")
        run_step(["mvn", "--batch-mode", "--quiet", "-Dstyle.color=never", "package"], cwd=project)
        # At once: of two runs that build it, the later one replaces the same file.
        (project / "target" / JAR).replace(jar)
    return jar


class SpringProcess(ChildProcess):
    """A running Spring Authorization Server; a context manager that ends it.

    :param clients: what is laid over ``application.yaml``, by the name of the client; in the names
        of Spring Boot's properties.
    """

    def __init__(self, *, clients: Mapping[str, Mapping[str, Any]]) -> None:
        jar = built_server()
        self._folder = tempfile.TemporaryDirectory(prefix="spring-")
        security = {"user": PERSON, "oauth2": {"authorizationserver": {"client": clients}}}
        properties = Path(self._folder.name) / "tests.yaml"  # (JSON is YAML)
        properties.write_text(json.dumps({"spring": {"security": security}}), encoding="utf-8")
        super().__init__(
            [
                *("java", *JAVA_OPTIONS, "-jar", str(jar)),
                f"--spring.config.additional-location=file:{properties}",
                "--server.address=127.0.0.1",
                "--server.port=0",
            ]
        )
        self.issuer = f"http://127.0.0.1:{self._port()}"
        self.wait_until_it_answers(f"{self.issuer}/.well-known/openid-configuration")

    def _port(self) -> int:
        """Wait until it says which free port it has taken."""
        too_late = time.monotonic() + SECONDS_TO_START
        while self.process.poll() is None and time.monotonic() < too_late:
            if told := re.search(r"Tomcat started on port (\d+)", self.log):
                return int(told[1])
            time.sleep(0.05)
        self.fail_to_start()

    @property
    def metadata(self) -> dict[str, Any]:
        """The server's discovery document."""
        answer = self.session.get(f"{self.issuer}/.well-known/openid-configuration", timeout=10)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def stop(self) -> None:
        """End the process and remove what it was started with."""
        super().stop()
        self._folder.cleanup()
