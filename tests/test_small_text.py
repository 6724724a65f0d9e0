"""The bench of small texts: known floors, paired batches, nothing of validation in training."""

import numpy as np
import pytest
import torch

from shared.data.small_text import small_text, table_floors


@pytest.mark.parametrize(
    ("source", "pieces", "size", "unigram", "bigram"),
    [
        ("shakespeare", None, 70, 3.33, 2.54),
        ("wikipedia", 1000, 1000, 6.05, 4.39),
        ("both", 512, 512, 5.32, 3.75),
    ],
)
def test_floors_are_known(source, pieces, size, unigram, bigram):
    text = small_text(source, pieces)
    assert len(text.vocab) == size
    assert text.unigram == pytest.approx(unigram, abs=0.02)
    assert text.bigram == pytest.approx(bigram, abs=0.02)
    assert len(text.train) == pytest.approx(9 * len(text.valid), rel=0.01)
    assert text.train.max() < len(text.vocab)


def test_batches_depend_on_the_seed_alone():
    text = small_text()
    a, b, c = (text.batches(32, 4, 5, seed) for seed in (0, 0, 1))
    assert a.shape == (5, 4, 33) and torch.equal(a, b) and not torch.equal(a, c)
    assert text.held_out(32, 10).shape == (10, 33)
    assert "the" in text.decode(text.train[:2000]).lower()


def test_a_table_knows_what_counts_tell():
    train = np.tile([0, 1], 5000)
    unigram, bigram = table_floors(train, train, 2)
    assert unigram == pytest.approx(np.log(2), abs=1e-3) and bigram < 0.01


def test_unknown_sources_are_named():
    with pytest.raises(ValueError, match="no source 'bible'"):
        small_text("bible")
    with pytest.raises(ValueError, match="below the 256 bytes"):
        small_text("wikipedia", 100)
