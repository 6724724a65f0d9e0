"""Real text: what comes out of the archives, and how it is cut into windows."""

import numpy as np
import pytest
import torch

from shared.data.text import (
    bpe,
    char_ids,
    eval_windows,
    plain,
    shakespeare,
    split,
    token_ids,
    wikipedia,
    windows,
)


def test_shakespeare_is_complete():
    text = shakespeare()
    assert len(text) == 5_057_280
    assert len(set(text)) == 84
    assert "To be, or not to be" in text and "Exit, pursued by a bear" in text
    assert "\r" not in text and "\ufffd" not in text


def test_wikipedia_is_plain_text():
    articles = wikipedia()
    assert len(articles) == 106
    assert articles[0].startswith("Anarchism is a political philosophy that advocates")
    assert 430_000 < sum(len(article.split()) for article in articles) < 460_000
    joined = "\n".join(articles)
    for markup in ("[[", "]]", "'''", "<ref", "http://", "&amp;", "==", "\n|"):
        assert joined.count(markup) <= 5, markup  # a handful stand in code samples
    assert "\nReferences\n" not in joined


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Bold''' and ''thin''", "Bold and thin"),
        ("a [[target|label]] and [[plain]]s", "a label and plains"),
        ("x<ref name=a>note</ref> y<ref name=a /> z", "x y z"),
        ("a {{t|{{inner}}|x=[[y]]}}b", "a b"),
        ("[[File:p.jpg|thumb|A [[link|picture]] of it]]text", "text"),
        ("see [http://site.example the site].", "see the site."),
        ("== History ==\n* one\n* two", "History\none\ntwo"),
        ("before\n{| class=x\n|-\n| cell\n|}\nafter", "before\n\nafter"),
        ("body\n== References ==\nlost", "body"),
        ("Albedo ({{IPA|x}}) is &amp; was<!-- no -->", "Albedo is & was"),
        ("H<sub>2</sub>O and <math>x^2</math>.", "H2O and ."),
    ],
)
def test_plain_reads_wiki_markup(markup, text):
    assert plain(markup) == text


def test_character_ids_decode_to_the_text():
    text = "A horse! A horse!\nÆ"
    ids, vocab, decode = char_ids(text)
    assert ids.dtype == torch.int64
    assert vocab == sorted(set(text))
    assert decode(ids) == text
    assert [vocab[i] for i in ids] == list(text)


def test_pieces_decode_to_the_text():
    articles = wikipedia()
    ids, vocab, decode = token_ids(articles, 1000)
    assert ids.dtype == torch.int64 and len(vocab) == 1000
    assert ids.min() >= 0 and ids.max() < 1000
    assert decode(ids) == "\n\n".join(articles)


def test_bpe_is_deterministic(tmp_path, monkeypatch):
    texts = wikipedia()[:3]
    vocabularies = []
    for cache in ("a", "b"):
        monkeypatch.setenv("PAPERS_IN_MINIATURE_CACHE", str(tmp_path / cache))
        vocabularies.append(bpe(texts, 400).get_vocab())
    assert vocabularies[0] == vocabularies[1]


def test_bpe_encodes_any_text():
    tokenizer = bpe(wikipedia(), 1000)
    strange = "漢字 \t\x00 naïve 😀"
    assert tokenizer.decode(tokenizer.encode(strange).ids) == strange


def test_bpe_needs_room_for_the_bytes():
    with pytest.raises(ValueError, match="vocab_size 255 is below the 256 bytes"):
        bpe(["x"], 255)


def test_split_is_contiguous():
    train, valid = split(torch.arange(1000))
    assert len(train) == 900 and len(valid) == 100
    assert torch.equal(torch.cat([train, valid]), torch.arange(1000))


def test_windows_are_pieces_of_the_text_and_repeat_with_the_seed():
    ids = torch.arange(500)
    first = windows(ids, 48, batch=16, steps=20, rng=np.random.default_rng(3))
    again = windows(ids, 48, batch=16, steps=20, rng=np.random.default_rng(3))
    other = windows(ids, 48, batch=16, steps=20, rng=np.random.default_rng(4))
    assert first.shape == (20, 16, 49) and first.dtype == torch.int64
    assert (first.diff(dim=-1) == 1).all()
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_windows_reach_both_ends():
    drawn = windows(torch.arange(12), 10, batch=64, steps=1, rng=np.random.default_rng(0))
    assert drawn.min() == 0 and drawn.max() == 11


def test_windows_of_a_short_text_are_an_error():
    with pytest.raises(ValueError, match="10 ids are too few for length 10"):
        windows(torch.arange(10), 10, 1, 1, np.random.default_rng(0))


def test_eval_windows_are_spread_and_do_not_overlap():
    cut = eval_windows(torch.arange(1000), 48, 20)
    assert cut.shape == (20, 49)
    assert cut[0, 0] == 0 and cut[-1, 0] == 950
    assert (cut[1:, 0] > cut[:-1, -1]).all()
    assert len(eval_windows(torch.arange(1000), 9, 100)) == 100


@pytest.mark.parametrize("count", [0, 21])
def test_eval_windows_say_how_many_fit(count):
    with pytest.raises(ValueError, match=f"count {count} .*take 1 to 20"):
        eval_windows(torch.arange(1000), 48, count)
