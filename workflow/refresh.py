"""Re-execute stale studies, copy their cleaned outputs back in place and regenerate the pages."""

from __future__ import annotations

import argparse
import os
import sys

from shared.registry import Paper, RegistryError
from workflow import digest, gallery, lint, notebook, reproduce, results
from workflow.execute import OK, ParameterError
from workflow.notebook import ROOT, NotebookError
from workflow.select import add_selection, choose


def _stamp(paper: Paper, record: results.Record) -> dict:
    """The metadata that says what the outputs were made from and what they cost."""
    made_from = digest.parts(paper)
    return {
        "digest": record.digest,
        "made_from": made_from,
        "cpu_seconds": record.cpu_seconds,
        "peak_mb": record.peak_mb,
        "versions": {name: v for name, v in made_from.items() if name in digest.pins()},
    }


def main(argv: list[str] | None = None) -> int:
    """Refresh the chosen studies, or all stale ones; 1 if a study failed and was left as it was."""
    parser = argparse.ArgumentParser(prog="make refresh", description=main.__doc__)
    add_selection(parser)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    out = notebook.build_dir() / "runs" / "default"
    try:
        papers = choose(args.id, args.topic)
        studies = [results.committed(paper) for paper in papers]
        if not args.id:
            studies = [study for study in studies if study.stale]
        with reproduce.lock(notebook.build_dir()):
            jobs = reproduce.plan(studies, {}, out)
            if jobs:
                reproduce.run(jobs, {}, out, workers=args.workers)
    except (RegistryError, NotebookError, ParameterError, reproduce.BusyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = 0
    for paper in (study.paper for study in studies):
        record = results.record(paper, out)
        if record is None or record.status != OK:
            failed += 1
            why = f"{record.status}: {record.message}" if record else "did not run"
            print(f"{paper.id}: left as it was; {why}", file=sys.stderr)
            continue
        if record.digest != digest.digest(digest.parts(paper)):
            failed += 1
            print(f"{paper.id}: left as it was; edited while it ran, run again", file=sys.stderr)
            continue
        executed = notebook.read(out / paper.topic / f"{paper.id}.ipynb")
        try:
            current = notebook.with_outputs(notebook.read(ROOT / paper.notebook), executed)
        except NotebookError as error:
            failed += 1
            (out / paper.topic / f"{paper.id}.json").unlink()
            print(f"{paper.id}: left as it was; {error}: refresh it again", file=sys.stderr)
            continue
        cleaned = notebook.clean(current, _stamp(paper, record))
        notebook.write(cleaned, ROOT / paper.notebook)
        print(f"{paper.id}: {record.verdict['verdict']}, {record.cpu_seconds} CPU s")
        for problem in lint.study(paper):
            print(f"  {problem}")
    gallery.write(ROOT, [results.committed(p) for p in choose()])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
