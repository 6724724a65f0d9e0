"""The prompt bank: single tokens, known answers, nothing ambiguous."""

import numpy as np
import pytest

from shared.data import prompts
from shared.models.pretrained import smollm2


@pytest.fixture(scope="module")
def tokenizer():
    return smollm2()[0]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_lists_are_single_tokens(tokenizer):
    pairs = (
        *prompts.ANALOGIES.values(),
        prompts.NOUNS,
        prompts.PLACES,
        prompts.PEOPLE,
        prompts.GENDERED,
        prompts.VERBS,
    )
    words = {word for table in pairs for pair in table.items() for word in pair}
    words |= {*prompts.CAPITALS.values(), *prompts.PAST, *prompts.OBJECTS}
    words |= {w for name, ws in prompts.ORDINALS.items() if name != "digits" for w in ws}
    assert prompts.single_tokens(tokenizer, words).keys() == words
    prompts.single_tokens(tokenizer, prompts.ORDINALS["digits"], space=False)


def test_words_of_several_tokens_are_named(tokenizer):
    with pytest.raises(ValueError, match="electroencephalogram"):
        prompts.single_tokens(tokenizer, ["cat", "electroencephalogram"])


def test_agreement_is_balanced_and_unambiguous():
    items = prompts.agreement(rng(), 100)
    assert len({item.prompt for item in items}) == 100
    assert {item.phenomenon for item in items[:5]} == {item.phenomenon for item in items}
    for item in items:
        assert item.prompt.split().count(item.evidence) == 1
        assert item.good != item.bad and item.good[0] == item.bad[0] == " "
    assert len({item.good for item in items}) >= 8
    assert items == prompts.agreement(rng(), 100)
    with pytest.raises(ValueError, match="take fewer"):
        prompts.agreement(rng(), 10_000)


def test_numbers_are_one_token_a_digit(tokenizer):
    found = prompts.needle(rng())
    assert found.answer.strip() in found.statement and found.statement.count("number") == 1
    assert len(set(found.answer.strip())) == 4
    assert len(tokenizer(found.answer).input_ids) == 5  # the space and four digits


def test_sums_are_right_and_different():
    sums = prompts.arithmetic(rng(), 45)
    assert len(set(sums)) == 45
    for question, answer in sums:
        assert eval(question.removesuffix(" =")) == int(answer) < 10
    with pytest.raises(ValueError, match="0 to 45"):
        prompts.arithmetic(rng(), 46)
