"""The cached language model: pairs share their data, checkpoints are one run's, nothing leaks."""

import numpy as np
import pytest
import torch

from shared.models import text_lm as module
from shared.models.text_lm import next_token_loss, text_lm


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A recipe of six steps on a text that repeats itself, in a cache of its own."""
    monkeypatch.setenv("PAPERS_IN_MINIATURE_CACHE", str(tmp_path))
    text = torch.arange(2000) % 7
    monkeypatch.setattr(module, "wikipedia", list)
    monkeypatch.setattr(module, "token_ids", lambda texts, size: (text, [], None))
    for name, value in {"STEPS": 6, "WARMUP": 1, "CHECKPOINTS": (0, 2, 6)}.items():
        monkeypatch.setattr(module, name, value)
    return tmp_path


def same(a, b):
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


def test_checkpoints_are_those_of_one_run_and_the_second_call_reads_them(small, monkeypatch):
    drawn, held_out = text_lm(1, 0, 32, step=0)
    monkeypatch.setattr(module, "fit", None)  # from here on nothing is trained
    trained, again = text_lm(1, 0, 32, step=6)
    assert torch.equal(held_out, again) and len(held_out) == 200
    ids = held_out[:65][None]
    assert next_token_loss(trained, ids) < next_token_loss(drawn, ids) - 0.1
    assert same(trained, text_lm(1, 0, 32, step=6)[0])
    assert trained.head.weight is trained.embedding.weight and not trained.training


def test_seed_decides_weights_and_data_and_leaves_the_callers_generator_alone(small, monkeypatch):
    seen = []
    windows = module.windows
    monkeypatch.setattr(module, "windows", lambda *a: seen.append(w := windows(*a)) or w)
    before = torch.get_rng_state()
    first, second = text_lm(1, 0, 32, step=0)[0], text_lm(1, 1, 32, step=0)[0]
    text_lm(2, 0, 32, step=0)
    assert torch.equal(before, torch.get_rng_state())
    assert not same(first, second)
    assert torch.equal(seen[0], seen[2]), "another depth must see the same windows"
    assert not torch.equal(seen[0], seen[1])
    text_lm(1, 0, 32, step=2)
    assert len(seen) == 3, "a trained model must not be trained again"


def test_next_token_loss_of_a_model_that_knows_nothing():
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (2, 5)))
    uniform = torch.nn.Embedding.from_pretrained(torch.zeros(9, 9))
    assert next_token_loss(uniform, ids).item() == pytest.approx(np.log(9))


@pytest.mark.parametrize(
    ("call", "words"), [({"step": 3}, "step 3"), ({"d_model": 48, "step": 6}, "of the head size")]
)
def test_bad_settings_are_named(small, call, words):
    with pytest.raises(ValueError, match=words):
        text_lm(1, 0, **call)
