"""The runner: parameters checked before anything runs, and every way to fail told apart."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import VERDICT
from workflow import notebook
from workflow.execute import (
    ParameterError,
    check_parameters,
    execute,
    main,
    parse_settings,
)


def test_a_run_gives_a_record_and_a_notebook(project, tmp_path):
    project.write(VERDICT, "assert rate == 2.0 and seeds == 3")
    before = (project.topic / "a-paper.ipynb").read_bytes()
    out = tmp_path / "out put"
    record = execute(project.paper, {"rate": 2.0, "seeds": 3}, out, root=project.root)
    assert (record.status, record.message) == ("ok", "")
    assert record.verdict["seeds"] == 3 and record.cpu_seconds > 0 and record.peak_mb > 10
    saved = json.loads((out / "topic" / "a-paper.json").read_text())
    assert saved["parameters"] == {"scale": "small", "seeds": 3, "control": False, "rate": 2.0}
    assert notebook.verdict(notebook.read(out / "topic" / "a-paper.ipynb")) == record.verdict
    assert (project.topic / "a-paper.ipynb").read_bytes() == before


FAILURES = {
    "a cell that raises": (["1 / 0"], {}, "error", "cell 2: ZeroDivisionError"),
    "no verdict": (["x = 1"], {}, "error", "gave no verdict"),
    "a killed kernel": (["import os; os.kill(os.getpid(), 9)"], {}, "dead kernel", "died"),
    "a cell that never ends": (
        ["import time; time.sleep(100)"],
        {"seconds": 4},
        "time-out",
        "still running after 4 s",
    ),
    "too much memory": (
        ["import time; x = bytearray(600 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(9)"],
        {"megabytes": 400},
        "out of memory",
        "more than 400 MB",
    ),
    "an allocation refused": (["raise MemoryError('no')"], {}, "out of memory", "MemoryError"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_told_apart(project, tmp_path, name):
    cells, limits, status, message = FAILURES[name]
    project.write(*cells)
    record = execute(project.paper, {}, tmp_path, root=project.root, **limits)
    assert record.status == status, record.message
    assert message in record.message
    saved = json.loads((tmp_path / "topic" / "a-paper.json").read_text())
    assert saved["status"] == status
    assert not list(tmp_path.glob("**/*.running.ipynb"))


def test_a_time_out_ends_the_whole_process_group(project, tmp_path):
    project.write(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\nchild.wait()"
    )
    execute(project.paper, {}, tmp_path, root=project.root, seconds=5)
    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.5)
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    assert state.stdout.strip() in ("", "Z")


def test_parameters_are_checked_before_anything_runs(project, tmp_path):
    for given, says in [
        ({"sedes": 3}, "no parameter 'sedes'; it has scale, seeds, control, rate"),
        ({"seeds": "3"}, "seeds must be int like 2; got '3'"),
        ({"seeds": True}, "seeds must be int"),
        ({"control": 1}, "control must be bool"),
        ({"rate": "fast"}, "rate must be float"),
    ]:
        with pytest.raises(ParameterError, match="a-paper") as caught:
            execute(project.paper, given, tmp_path / "out", root=project.root)
        assert says in str(caught.value)
    assert not (tmp_path / "out").exists()
    check_parameters({"rate": 2}, {"rate": 0.5}, "x")


def test_settings_from_the_command_line():
    assert parse_settings(["seeds=10", "scale=full", "control=true", "rate=1e-3"]) == {
        "seeds": 10,
        "scale": "full",
        "control": True,
        "rate": 1e-3,
    }
    with pytest.raises(ParameterError, match="write name=value"):
        parse_settings(["seeds"])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["a-papers"], "did you mean 'a-paper'"),
        (["a-paper", "--set", "seed=3"], "no parameter 'seed'"),
        (["a-paper", "--set", "scale=3"], "scale must be str"),
    ],
)
def test_bad_input_exits_with_2_and_says_why(project, argv, says, capsys):
    assert main([*argv, "--root", str(project.root)]) == 2
    assert says in capsys.readouterr().err


def test_a_notebook_without_plain_parameters_is_refused(project, tmp_path):
    path = project.topic / "a-paper.ipynb"
    for source, says in [("seeds = 2 + n", "not a plain literal"), ("import x", "more than")]:
        nb = notebook.read(path)
        nb.cells[0].source = source
        notebook.write(nb, path)
        with pytest.raises(notebook.NotebookError, match=says):
            execute(project.paper, {}, tmp_path, root=project.root)
    path.write_text("{not json")
    with pytest.raises(notebook.NotebookError, match="not a notebook"):
        execute(project.paper, {}, tmp_path, root=project.root)
    path.unlink()
    with pytest.raises(notebook.NotebookError, match="make new ID=a-paper"):
        execute(project.paper, {}, tmp_path, root=project.root)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a small tmpfs")
def test_a_full_disk_is_said_and_loses_nothing(project, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).returncode:
        pytest.skip("not allowed to mount a tmpfs here")
    try:
        project.write(VERDICT, "print('x' * 200_000)")
        before = (project.topic / "a-paper.ipynb").read_bytes()
        record = execute(project.paper, {}, disk, root=project.root)
        assert record.status == "error"
        assert "disk is full" in record.message and "BUILD=" in record.message
        assert (project.topic / "a-paper.ipynb").read_bytes() == before
    finally:
        subprocess.run(["umount", disk], check=True)


def test_writing_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        notebook.write_bytes(path, b"new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]
