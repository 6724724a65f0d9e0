"""How long planning takes, and which studies an edit of one module makes run again."""

from __future__ import annotations

import subprocess
import sys
import time

from shared import registry
from workflow import digest
from workflow.notebook import ROOT


def dependants() -> dict[str, list[str]]:
    """For each module of `shared`, the studies that run again when it is edited."""
    found: dict[str, list[str]] = {}
    for paper in registry.load():
        if (ROOT / paper.notebook).exists():
            for part in digest.parts(paper):
                if part.startswith("shared/"):
                    found.setdefault(part, []).append(paper.id)
    return dict(sorted(found.items()))


def main() -> None:
    """Print the seconds of a run with nothing to do, and the dependants of every module."""
    command = [sys.executable, "-m", "workflow.reproduce"]
    subprocess.run(command, cwd=ROOT, capture_output=True)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, capture_output=True)
        times.append(time.perf_counter() - start)
    print(f"\nmake reproduce with nothing changed: {sorted(times)[1]:.2f} s (median of 3)")
    print("An edit of this module runs these studies again:")
    for module, papers in dependants().items():
        print(f"  {module:<34}{', '.join(papers)}")


if __name__ == "__main__":
    main()
