"""Synthetic tasks of memory, each with the score of someone who remembers nothing.

A sampler takes a numpy generator and returns inputs (n, time) and targets (n, time), int64, with
IGNORE where nothing is asked; `accuracy` scores logits on the rest. `stories` are the questions
about persons and objects in the manner of bAbI (Weston et al. 2015).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100  # the target of positions that are not scored, as in torch's cross-entropy


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Share of the scored positions whose top logit is right; logits (n, time, vocab)."""
    scored = targets != IGNORE
    return (logits.argmax(-1) == targets)[scored].double().mean().item()


def recall_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the scored positions."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


def associative_recall(
    rng: np.random.Generator, n: int, pairs: int = 8, keys: int = 16, values: int = 16
) -> tuple[Tensor, Tensor]:
    """Key-value pairs with different keys, then all keys again in another order (MQAR).

    time = 3 pairs: k1 v1 k2 v2 ..., then the keys; at each of these the value is the target. Keys
    are 0..keys - 1, values keys..keys + values - 1. Chance: 1 / values.
    Source: Arora et al. 2023, Zoology. Raises ValueError if there are more pairs than keys.
    """
    if pairs > keys:
        raise ValueError(f"associative_recall: {pairs} pairs need as many keys, not {keys}")
    key = rng.random((n, keys)).argsort(1)[:, :pairs]
    value = keys + rng.integers(values, size=(n, pairs))
    order = rng.random((n, pairs)).argsort(1)
    shown = np.stack([key, value], 2).reshape(n, 2 * pairs)
    inputs = np.concatenate([shown, np.take_along_axis(key, order, 1)], 1)
    targets = np.full_like(inputs, IGNORE)
    targets[:, 2 * pairs :] = np.take_along_axis(value, order, 1)
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def copying(
    rng: np.random.Generator, n: int, tokens: int = 8, symbols: int = 8, delay: int = 16
) -> tuple[Tensor, Tensor]:
    """Symbols, `delay` blanks, then one slot a symbol in which to repeat them in order.

    time = 2 tokens + delay. Symbols are 0..symbols - 1, blank = symbols, slot = symbols + 1.
    Chance: 1 / symbols. Source: Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016.
    """
    places = np.broadcast_to(np.arange(tokens), (n, tokens))
    return _copying(rng, places, tokens + delay, symbols)


def selective_copying(
    rng: np.random.Generator, n: int, length: int = 24, tokens: int = 5, symbols: int = 8
) -> tuple[Tensor, Tensor]:
    """`copying` with the symbols at random places among blanks; time = length + tokens.

    Chance: 1 / symbols. Source: Gu and Dao 2023, Mamba, section 4.1.1; Jing et al. 2019. Raises
    ValueError if `length` has no room for the tokens.
    """
    if tokens > length:
        raise ValueError(f"selective_copying: {tokens} tokens do not fit into length {length}")
    places = np.sort(rng.random((n, length)).argsort(1)[:, :tokens], 1)
    return _copying(rng, places, length, symbols)


def _copying(
    rng: np.random.Generator, places: np.ndarray, length: int, symbols: int
) -> tuple[Tensor, Tensor]:
    n, tokens = places.shape
    data = rng.integers(symbols, size=(n, tokens))
    inputs = np.full((n, length + tokens), symbols)
    inputs[:, length:] = symbols + 1
    np.put_along_axis(inputs, places, data, 1)
    targets = np.full_like(inputs, IGNORE)
    targets[:, length:] = data
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def induction(
    rng: np.random.Generator, n: int, length: int = 48, symbols: int = 16
) -> tuple[Tensor, Tensor]:
    """Random symbols with one special token among them, and the special token again at the end.

    The target at the end is what followed the special token (= symbols) the first time.
    Chance: 1 / symbols. Source: Gu and Dao 2023, Mamba, section 4.1.2.
    """
    if length < 4:
        raise ValueError(f"induction: length {length} is too short; take 4 or more")
    inputs = rng.integers(symbols, size=(n, length))
    at = rng.integers(length - 2, size=n)
    row = np.arange(n)
    inputs[row, at] = inputs[:, -1] = symbols
    targets = np.full_like(inputs, IGNORE)
    targets[:, -1] = inputs[row, at + 1]
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def parity(rng: np.random.Generator, n: int, length: int = 32) -> tuple[Tensor, Tensor]:
    """Bits, and at every position the parity of all bits so far. Chance: 1 / 2."""
    bits = rng.integers(2, size=(n, length))
    return torch.from_numpy(bits), torch.from_numpy(bits.cumsum(1) % 2)


PERSONS, OBJECTS, ROOMS = 4, 3, 6
VERBS = ("went to", "took", "dropped", "where is")
WORDS = 1 + len(VERBS) + PERSONS + OBJECTS + ROOMS  # id 0 is padding
_PERSON, _OBJECT = 1 + len(VERBS), 1 + len(VERBS) + PERSONS
_ROOM = _OBJECT + OBJECTS


@dataclass(frozen=True)
class Stories:
    """n stories of up to S sentences of three words, and a question each; word 0 is padding.

    sentences (n, S, 3), in order of time and padded at the end; questions (n, 2); answers (n,),
    the room's number in 0..ROOMS - 1; facts (n, 2), the sentences needed, in the order in which
    they must be looked up (for one-fact questions the same twice); lengths (n,).
    """

    sentences: Tensor
    questions: Tensor
    answers: Tensor
    facts: Tensor
    lengths: Tensor


def stories(
    rng: np.random.Generator, n: int, facts: int, shortest: int = 6, longest: int = 12
) -> Stories:
    """Persons move between rooms, take objects and drop them.

    facts=1: "where is <person>?", answered by the person's last move. facts=2: "where is
    <object>?" for an object somebody holds or has dropped: look up the last sentence that names
    it, then where that sentence's person went last, before the drop or at all. Chance: about
    1 / ROOMS.
    The names, that is which id is which, are the caller's to shuffle. Raises ValueError for
    another number of facts.
    """
    if facts not in (1, 2):
        raise ValueError(f"stories: facts={facts}; there are questions of 1 or 2 facts")
    found = []
    while len(found) < n:
        story = _story(rng, int(rng.integers(shortest, longest + 1)))
        question = _ask(rng, story, facts)
        if question:
            found.append((story, *question))
    sentences = np.zeros((n, longest, 3), dtype=np.int64)
    for row, (story, *_) in zip(sentences, found, strict=True):
        row[: len(story)] = story
    asked, answers, needed = ([f[k] for f in found] for k in (1, 2, 3))
    lengths = [len(story) for story, *_ in found]
    return Stories(
        torch.from_numpy(sentences), *(torch.tensor(x) for x in (asked, answers, needed, lengths))
    )


def _story(rng: np.random.Generator, length: int) -> list[tuple[int, int, int]]:
    """Sentences (person, verb, object or room); only possible things happen."""
    where, holder = {}, {}
    story = []
    while len(story) < length:
        person = int(rng.integers(PERSONS))
        kind = rng.choice(3, p=(0.5, 0.35, 0.15)) if person in where else 0
        held = [o for o in range(OBJECTS) if holder.get(o) == person]
        free = [o for o in range(OBJECTS) if o not in holder]
        if kind == 1 and free:
            thing = int(rng.choice(free))
            holder[thing] = person
            story.append((_PERSON + person, 2, _OBJECT + thing))
        elif kind == 2 and held:
            thing = int(rng.choice(held))
            del holder[thing]
            story.append((_PERSON + person, 3, _OBJECT + thing))
        else:
            room = int(rng.choice([r for r in range(ROOMS) if r != where.get(person)]))
            where[person] = room
            story.append((_PERSON + person, 1, _ROOM + room))
    return story


def _ask(rng: np.random.Generator, story: list, facts: int):
    """A question, its answer and the sentences needed; None if the story allows none."""
    if facts == 1:
        moves = {s[0]: t for t, s in enumerate(story) if s[1] == 1}
        person = int(rng.choice(list(moves)))
        return (4, person), story[moves[person]][2] - _ROOM, (moves[person],) * 2
    named = {s[2]: t for t, s in enumerate(story) if s[1] != 1}  # object -> its last sentence
    if not named:
        return None
    thing = int(rng.choice(list(named)))
    last = named[thing]
    person, verb, _ = story[last]
    end = last if verb == 3 else len(story)  # what was dropped stays where it is
    move = max(t for t in range(end) if story[t][:2] == (person, 1))
    return (4, thing), story[move][2] - _ROOM, (last, move)
