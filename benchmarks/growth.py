"""How planning, digests, gallery and report grow with the collection: 48, 480 and 5,000 studies.

`python -m benchmarks.growth` copies the committed studies (as links, under new ids) into a
temporary collection and times each step on it, in one process. The last column is the exponent
between the two largest sizes: 1 is linear.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path

import yaml

from shared import registry
from workflow import gallery, reproduce, results
from workflow.execute import Record
from workflow.notebook import ROOT
from workflow.report import render
from workflow.select import choose

SIZES = (48, 480, 5_000)
PER_TOPIC = 20


def collection(root: Path, size: int) -> Path:
    """A collection of `size` studies in `root`, each a link to a committed one; its run folder."""
    (root / "notebooks").mkdir(parents=True)
    for name in ("shared", "environment.yml", "README.md"):
        (root / name).symlink_to(ROOT / name)
    entries: dict[str, list[dict]] = {}
    for number, paper in enumerate(islice(cycle(choose()), size)):
        topic = f"topic-{number // PER_TOPIC:03d}"
        entry = {k: v for k, v in asdict(paper).items() if k != "topic"}
        entry |= {"id": f"study-{number:05d}", "deviations": list(paper.deviations)}
        entries.setdefault(topic, []).append(entry | {"claims": list(entry["claims"])})
        folder = root / "notebooks" / topic
        folder.mkdir(exist_ok=True)
        os.symlink(ROOT / paper.notebook, folder / f"{entry['id']}.ipynb")
    for topic, papers in entries.items():
        path = root / "notebooks" / topic / "papers.yaml"
        path.write_text(yaml.dump(papers, Dumper=yaml.CSafeDumper), "utf8")
    return root / "runs"


def steps(root: Path, out: Path) -> dict[str, float]:
    """Seconds of each step on the collection in `root`, and the megabytes of what it makes."""
    found: dict[str, float] = {}

    def timed(name: str, call, *args):
        start = time.perf_counter()
        value = call(*args)
        found[name] = time.perf_counter() - start
        return value

    papers = timed("registry read and checked, s", registry.load, root)
    made = timed(
        "committed results and digests, s", lambda: [results.committed(p, root) for p in papers]
    )
    for paper, result in zip(papers, made, strict=True):
        (out / paper.topic).mkdir(parents=True, exist_ok=True)
        record = Record(paper.id, "ok", digest=result.digest, verdict=result.verdict)
        (out / paper.topic / f"{paper.id}.json").write_text(json.dumps(asdict(record)))
        (out / paper.topic / f"{paper.id}.ipynb").touch()
    jobs = timed("planning with nothing to do, s", reproduce.plan, made, {}, out, root)
    assert not jobs
    page = timed("report, s", render, made, "Growth")
    pages = timed("gallery pages, s", gallery.pages, made)
    found["report, MB"] = len(page.encode()) / 1e6
    found["largest gallery page, kB"] = max(len(text) for text in pages.values()) / 1e3
    return found


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        columns = []
        for size in sizes:
            root = Path(folder) / str(size)
            columns.append(steps(root, collection(root, size)))
    print(f"\n{'studies':<36}" + "".join(f"{size:>9,}" for size in sizes) + f"{'exponent':>10}")
    for name in columns[0]:
        row = [column[name] for column in columns]
        power = math.log(row[-1] / row[-2]) / math.log(sizes[-1] / sizes[-2])
        print(f"{name:<36}" + "".join(f"{value:>9.2f}" for value in row) + f"{power:>10.2f}")


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
