"""Genres, labelled documents, verses and lexicons: what they say they hold."""

import numpy as np
import pytest

from shared.data import documents, genres, lexicons
from shared.models.pretrained import smollm2


@pytest.mark.parametrize("genre", genres.GENRES)
def test_genres_hold_text_and_their_tokens(genre):
    texts, ids = genres.documents(genre), genres.genre_ids(genre)
    assert len(ids) > 50_000 and ids.ndim == 1 and ids.max() < 49_152
    start = smollm2()[0].decode(ids[:40])
    assert "\n\n".join(texts).startswith(start)


def test_unknown_genre_lists_the_known_ones():
    with pytest.raises(ValueError, match="news, encyclopedia"):
        genres.genre_ids("poetry")


def test_verses_are_aligned():
    old, new = documents.verses("kjv"), documents.verses("web")
    assert len(old) == 31_102 and len(old.keys() & new.keys()) > 31_000
    assert old[1001001] == "In the beginning God created the heaven and the earth."
    assert new[43011035] == "Jesus wept."
    with pytest.raises(ValueError, match="kjv, web"):
        documents.verses("asv")


def test_labelled_documents():
    assert documents.newsgroups().Category.nunique() == 20
    assert len(documents.newsgroups("test")) > 7_000
    assert documents.reuters().Category.nunique() == 8
    assert documents.tweets().Author.nunique() == 2


def test_lexicons():
    valence = lexicons.valence()
    assert valence["good"] > 1 > -1 > valence["horrible"]
    tags = lexicons.parts_of_speech()
    assert (tags["house"], tags["quickly"], tags["bought"]) == ("NN", "RB", "VBD")
    assert len(lexicons.word_similarity("simlex999")) == 999
    with pytest.raises(ValueError, match="wordsim353, simlex999"):
        lexicons.word_similarity("men")


def test_word_vectors_know_analogies():
    words, vectors = lexicons.word_vectors()
    assert vectors.shape == (26_423, 300) and len(set(words)) == 26_423
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    place = {word: index for index, word in enumerate(words)}
    wanted = vectors[place["king"]] - vectors[place["man"]] + vectors[place["woman"]]
    ranked = [words[i] for i in (vectors @ wanted).argsort()[::-1][:3]]
    assert "queen" in ranked
