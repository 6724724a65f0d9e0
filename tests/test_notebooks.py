"""Every study runs at smoke scale, and its committed outputs are as they should be."""

import pytest

from shared import registry
from workflow import lint
from workflow.execute import execute
from workflow.notebook import ROOT

STUDIES = [p for p in registry.load() if (ROOT / p.notebook).exists()]


@pytest.mark.parametrize("paper", STUDIES, ids=[p.id for p in STUDIES])
def test_runs_at_smoke_scale(paper, tmp_path):
    record = execute(paper, {"scale": "smoke", "seeds": 2}, tmp_path)
    assert record.status == "ok", record.message
    assert record.verdict["scale"] == "smoke" and record.verdict["seeds"] == 2


@pytest.mark.parametrize("paper", STUDIES, ids=[p.id for p in STUDIES])
def test_is_shaped_as_a_study(paper):
    assert lint.study(paper) == []


def test_sources_import_the_right_way():
    assert lint.sources() == []
