"""A bank of short prompts with known answers, for reading what a language model does.

    one = single_tokens(tokenizer, CAPITALS.values())      # {"Paris": 3957, ...} or ValueError
    for item in agreement(rng, 20):
        item.prompt, item.good, item.bad, item.evidence    # "The keys near the door", " are", ...

Words follow a space, so their tokens are those of " word". On SmolLM2's tokeniser all lists are
single tokens except CURRENCIES; a number is a space and then its digits, one token each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

CAPITALS = {
    "France": "Paris", "England": "London", "Germany": "Berlin", "Spain": "Madrid",
    "Italy": "Rome", "Austria": "Vienna", "Greece": "Athens", "Russia": "Moscow",
    "China": "Beijing", "Japan": "Tokyo", "Egypt": "Cairo", "Canada": "Ottawa",
    "Portugal": "Lisbon", "Ireland": "Dublin", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Poland": "Warsaw", "Hungary": "Budapest",
    "Iran": "Tehran", "Iraq": "Baghdad", "Syria": "Damascus", "Afghanistan": "Kabul",
    "South Korea": "Seoul", "Peru": "Lima", "Kenya": "Nairobi", "Cuba": "Havana",
    "Belgium": "Brussels", "the Netherlands": "Amsterdam", "Switzerland": "Bern",
    "Australia": "Canberra", "the Czech Republic": "Prague", "Bulgaria": "Sofia",
    "the Philippines": "Manila", "Tunisia": "Tunis", "New Zealand": "Wellington",
    "Scotland": "Edinburgh", "Wales": "Cardiff", "Chile": "Santiago",
}  # fmt: skip
CURRENCIES = {
    "Japan": "yen", "England": "pound", "Switzerland": "franc", "India": "rupee",
    "Mexico": "peso", "Poland": "zloty", "Sweden": "krona", "Russia": "ruble",
    "South Korea": "won", "China": "yuan", "Thailand": "baht", "Israel": "shekel",
    "Turkey": "lira", "Brazil": "real", "South Africa": "rand", "Germany": "euro",
    "the United States": "dollar", "Denmark": "krone", "Hungary": "forint",
}  # fmt: skip
ORDINALS = {
    name: tuple(words.split())
    for name, words in {
        "months": "January February March April May June July August September October November "
        "December",
        "days": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "number words": "one two three four five six seven eight nine ten eleven twelve thirteen "
        "fourteen fifteen sixteen seventeen eighteen nineteen twenty",
        "letters": "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
        "ordinal words": "first second third fourth fifth sixth seventh eighth ninth tenth",
        "Roman numerals": "I II III IV V VI VII VIII IX X XI XII",
        "digits": "0 1 2 3 4 5 6 7 8 9",  # tokens of their own, without a space
    }.items()
}
ANALOGIES = {
    "opposites": {
        "hot": "cold", "big": "small", "old": "new", "open": "closed", "high": "low",
        "fast": "slow", "early": "late", "strong": "weak", "rich": "poor", "light": "dark",
        "hard": "soft", "long": "short", "full": "empty", "happy": "sad", "near": "far",
    },
    "plurals": {
        "cat": "cats", "dog": "dogs", "tree": "trees", "car": "cars", "house": "houses",
        "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth",
        "book": "books", "river": "rivers", "city": "cities", "story": "stories", "box": "boxes",
    },
    "past tense": {
        "go": "went", "see": "saw", "make": "made", "take": "took", "give": "gave",
        "find": "found", "write": "wrote", "run": "ran", "come": "came", "eat": "ate",
        "walk": "walked", "play": "played", "call": "called", "open": "opened", "build": "built",
    },
    "female": {
        "king": "queen", "man": "woman", "boy": "girl", "father": "mother", "son": "daughter",
        "brother": "sister", "uncle": "aunt", "husband": "wife", "prince": "princess",
        "actor": "actress", "he": "she", "his": "her", "himself": "herself",
    },
}  # fmt: skip
NOUNS = {
    "key": "keys", "picture": "pictures", "teacher": "teachers", "author": "authors",
    "doctor": "doctors", "student": "students", "farmer": "farmers", "book": "books",
    "friend": "friends", "car": "cars", "child": "children", "report": "reports",
    "house": "houses", "letter": "letters", "worker": "workers", "song": "songs",
}  # fmt: skip
PLACES = {
    "door": "doors", "window": "windows", "table": "tables", "tree": "trees", "river": "rivers",
    "wall": "walls", "garden": "gardens", "church": "churches", "bridge": "bridges",
    "school": "schools", "lake": "lakes", "tower": "towers",
}  # fmt: skip
PEOPLE = {
    "teacher": "teachers", "author": "authors", "doctor": "doctors", "student": "students",
    "farmer": "farmers", "worker": "workers", "lawyer": "lawyers", "nurse": "nurses",
    "artist": "artists", "writer": "writers", "driver": "drivers", "player": "players",
}  # fmt: skip
GENDERED = {
    "king": "queen", "man": "woman", "boy": "girl", "father": "mother", "son": "daughter",
    "brother": "sister", "uncle": "aunt", "husband": "wife", "prince": "princess",
    "actor": "actress",
}  # fmt: skip
VERBS = {"is": "are", "was": "were", "has": "have"}
PAST = ("saw", "helped", "liked", "knew", "loved", "met", "followed", "called")
OBJECTS = (
    "castle", "garden", "bridge", "tower", "library", "museum", "station", "market", "school",
    "hotel", "harbor", "palace", "farm", "theater", "church", "bakery", "island", "mill",
)  # fmt: skip


@dataclass(frozen=True)
class Contrast:
    """A prompt after which `good` is right and `bad` wrong, because of the word `evidence`.

    good and bad begin with a space. evidence occurs in the prompt once; phenomenon names the sort.
    """

    phenomenon: str
    prompt: str
    good: str
    bad: str
    evidence: str


@dataclass(frozen=True)
class Needle:
    """A sentence to hide in a long text, the question that asks for it, and its answer's words."""

    statement: str
    question: str
    answer: str


def single_tokens(tokenizer, words: Iterable[str], space: bool = True) -> dict[str, int]:
    """Word -> id of its one token after a space (space=False: without).

    Raises ValueError naming the words that are several tokens.
    """
    found = {word: tokenizer(f"{' ' * space}{word}").input_ids for word in words}
    if several := sorted(word for word, ids in found.items() if len(ids) != 1):
        raise ValueError(f"not one token each in this tokeniser: {', '.join(several)}")
    return {word: ids[0] for word, ids in found.items()}


def agreement(rng: np.random.Generator, n: int) -> list[Contrast]:
    """n contrasts in turn from five phenomena, in the manner of BLiMP, without repetition.

    Subject and verb over a prepositional attractor and over a relative clause, determiner and
    noun, and the number and gender of a reflexive pronoun. Every attractor is of the other kind.
    Source of the phenomena: Warstadt et al. 2020, arXiv:1912.00582.
    """
    makers = (_over_preposition, _over_clause, _determiner, _reflexive_number, _reflexive_gender)
    items: dict[str, Contrast] = {}
    for turn in range(50 * n + 1):
        if len(items) == n:
            break
        item = makers[len(items) % len(makers)](rng, turn % 2 == 0)
        items.setdefault(item.prompt, item)
    else:
        raise ValueError(f"agreement: the templates have no {n} different prompts; take fewer")
    return list(items.values())


def _pick(rng: np.random.Generator, words: Iterable[str]) -> str:
    return str(rng.choice(list(words)))


def _both(rng: np.random.Generator, pairs: dict[str, str], singular: bool) -> tuple[str, str]:
    """One word in the wanted number, and in the other."""
    word = _pick(rng, pairs)
    return (word, pairs[word]) if singular else (pairs[word], word)


def _verbs(rng: np.random.Generator, singular: bool) -> tuple[str, str]:
    good, bad = _both(rng, VERBS, singular)
    return f" {good}", f" {bad}"


def _over_preposition(rng: np.random.Generator, singular: bool) -> Contrast:
    subject, place = _both(rng, NOUNS, singular)[0], _both(rng, PLACES, not singular)[0]
    where = _pick(rng, ("near", "behind", "beside", "by"))
    prompt = f"The {subject} {where} the {place}"
    return Contrast("verb over a preposition", prompt, *_verbs(rng, singular), subject)


def _over_clause(rng: np.random.Generator, singular: bool) -> Contrast:
    subject, other = _both(rng, NOUNS, singular)[0], _both(rng, PEOPLE, not singular)[0]
    while other in (subject, NOUNS.get(subject)) or NOUNS.get(other) == subject:
        other = _both(rng, PEOPLE, not singular)[0]
    prompt = f"The {subject} that the {other} {_pick(rng, PAST)}"
    return Contrast("verb over a clause", prompt, *_verbs(rng, singular), subject)


def _determiner(rng: np.random.Generator, singular: bool) -> Contrast:
    good, bad = _both(rng, {**NOUNS, **PLACES}, singular)
    word = _pick(rng, ("this", "that") if singular else ("these", "those"))
    name, adjective = _pick(rng, GENDERED), _pick(rng, ("old", "small", "new", "beautiful"))
    prompt = f"The {name} {_pick(rng, PAST)} {word} {adjective}"
    return Contrast("determiner and noun", prompt, f" {good}", f" {bad}", word)


def _reflexive_number(rng: np.random.Generator, singular: bool) -> Contrast:
    pairs = {"king": "kings", "man": "men", "boy": "boys", "father": "fathers", "son": "sons",
             "brother": "brothers", "prince": "princes", "actor": "actors"}  # fmt: skip
    subject, other = _both(rng, pairs, singular)[0], _both(rng, PLACES, not singular)[0]
    forms = (" himself", " themselves")
    good, bad = forms if singular else forms[::-1]
    verb = _pick(rng, ("hurt", "saved", "defended", "blamed"))
    return Contrast(
        "reflexive number", f"The {subject} near the {other} {verb}", good, bad, subject
    )


def _reflexive_gender(rng: np.random.Generator, male: bool) -> Contrast:
    subject = _both(rng, GENDERED, male)[0]
    other = _both(rng, GENDERED, not male)[0]
    forms = (" himself", " herself")
    good, bad = forms if male else forms[::-1]
    verb = _pick(rng, ("hurt", "saved", "defended", "blamed"))
    return Contrast(
        "reflexive gender", f"The {subject} near the {other} {verb}", good, bad, subject
    )


def needle(rng: np.random.Generator, digits: int = 4) -> Needle:
    """A secret number of different digits (each a token of SmolLM2) for a random place."""
    number = "".join(str(d) for d in rng.permutation(10)[:digits])
    place = _pick(rng, OBJECTS)
    return Needle(
        f"The secret number of the {place} is {number}.",
        f"What is the secret number of the {place}? The secret number of the {place} is",
        f" {number}",
    )


def arithmetic(rng: np.random.Generator, n: int) -> list[tuple[str, str]]:
    """n sums of two one-digit numbers with one-digit results: ("3 + 4 =", " 7"), no repeats.

    n is at most 45, how many there are with terms from 1; ValueError else.
    """
    sums = [(a, b) for a in range(1, 10) for b in range(0, 10) if a + b < 10]
    if not 0 <= n <= len(sums):
        raise ValueError(f"arithmetic: {n} of {len(sums)} sums; take 0 to {len(sums)}")
    chosen = rng.permutation(len(sums))[:n]
    return [(f"{a} + {b} =", f" {a + b}") for a, b in (sums[i] for i in chosen)]
