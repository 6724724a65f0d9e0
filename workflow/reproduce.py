"""Run every study that is not up to date, compare with the committed verdicts, end in one table."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from shared.evidence import REPRODUCED
from shared.registry import Paper, RegistryError
from workflow import notebook, results
from workflow.execute import OK, ParameterError, Record, check_parameters, parse_settings
from workflow.notebook import ROOT, NotebookError
from workflow.results import Result
from workflow.select import add_selection, choose

STALE, NOT_RUN, CHANGED = "stale", "not run", "changed"


class BusyError(RuntimeError):
    """Another run is using the same build folder."""


@dataclass(frozen=True)
class Job:
    """A study to be run with given parameters; `expected` is its CPU seconds, as far as known."""

    paper: Paper
    digest: str
    expected: float


def variant(given: dict[str, object]) -> str:
    """The folder name of a set of parameters: `default`, or `seeds=10,scale=full`."""
    return ",".join(f"{k}={given[k]}" for k in sorted(given)) or "default"


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder` for this run; BusyError if another one has it. Freed even by kill -9."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise BusyError(
                f"another run (process {holder}) is using {folder}: wait for it, or set BUILD="
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def plan(
    studies: list[Result], given: dict[str, object], out: Path, root: Path = ROOT
) -> list[Job]:
    """The studies whose result in `out` is missing, failed or made from something else.

    Raises NotebookError and ParameterError before anything runs.
    """
    jobs = []
    for study in studies:
        paper = study.paper
        old = results.record(paper, out)
        done = (out / paper.topic / f"{paper.id}.ipynb").exists()
        if old and old.status == OK and old.digest == study.digest and done:
            continue
        nb = notebook.read(root / paper.notebook)
        check_parameters(given, notebook.parameters(nb, str(paper.notebook)), paper.id)
        jobs.append(Job(paper, study.digest, study.cpu_seconds or 30.0))
    return jobs


def _die_with_parent() -> None:
    """Linux: a killed front process takes Snakemake along; its kernels notice by themselves."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


def run(
    jobs: list[Job],
    given: dict[str, object],
    out: Path,
    *,
    workers: int,
    profile: str = "default",
    root: Path = ROOT,
) -> None:
    """Run the jobs through Snakemake, longest first, with a line of progress for each end."""
    profile_dir = ROOT / "workflow" / "profiles" / profile
    if not profile_dir.is_dir():
        known = sorted(p.name for p in profile_dir.parent.iterdir())
        raise ParameterError(f"no such PROFILE: {profile!r}; known: {', '.join(known)}")
    if profile != "default" and not find_spec(f"snakemake_executor_plugin_{profile}"):
        raise ParameterError(
            f"PROFILE={profile} needs `pip install snakemake-executor-plugin-{profile}`; "
            f"workflow/profiles/{profile}/config.yaml says what else"
        )
    for job in jobs:
        folder = out / job.paper.topic
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", ".ipynb"):
            (folder / f"{job.paper.id}{suffix}").unlink(missing_ok=True)
        notebook.write_bytes(folder / f"{job.paper.id}.digest", job.digest.encode())
    settings = [f"{key}={value!r}" for key, value in given.items()]
    config = {
        "python": sys.executable,
        "code": str(ROOT),
        "root": str(root),
        "settings": settings,
    }
    config_file = out / "config.json"
    notebook.write_bytes(config_file, json.dumps(config).encode())
    ordered = sorted(jobs, key=lambda job: -job.expected)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile")),
        *("--directory", str(out), "--workflow-profile", str(profile_dir)),
        *("--configfile", str(config_file)),
        *(("--cores", str(workers)) if profile == "default" else ("--jobs", str(workers))),
        *("--", *(f"{job.paper.topic}/{job.paper.id}.ipynb" for job in ordered)),
    ]
    log_path = out / "snakemake.log"
    with open(log_path, "w", encoding="utf8") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, preexec_fn=_die_with_parent
        )
        try:
            _follow(process, ordered, out, workers)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
            raise
    if process.returncode and not any(results.record(job.paper, out) for job in jobs):
        tail = log_path.read_text(encoding="utf8").strip().splitlines()[-8:]
        print("snakemake could not start the studies:\n  " + "\n  ".join(tail), file=sys.stderr)


def _follow(process: subprocess.Popen, jobs: list[Job], out: Path, workers: int) -> None:
    """Print a line when a study ends, with an estimate of what is left."""
    left = {job.paper.id: job for job in jobs}
    total, start, spent, expected = len(jobs), time.monotonic(), 0.0, 0.0
    print(f"{total} to run, {min(workers, total)} at a time", flush=True)
    running = True
    while running and left:
        running = process.poll() is None
        for job in list(left.values()):
            record = results.record(job.paper, out)
            if record is None:
                continue
            del left[job.paper.id]
            spent += record.wall_seconds
            expected += job.expected
            ahead = sum(j.expected for j in left.values()) / min(workers, max(1, len(left)))
            ahead *= spent / expected if expected else 1.0
            verdict = record.verdict["verdict"] if record.verdict else record.message
            note = f", about {ahead:.0f} s left" if left else ""
            took = time.monotonic() - start
            print(
                f"[{total - len(left)}/{total}] {job.paper.id}: "
                f"{verdict if record.status == OK else record.status}"
                f" ({record.wall_seconds:.0f} s; {took:.0f} s so far{note})",
                flush=True,
            )
        if running and left:
            time.sleep(0.2 + len(left) / 1000)  # looking for thousands of records takes a while
    process.wait()


def judge_run(result: Result, record: Record | None, given: dict[str, object]) -> Result:
    """The committed study with what its run came to; `changed` and `stale` are failures."""
    if record is None:
        message = "it left no record: see snakemake.log in the folder of the run"
        nothing = {"verdict": None, "cpu_seconds": None, "peak_mb": None}
        return replace(result, status=NOT_RUN, message=message, **nothing)
    old = result.verdict
    result = replace(
        result,
        verdict=record.verdict,
        cpu_seconds=record.cpu_seconds,
        peak_mb=record.peak_mb,
        status=record.status,
        message=record.message,
    )
    if record.status != OK:
        return result
    if record.parameters.get("control") is True:
        if record.verdict["claims"][0]["verdict"] == REPRODUCED:
            message = "the headline holds even with the mechanism switched off"
            return replace(result, status=CHANGED, message=message)
        return result
    same = old and all(old[key] == record.verdict[key] for key in ("scale", "seeds", "control"))
    if not same and not given:
        message = "its committed outputs are of other parameters"
        return replace(result, status=STALE, message=message)
    lines = results.differences(record.verdict, old) if same and not result.stale else []
    if lines:
        return replace(result, status=CHANGED, message="; ".join(lines))
    if result.stale and not given:
        message = f"ran, but its committed outputs are stale: make refresh ID={result.paper.id}"
        return replace(result, status=STALE, message=message)
    return result


def table(rows: list[Result]) -> str:
    """Paper, verdict, committed verdict, seconds, MB; then the reasons of what failed."""
    width = max([len(r.paper.id) for r in rows] + [5])
    line = f"{{:<{width}}}  {{:<17}}  {{:<17}}  {{:>7}}  {{:>6}}"
    text = [line.format("paper", "verdict", "committed", "CPU s", "MB")]
    for row in rows:
        verdict = row.verdict["verdict"] if row.verdict else row.status
        seconds = f"{row.cpu_seconds:.1f}" if row.cpu_seconds is not None else "-"
        memory = f"{row.peak_mb:.0f}" if row.peak_mb is not None else "-"
        text.append(
            line.format(row.paper.id, verdict, row.committed_verdict or "-", seconds, memory)
        )
    failed = [row for row in rows if row.status != OK]
    if failed:
        text.append("")
        text += [f"{row.paper.id}: {row.status}: {row.message}" for row in failed]
    counts = f"{len(rows) - len(failed)} of {len(rows)} as they should be"
    return "\n".join([*text, "", counts])


def main(argv: list[str] | None = None) -> int:
    """Plan, run, compare, report; 0 when all went as committed, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="make reproduce", description=main.__doc__)
    add_selection(parser)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--report-only", action="store_true", help="report the committed outputs")
    args = parser.parse_args(argv)
    build = notebook.build_dir()
    try:
        papers = choose(args.id, args.topic)
        studies = [results.committed(paper) for paper in papers]
        if args.report_only:
            return _report(studies, build / "report.html")
        given = parse_settings(args.set)
        out = build / "runs" / variant(given)
        with lock(build):
            jobs = plan(studies, given, out)
            if jobs:
                run(jobs, given, out, workers=args.workers, profile=args.profile)
    except (RegistryError, NotebookError, ParameterError, BusyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}: free some space, or set BUILD= to another folder", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: what has ended is kept; run the same command again to go on")
        return 130
    rows = [judge_run(s, results.record(s.paper, out), given) for s in studies]
    print(table(rows))
    name = "report.html" if not given else f"report-{variant(given)}.html"
    _report(rows, build / name)
    return 0 if all(row.status == OK for row in rows) else 1


def _report(rows: list[Result], path: Path) -> int:
    from workflow.report import render

    notebook.write_bytes(path, render(rows, "Papers in Miniature").encode())
    print(f"report: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
