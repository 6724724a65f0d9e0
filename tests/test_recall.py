"""The memory tasks ask what they say, and remembering nothing gives chance."""

import numpy as np
import pytest
import torch

from shared.data import recall
from shared.data.recall import IGNORE

TASKS = {
    "associative_recall": (recall.associative_recall, 1 / 16),
    "copying": (recall.copying, 1 / 8),
    "selective_copying": (recall.selective_copying, 1 / 8),
    "induction": (recall.induction, 1 / 16),
    "parity": (recall.parity, 1 / 2),
}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", TASKS)
def test_the_best_constant_answer_scores_chance(name):
    sampler, chance = TASKS[name]
    inputs, targets = sampler(rng(), 4000)
    assert inputs.shape == targets.shape and inputs.dtype == targets.dtype == torch.int64
    asked = targets[targets != IGNORE]
    best = asked.bincount().max().item() / len(asked)
    assert chance <= best < 1.15 * chance
    again = sampler(rng(), 4000)
    assert torch.equal(inputs, again[0]) and torch.equal(targets, again[1])


def test_associative_recall_asks_for_the_value_beside_the_key():
    inputs, targets = recall.associative_recall(rng(), 50, pairs=5)
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        table = dict(zip(row[:10:2], row[1:10:2], strict=True))
        assert len(table) == 5 and target[:10] == [IGNORE] * 10
        assert target[10:] == [table[key] for key in row[10:]]
    with pytest.raises(ValueError, match="20 pairs"):
        recall.associative_recall(rng(), 1, pairs=20)


@pytest.mark.parametrize("task", [recall.copying, recall.selective_copying])
def test_copying_asks_for_the_symbols_in_order(task):
    inputs, targets = task(rng(), 50)
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols = [i for i in row if i < 8]
        assert [t for t in target if t != IGNORE] == symbols
        assert row[-len(symbols) :] == [9] * len(symbols)
    if task is recall.selective_copying:
        assert len({tuple(r) for r in (inputs < 8).int().tolist()}) > 40
        with pytest.raises(ValueError, match="do not fit"):
            recall.selective_copying(rng(), 1, length=4)


def test_induction_asks_for_what_followed_the_special_token():
    inputs, targets = recall.induction(rng(), 200, length=9)
    for row, target in zip(inputs.tolist(), targets[:, -1].tolist(), strict=True):
        assert row.count(16) == 2 and row[-1] == 16 and target == row[row.index(16) + 1]
    with pytest.raises(ValueError, match="too short"):
        recall.induction(rng(), 1, length=3)


def test_parity_is_the_running_sum():
    bits, parity = recall.parity(rng(), 3, 5)
    assert torch.equal(parity[:, -1], bits.sum(1) % 2) and torch.equal(parity[:, 0], bits[:, 0])


@pytest.mark.parametrize("facts", [1, 2])
def test_stories_are_answered_by_playing_them(facts):
    found = recall.stories(rng(), 300, facts)
    for k in range(300):
        story = found.sentences[k, : found.lengths[k]].tolist()
        where, place = {}, {}
        for person, verb, thing in story:
            if verb == 1:
                where[person] = thing
            elif verb == 2:
                place[thing] = person
            else:
                place[thing] = where[person]
        asked = found.questions[k, 1].item()
        at = place.get(asked, asked)
        room = where.get(at, at)  # a person's room, or the room itself
        assert found.answers[k].item() == room - recall._ROOM
        first, second = found.facts[k].tolist()
        assert story[second][1] == 1 and story[second][2] == room
        assert (
            (first == second) if facts == 1 else (story[first][1] > 1 and story[first][2] == asked)
        )
    share = found.answers.bincount(minlength=recall.ROOMS).max() / 300
    assert share < 1.6 / recall.ROOMS
    assert found.sentences.max() < recall.WORDS
    with pytest.raises(ValueError, match="facts=3"):
        recall.stories(rng(), 1, 3)


def test_accuracy_and_loss_look_at_scored_positions_only():
    targets = torch.tensor([[IGNORE, 1, 0]])
    logits = torch.tensor([[[9.0, 0], [0, 9.0], [0, 9.0]]])
    assert recall.accuracy(logits, targets) == 0.5
    assert recall.recall_loss(logits, targets).item() == pytest.approx(4.5, abs=0.01)
