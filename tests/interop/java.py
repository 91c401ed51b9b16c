"""What the providers that run on Java share: the machine's Java and Maven, and a cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.requirements import NotPrepared

OLDEST_JAVA = 17
INSTALL = "apt-get install maven openjdk-17-jre-headless"  # (it has the compiler)

SECONDS_TO_PREPARE = 600


def missing_java(*, prepared: bool) -> str | None:
    """What this machine lacks to run a provider on Java, with the command that brings it; or None.

    :param prepared: whether the provider lies in the cache, so that Maven is not needed.
    """
    for command in ("java",) if prepared else ("java", "mvn"):
        if shutil.which(command) is None:
            return f"no `{command}` on the PATH: run `{INSTALL}` (Debian)"
    release = told_by_java("-version").split('"')[1]
    if int(release.split(".")[0]) < OLDEST_JAVA:
        return f"Java {release} is too old: install {OLDEST_JAVA} or later, `{INSTALL}` (Debian)"
    return None


def told_by_java(question: str) -> str:
    """Return what ``java`` writes when it is asked about itself."""
    told = subprocess.run(["java", question], capture_output=True, text=True, check=True)
    return told.stdout + told.stderr


def cache_folder() -> Path:
    """Where prepared providers lie, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "flask-parjar-tests"


def run_step(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a step of a preparation.

    :raises NotPrepared: it failed, with the end of what it wrote.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_TO_PREPARE,
    )
    if done.returncode != 0:
        raise NotPrepared(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
