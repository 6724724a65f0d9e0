"""Planning, comparing, resuming and two runs at once."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import VERDICT
from workflow import digest, reproduce, results
from workflow.execute import ParameterError, Record


@pytest.fixture(autouse=True)
def _fresh():
    digest._module.cache_clear()


def plan_of(project, out, given=None):
    study = results.committed(project.paper, project.root)
    return reproduce.plan([study], given or {}, out, project.root)


def test_only_what_changed_is_planned(project, tmp_path):
    project.write("if False:\n    from shared import used", VERDICT)

    def plan():
        return plan_of(project, tmp_path)

    (job,) = plan()
    reproduce.run([job], {}, tmp_path, workers=1, root=project.root)
    assert results.record(project.paper, tmp_path).status == "ok"
    assert plan() == []
    deep = project.root / "shared" / "deep.py"
    deep.write_text(deep.read_text() + "# comment\n")
    digest._module.cache_clear()
    assert plan() == []
    deep.write_text("def f():\n    return 2\n")
    digest._module.cache_clear()
    assert len(plan()) == 1


def test_a_failed_study_is_run_again_and_does_not_stop_the_others(project, tmp_path, capsys):
    project.write("raise ValueError('broken')", VERDICT)
    jobs = plan_of(project, tmp_path)
    reproduce.run(jobs, {}, tmp_path, workers=2, root=project.root)
    record = results.record(project.paper, tmp_path)
    assert record.status == "error" and "broken" in record.message
    assert "[1/1] a-paper: error" in capsys.readouterr().out
    project.write(VERDICT)
    jobs = plan_of(project, tmp_path)
    reproduce.run(jobs, {}, tmp_path, workers=2, root=project.root)
    assert results.record(project.paper, tmp_path).status == "ok"


def test_a_run_killed_half_way_leaves_no_kernel_and_is_taken_up_again(project, tmp_path):
    pid_file = tmp_path / "pid"
    project.write(
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    code = (
        "import sys; from pathlib import Path; from shared import registry\n"
        "from workflow import reproduce, results\n"
        f"root, out = Path({str(project.root)!r}), Path({str(tmp_path)!r})\n"
        "paper = registry.find('a-paper', root)\n"
        "with reproduce.lock(out):\n"
        "    jobs = reproduce.plan([results.committed(paper, root)], {}, out, root)\n"
        "    reproduce.run(jobs, {}, out, workers=1, root=root)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=reproduce.ROOT)
    for _ in range(300):
        if pid_file.exists() and pid_file.read_text():
            break
        time.sleep(0.1)
    with pytest.raises(reproduce.BusyError, match=str(process.pid)), reproduce.lock(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    kernel = int(pid_file.read_text())
    for _ in range(100):
        if not _alive(kernel):
            break
        time.sleep(0.1)
    assert not _alive(kernel)
    project.write(VERDICT)
    with reproduce.lock(tmp_path):
        jobs = plan_of(project, tmp_path)
        reproduce.run(jobs, {}, tmp_path, workers=1, root=project.root)
    assert results.record(project.paper, tmp_path).status == "ok"


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_unknown_profile(project, tmp_path):
    jobs = plan_of(project, tmp_path)
    with pytest.raises(ParameterError, match="no such PROFILE: 'lsf'; known: default"):
        reproduce.run(jobs, {}, tmp_path, workers=1, profile="lsf", root=project.root)
    if not find_spec("snakemake_executor_plugin_slurm"):
        with pytest.raises(ParameterError, match="needs `pip install snakemake-executor-plugin-sl"):
            reproduce.run(jobs, {}, tmp_path, workers=1, profile="slurm", root=project.root)


def test_bad_parameters_stop_before_anything_runs(project, tmp_path):
    with pytest.raises(ParameterError, match="no parameter 'sead'"):
        plan_of(project, tmp_path, {"sead": 1})


def verdict(estimate, low, high, verdict="reproduced", **extra):
    claim = {"id": "c", "estimate": estimate, "low": low, "high": high, "verdict": verdict}
    claim |= {"holds_if": ">= -0.1", "n": 3}
    return {"verdict": verdict, "claims": [claim | extra]}


@pytest.mark.parametrize(
    ("new", "old", "lines"),
    [
        (verdict(0.0, -1, 1), verdict(0.5, -0.1, 1.1), 0),
        (verdict(2.0, 1, 3), verdict(0.5, -0.1, 1.1), 1),
        (verdict(0.5, 0, 1, "inconclusive"), verdict(0.5, -0.1, 1.1), 0),  # -0.1 is the bound
        (verdict(0.5, 0, 1, "not reproduced"), verdict(0.5, -0.1, 1.1), 1),
        (verdict(0.9, 0.5, 1.3, "inconclusive"), verdict(0.8, 0.3, 1.3), 1),
        (verdict(9.0, 8, 9, timing=True), verdict(4.0, 3, 5, timing=True), 0),
        (verdict(1.0000001, 1, 1), verdict(1.0, 1, 1), 0),
        (verdict(1.0, 1, 1), None, 0),
    ],
)
def test_differences_from_the_committed_verdict(new, old, lines):
    assert len(results.differences(new, old)) == lines


def test_the_table_ends_in_the_reasons(project):
    result = results.committed(project.paper, project.root)
    assert result.stale
    dead = reproduce.judge_run(result, Record("a-paper", "dead kernel", "killed"), {})
    missing = reproduce.judge_run(result, None, {})
    text = reproduce.table([dead, missing])
    assert "a-paper: dead kernel: killed" in text and "not run" in text and "0 of 2" in text


def test_a_control_whose_headline_holds_is_a_failure(project):
    result = results.committed(project.paper, project.root)
    record = Record("a-paper", "ok", parameters={"control": True}, verdict=verdict(0, 0, 0))
    assert reproduce.judge_run(result, record, {"control": True}).status == "changed"
    record.verdict = verdict(0, 0, 0, "not reproduced")
    assert reproduce.judge_run(result, record, {"control": True}).status == "ok"
