"""The contract of a study: what it accepts, what it shows, what it refuses."""

import json

import numpy as np
import pytest
import torch

from shared import Study
from shared.evidence import exact
from shared.registry import RegistryError
from shared.study import MIME, StudyError


def checked(**kwargs):
    study = Study("hash-layers", **kwargs)
    for number, claim in enumerate(study.paper.claims):
        study.check(claim.id, np.linspace(0, 0.001, 4) + number)
    return study


def test_a_verdict_is_json_text_and_html():
    bundle = checked(seeds=4).verdict()._repr_mimebundle_()
    data = json.loads(json.dumps(bundle[MIME]))
    assert list(data) == ["paper", "scale", "seeds", "control", "verdict", "claims"]
    assert data["paper"] == "hash-layers" and data["seeds"] == 4 and data["scale"] == "small"
    claim = data["claims"][0]
    assert claim["id"] == "matches-learned-routing" and claim["n"] == 4
    assert claim["low"] <= claim["estimate"] <= claim["high"]
    assert data["verdict"] in bundle["text/plain"] and "<table>" in bundle["text/html"]


def test_the_card_stands_before_any_result_and_is_escaped():
    bundle = Study("hash-layers")._repr_mimebundle_()
    assert "&lt;= 0.01" in bundle["text/html"]
    assert "<= 0.01" in bundle["text/plain"]


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"scale": "tiny"}, "is not one of smoke"),
        ({"seeds": 0}, "number of repetitions"),
        ({"seeds": True}, "number of repetitions"),
        ({"seeds": "5"}, "number of repetitions"),
        ({"control": 1}, "True or False"),
    ],
)
def test_bad_parameters(kwargs, says):
    with pytest.raises(StudyError, match=says) as caught:
        Study("hash-layers", **kwargs)
    assert "hash-layers" in str(caught.value)


def test_unknown_paper_and_claim():
    with pytest.raises(RegistryError, match="no such paper"):
        Study("no-such-thing-at-all")
    with pytest.raises(RegistryError, match="no claim"):
        Study("hash-layers").check("nothing", [1, 2])


def test_a_claim_never_checked_is_named():
    study = Study("hash-layers")
    study.check("local-features-best", exact(1))
    with pytest.raises(StudyError, match="never checked: matches-learned-routing, dispersion"):
        study.verdict()


@pytest.mark.parametrize("values", [[1.0, np.nan], [1.0], 1.0, np.ones((2, 2)), ["a", "b"]])
def test_a_measure_without_an_interval_names_paper_and_claim(values):
    with pytest.raises(StudyError, match="hash-layers/local-features-best"):
        Study("hash-layers").check("local-features-best", values)


def test_tensors_and_exact_estimates_are_measures():
    study = Study("hash-layers")
    study.check("local-features-best", torch.tensor([1.0, 2.0], requires_grad=True))
    study.check("matches-learned-routing", exact(0.005))
    study.check("dispersion-beats-clusters", [0.0, 0.0])
    rows = study.verdict().data["claims"]
    assert [row["n"] for row in rows] == [0, 2, 2]
    assert "(exact)" in repr(study.verdict()._repr_mimebundle_()["text/html"])


def test_a_study_pins_threads_and_seeds():
    Study("hash-layers")
    first = (torch.randn(3), np.random.rand(3))
    assert torch.get_num_threads() == 1
    study = Study("hash-layers")
    assert torch.equal(first[0], torch.randn(3)) and np.array_equal(first[1], np.random.rand(3))
    assert study.rng(1, "a").random() == study.rng(1, "a").random()
    assert study.rng(1, "a").random() != study.rng(1, "b").random() != study.rng(2, "b").random()


def test_pick():
    assert [Study("hash-layers", s).pick(smoke=1, small=2, full=3) for s in ("smoke", "full")] == [
        1,
        3,
    ]


def test_a_timing_stays_out_of_the_text():
    study = Study("multi-query-attention", seeds=2)
    for claim in study.paper.claims:
        study.check(claim.id, [7.25, 7.75])
    text = study.verdict()._repr_mimebundle_()["text/plain"]
    line = next(x for x in text.splitlines() if "much-faster-decoding" in x)
    assert "7.5" not in line and "reproduced" in line
    assert study.verdict().data["claims"][2]["timing"] is True
