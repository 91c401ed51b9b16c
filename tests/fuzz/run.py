"""Coverage-guided fuzzing: ``python -m tests.fuzz.run SECONDS [TARGET ...]``, or ``tox -e fuzz``.

Each target starts from its corpus. An input that breaks a promise is written into that corpus, so
that ``test_corpus.py`` fails until it is mended, and replays it ever after.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(folder.name for folder in CORPUS.iterdir())


def main(seconds: str = "60", *names: str) -> int:
    """Fuzz the targets one after the other, each in a process of its own; the number that broke."""
    broken = 0
    for name in names or NAMES:
        print(f"\n##### {name}, {seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.run", "--in-this-process", name, seconds]
        broken += subprocess.run(command).returncode != 0
    return broken


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    logging.disable()
    with atheris.instrument_imports(include=["flask_parjar"]):
        from tests.fuzz.targets import TARGETS
    seeds = CORPUS / name
    with tempfile.TemporaryDirectory() as found:
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-timeout=10",
            "-print_final_stats=1",
            f"-artifact_prefix={seeds}/",
        ]
        atheris.Setup([sys.argv[0], *options, found, str(seeds)], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-this-process"]:
        fuzz(*sys.argv[2:])
    else:
        sys.exit(main(*sys.argv[1:]))
