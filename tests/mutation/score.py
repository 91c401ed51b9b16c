"""What ``mutmut run`` found: fails under 99 %, and at a survivor that README.md leaves out.

A mutant that changes only the words of a sentence is left out: the tests assert codes and values.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

LEAST = 0.99
README = Path(__file__).parent / "README.md"
STATISTICS = Path("mutants/mutmut-cicd-stats.json")


def changes_only_words(diff: str) -> bool:
    """Whether the lines of a diff differ in texts alone, and each of these is a sentence.

    mutmut also leaves out what an error says, or has None in its place.
    """
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        "\n".join(line[1:] for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )
    texts = [re.findall(r'"([^"]*)"', side) for side in (before, after)]
    code = [re.sub(r'"[^"]*"', '""', side) for side in (before, after)]
    if code[0] == code[1] and len(texts[0]) == len(texts[1]):
        changed = [old for old, new in zip(*texts, strict=True) if old != new]
        return bool(changed) and all(" " in text for text in changed)
    is_error = before.lstrip().startswith("raise ")
    return is_error and _without_sentence(before) == _without_sentence(after)


def _without_sentence(code: str) -> str:
    """The call of an error without its last argument, if that is a sentence or None."""
    return re.sub(r'(, )?("[^"]* [^"]*"|None)?\)$', ")", code)


def show(mutant: str) -> str:
    command = ["mutmut", "show", f"flask_parjar.{mutant}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    subprocess.run(["mutmut", "export-cicd-stats"], check=True, capture_output=True)
    counted = json.loads(STATISTICS.read_text(encoding="utf-8"))
    found = subprocess.run(["mutmut", "results"], check=True, capture_output=True, text=True)
    survivors = set(re.findall(r"flask_parjar\.(\S+): (?!killed|timeout)", found.stdout))
    reworded = {mutant for mutant in survivors if changes_only_words(show(mutant))}
    alive = survivors - reworded
    explained = set(re.findall(r"`(\S+__mutmut_\d+)`", README.read_text(encoding="utf-8")))
    dead, total = counted["killed"] + counted["timeout"], counted["total"] - len(reworded)
    score = dead / total if total else 0.0
    print(
        f"{total} mutants, {dead} killed, {len(alive)} alive: {score:.1%}"
        f" ({len(reworded)} that change only the words of a sentence are left out)"
    )
    for name in sorted(alive - explained):
        print(f"alive and not explained: {name} (mutmut show flask_parjar.{name})")
    return int(score < LEAST or not alive <= explained)


if __name__ == "__main__":
    sys.exit(main())
