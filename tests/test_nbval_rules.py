"""What counts as the same output, and that nbval with our rules notices what it must."""

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from shared.study import MIME
from tests.nbval_rules import same_text, same_verdict
from workflow.notebook import ROOT


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("loss 1.234567", "loss 1.2345", True),
        ("loss 0.12", "loss 0.13", True),
        ("loss 0.12", "loss 0.14", False),
        ("loss  9.99", "loss 10.00", True),
        ("5 seeds", "6 seeds", False),
        ("kept 90%", "kept 91%", True),
        ("kept 90 %", "kept 92 %", False),
        ("kept 9.9 %", "kept 10.1 %", False),
        ("a 1.0", "b 1.0", False),
        ("1.0 2.0", "1.0", False),
        ("1.5e-05", "1.51e-05", True),
        ("nan", "1.0", False),
        ("x -0.1234567", "x -0.1234568", True),
        ("x -0.5", "x 0.5", False),
    ],
)
def test_same_text(left, right, same):
    assert same_text(left, right) is same


def verdict(**change):
    claim = {"id": "c", "estimate": 1.0, "low": 0.9, "high": 1.1, "holds_if": ">= 0.5", "n": 3}
    return {"paper": "p", "claims": [claim | {"verdict": "reproduced"} | change]}


def test_same_verdict():
    assert same_verdict(verdict(), verdict(estimate=1.0005))
    assert not same_verdict(verdict(), verdict(estimate=1.2))
    assert not same_verdict(verdict(), verdict(verdict="inconclusive"))
    assert same_verdict(verdict(timing=True), verdict(timing=True, estimate=3.0, high=4.0))
    assert same_verdict(verdict(), verdict(low=0.82))
    assert not same_verdict(verdict(), verdict(low=0.78))
    assert not same_verdict(verdict(), verdict() | {"verdict": "inconclusive"})


def test_a_verdict_may_turn_only_where_the_interval_ends_near_the_bound():
    near = verdict(holds_if=">= 0.88")
    assert same_verdict(near, verdict(holds_if=">= 0.88", low=0.87, verdict="inconclusive"))
    assert not same_verdict(near, verdict(holds_if=">= 0.88", verdict="not reproduced"))
    assert not same_verdict(verdict(), verdict(low=0.87, verdict="inconclusive"))


def cell(source, text=None, count=1):
    outputs = [new_output("stream", name="stdout", text=text)] if text else []
    return new_code_cell(source, outputs=outputs, execution_count=count)


def shown(estimate, text):
    data = {MIME: verdict(estimate=estimate), "text/plain": text}
    return f"from IPython.display import display\ndisplay({data!r}, raw=True)", data


def verdict_cell(old, new):
    source, _ = shown(new, "the text now")
    outputs = [new_output("display_data", data=shown(old, "the text then")[1])]
    return new_code_cell(source, outputs=outputs, execution_count=1)


CASES = {
    "the same verdict": (verdict_cell(1.0, 1.0003), "passed", 0),
    "another estimate": (verdict_cell(1.0, 1.3), "failed", 1),
    "equal within tolerance": (cell("print(0.1234567)", "0.1234569\n"), "passed", 0),
    "another number": (cell("print(0.5)", "0.7\n"), "failed", 1),
    "another text": (cell("print('a')", "b\n"), "failed", 1),
    "an output gone": (cell("x = 1", "b\n"), "failed", 1),
    "progress on stderr": (cell("import sys; print('5 s', file=sys.stderr)"), "passed", 0),
    "a dead kernel": (cell("import os; os._exit(1)"), "kernel died", 1),
    "a time-out": (cell("import time; time.sleep(60)"), "Timeout of 5 seconds", 1),
}


@pytest.mark.parametrize("name", CASES)
def test_nbval_with_our_rules(tmp_path, name):
    first, says, code = CASES[name]
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[first, cell("print(1)", "1\n", 2)]), path)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.nbval_rules", "-p", "no:cacheprovider"),
            *("--nbval", "--nbval-current-env", "--nbval-cell-timeout", "5"),
            *("--rootdir", tmp_path, "-c", "/dev/null", path),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert run.returncode == code, run.stdout
    assert says in run.stdout
    if code:
        assert "1 failed, 1 skipped" in run.stdout and "xfail" not in run.stdout
