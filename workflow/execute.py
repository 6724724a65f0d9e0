"""Run one study's notebook through papermill: parameters checked first, time and memory limited.

`python -m workflow.execute hash-layers --out DIR --set scale=smoke` writes DIR/<topic>/<id>.ipynb
and a record DIR/<topic>/<id>.json, and exits with 0 (ok), 1 (the study failed) or 2 (bad input).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import errno
import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shared.registry import Paper, RegistryError, find
from workflow import digest, notebook
from workflow.notebook import ROOT, NotebookError

OK, ERROR, TIME_OUT, DEAD, NO_MEMORY = "ok", "error", "time-out", "dead kernel", "out of memory"
LIMIT_SECONDS = {"smoke": 300, "small": 900, "full": 86_400}
LIMIT_MB = {"smoke": 4_096, "small": 4_096, "full": 1 << 20}

# A kernel without its debugger, which takes a quarter of a second to load, and with rarer
# collections of garbage: the thousands of small ones while torch is imported take another third.
_KERNEL = (
    "import gc, sys; gc.set_threshold(20_000); sys.path.remove(''); sys.modules['debugpy'] = None; "
    "from ipykernel import kernelapp; kernelapp.launch_new_instance()"
)


@dataclass
class Record:
    """What a run came to; the JSON beside the executed notebook."""

    paper: str
    status: str
    message: str = ""
    digest: str = ""
    parameters: dict = field(default_factory=dict)
    verdict: dict | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_mb: float = 0.0


class ParameterError(ValueError):
    """A parameter that the notebook does not have, or of another type."""


def check_parameters(given: dict[str, object], defaults: dict[str, object], name: str) -> None:
    """Raise ParameterError unless every given name exists and has its default's type."""
    for key, value in given.items():
        if key not in defaults:
            raise ParameterError(f"{name} has no parameter {key!r}; it has {', '.join(defaults)}")
        kind = type(defaults[key])
        fits = type(value) is kind or (kind is float and type(value) is int)
        if not fits:
            raise ParameterError(
                f"{name}: {key} must be {kind.__name__} like {defaults[key]!r}; got {value!r}"
            )


def parse_settings(settings: list[str]) -> dict[str, object]:
    """`["seeds=10", "scale=smoke"]` -> {"seeds": 10, "scale": "smoke"}."""
    found: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ParameterError(f"cannot read {setting!r}: write name=value")
        if text.lower() in ("true", "false"):
            text = text.capitalize()
        try:
            found[key.strip()] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[key.strip()] = text
    return found


class _Watch(threading.Thread):
    """Ends the kernel's process group when a limit is passed or our own parent is gone."""

    def __init__(self, seconds: float, megabytes: float) -> None:
        super().__init__(daemon=True)
        self.deadline = time.monotonic() + seconds
        self.seconds, self.megabytes = seconds, megabytes
        self.pid: int | None = None
        self.status = self.message = ""
        self.done = threading.Event()
        self.parent = os.getppid()

    def run(self) -> None:
        while not self.done.wait(0.25):
            if self.pid is None:
                continue
            if os.getppid() != self.parent:
                self._kill()
                os._exit(130)
            if time.monotonic() > self.deadline:
                self._end(TIME_OUT, f"still running after {self.seconds:.0f} s")
            elif self._resident_mb() > self.megabytes:
                self._end(NO_MEMORY, f"the kernel took more than {self.megabytes:.0f} MB")

    def _end(self, status: str, message: str) -> None:
        self.status, self.message = status, message
        self._kill()
        self.done.set()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # The kernel leads a process group of its own: its children go with it.
            os.killpg(self.pid, signal.SIGKILL)

    def _resident_mb(self) -> float:
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0.0  # the process has ended, or there is no /proc here and so no limit
        return pages * resource.getpagesize() / 2**20


def _run_papermill(source: Path, target: Path, given: dict, watch: _Watch) -> None:
    import papermill
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    class Client(PapermillNotebookClient):
        def start_new_kernel(self, **kwargs: object) -> None:
            # This Python, whatever a user's own `python3` kernel is.
            self.km.kernel_spec.argv = [sys.executable, "-c", _KERNEL, "-f", "{connection_file}"]
            super().start_new_kernel(**kwargs)
            watch.pid = self.km.provisioner.pid

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            quiet = ["--log-level=ERROR"]
            limits = {"timeout": None, "startup_timeout": 120}
            Client(nb_man, kernel_name=kernel_name, extra_arguments=quiet, **limits).execute()

    papermill_engines.register("study", Engine)
    papermill.execute_notebook(
        str(source),
        str(target),
        parameters=given,
        engine_name="study",
        kernel_name="python3",
        language="python",
        progress_bar=False,
        autosave_cell_every=0,
        cwd=str(source.parent),
    )


def _classify(error: BaseException, watch: _Watch) -> tuple[str, str]:
    """Failure class and a message of one or two lines."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if watch.status:
        return watch.status, watch.message
    if isinstance(error, PapermillExecutionError):
        text = f"cell {error.exec_count}: {error.ename}: {error.evalue}"
        memory = ("MemoryError", "can't allocate memory", "bad_alloc", "CUDA out of memory")
        return (NO_MEMORY if any(m in text for m in memory) else ERROR), text[:2000]
    if isinstance(error, CellTimeoutError):
        return TIME_OUT, str(error).splitlines()[0]
    if isinstance(error, DeadKernelError):
        return DEAD, "the kernel died: killed from outside, or by the system for want of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            ERROR,
            f"the disk is full ({error.filename}): free some space, or set BUILD= elsewhere",
        )
    return ERROR, f"{type(error).__name__}: {error}"[:2000]


def execute(
    paper: Paper,
    given: dict[str, object],
    out: Path,
    *,
    seconds: float | None = None,
    megabytes: float | None = None,
    root: Path = ROOT,
) -> Record:
    """Run a study's notebook into `out`; the record says how it went, and is written beside it.

    Raises ParameterError and NotebookError before anything runs; afterwards every failure is a
    status of the record. The notebook in `notebooks/` is never touched.
    """
    source = root / paper.notebook
    nb = notebook.read(source)
    defaults = notebook.parameters(nb, str(paper.notebook))
    check_parameters(given, defaults, paper.id)
    scale = str(given.get("scale", defaults.get("scale", "small")))
    watch = _Watch(
        seconds or LIMIT_SECONDS.get(scale, 900), megabytes or LIMIT_MB.get(scale, 4_096)
    )
    made_from = digest.parts(paper, nb, root)
    record = Record(paper.id, OK, digest=digest.digest(made_from), parameters=defaults | given)
    target = out / paper.topic / f"{paper.id}.ipynb"
    unfinished = target.with_suffix(".running.ipynb")
    failed = target.with_suffix(".failed.ipynb")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in (target, failed, target.with_suffix(".json")):
            old.unlink(missing_ok=True)
        watch.start()
        try:
            _run_papermill(source, unfinished, given, watch)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or watch.status or watch.pid is not None:
                raise
            # A port taken between choosing and binding it kills a kernel at its start: once more.
            _run_papermill(source, unfinished, given, watch)
        done = notebook.read(unfinished)
        record.verdict = notebook.verdict(done)
        if record.verdict is None:
            record.status, record.message = ERROR, "ran to the end but gave no verdict"
        unfinished.replace(target)
    except KeyboardInterrupt:
        record.status, record.message = ERROR, "interrupted"
        raise
    except Exception as error:  # every failure of a notebook ends as a class and a message
        record.status, record.message = _classify(error, watch)
        with contextlib.suppress(OSError):
            unfinished.replace(failed)
    finally:
        watch.done.set()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        record.cpu_seconds = round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        )
        record.wall_seconds = round(time.monotonic() - start, 2)
        # Linux counts in kilobytes, macOS in bytes.
        record.peak_mb = round(after.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
        unfinished.unlink(missing_ok=True)
        _write_record(record, target.with_suffix(".json"))
    return record


def _write_record(record: Record, path: Path) -> None:
    try:
        notebook.write_bytes(path, json.dumps(asdict(record), indent=1).encode())
    except OSError as error:
        record.status = ERROR
        record.message = f"{record.message} cannot write {path}: {error.strerror}".strip()


def main(argv: list[str] | None = None) -> int:
    """Run one study from the command line."""
    parser = argparse.ArgumentParser(prog="python -m workflow.execute", description=__doc__)
    parser.add_argument("paper")
    parser.add_argument("--out", type=Path, default=None, help="default: build/runs/once")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--seconds", type=float, help="wall-clock limit")
    parser.add_argument("--megabytes", type=float, help="memory limit")
    args = parser.parse_args(argv)
    out = args.out or notebook.build_dir() / "runs" / "once"
    try:
        paper = find(args.paper, args.root)
        given = parse_settings(args.set)
        limits = {"seconds": args.seconds, "megabytes": args.megabytes}
        record = execute(paper, given, out, root=args.root, **limits)
    except (RegistryError, NotebookError, ParameterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if record.status != OK:
        print(f"{paper.id}: {record.status}: {record.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
