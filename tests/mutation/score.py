"""What ``mutmut run`` found: fails under 95 %, and at a survivor that README.md leaves out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

LEAST = 0.95
README = Path(__file__).parent / "README.md"
STATISTICS = Path("mutants/mutmut-cicd-stats.json")


def main() -> int:
    subprocess.run(["mutmut", "export-cicd-stats"], check=True, capture_output=True)
    counted = json.loads(STATISTICS.read_text(encoding="utf-8"))
    found = subprocess.run(["mutmut", "results"], check=True, capture_output=True, text=True)
    alive = re.findall(r"flask_parjar\.(\S+): (?!killed|timeout)", found.stdout)
    explained = re.findall(r"`(\S+__mutmut_\d+)`", README.read_text(encoding="utf-8"))
    dead = counted["killed"] + counted["timeout"]
    score = dead / counted["total"] if counted["total"] else 0.0
    print(f"{counted['total']} mutants, {dead} killed, {len(alive)} alive: {score:.1%}")
    for name in sorted(set(alive) - set(explained)):
        print(f"alive and not explained: {name} (mutmut show flask_parjar.{name})")
    return int(score < LEAST or not set(alive) <= set(explained))


if __name__ == "__main__":
    sys.exit(main())
