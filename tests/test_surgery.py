"""Layers in any order, patterns and head matrices, against the model's own computation."""

import pytest
import torch

from shared.models.pretrained import minilm, record, residuals, skip_layers, smollm2
from shared.models.surgery import attention_patterns, normed, ov_matrix, qk_matrix, run


@pytest.fixture(scope="module")
def model():
    return smollm2()[1]


@pytest.fixture(scope="module")
def ids(model):
    text = "The old castle stands above the river, and the river runs to the sea."
    return smollm2()[0](text, return_tensors="pt").input_ids


@pytest.fixture(scope="module")
def stream(model, ids):
    return residuals(model, ids)


@torch.no_grad()
def test_layers_in_their_order_are_the_model(model, stream):
    torch.testing.assert_close(run(model, stream[0], range(30)), stream[30], rtol=1e-4, atol=1e-2)
    assert torch.equal(run(model, stream[12], []), stream[12])


@torch.no_grad()
def test_a_parallel_group_of_one_is_the_layer(model, stream):
    assert torch.equal(run(model, stream[5], [(5,)]), run(model, stream[5], [5]))
    twice = run(model, stream[5], [(5, 5)])
    torch.testing.assert_close(twice, run(model, stream[5], [5]))


@torch.no_grad()
def test_a_parallel_group_averages_outputs(model, stream):
    both = (run(model, stream[8], [8]) + run(model, stream[8], [9])) / 2
    torch.testing.assert_close(run(model, stream[8], [(8, 9)]), both)


@torch.no_grad()
def test_skipping_agrees_with_skip_layers(model, ids, stream):
    with skip_layers(model, [10, 11]):
        without = residuals(model, ids)[-1]
    order = range(12, 30)
    torch.testing.assert_close(run(model, stream[10], order), without, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("order", ([30], [-1], [()]))
def test_unknown_layers_are_named(model, stream, order):
    with pytest.raises(ValueError, match="0 to 29"):
        run(model, stream[0], order)


def test_patterns_are_causal_and_sum_to_one(model, ids):
    patterns = attention_patterns(model, ids)
    time = ids.shape[1]
    assert patterns.shape == (30, 1, 9, time, time)
    torch.testing.assert_close(patterns.sum(-1), torch.ones(30, 1, 9, time))
    assert patterns.triu(1).abs().max() == 0
    assert model.config._attn_implementation == "sdpa"


def test_patterns_of_bert_ignore_padding():
    tokenizer, model = minilm()
    batch = tokenizer(["A cat.", "A cat sits outside today."], return_tensors="pt", padding=True)
    patterns = attention_patterns(model, batch.input_ids, batch.attention_mask)
    assert patterns.shape == (6, 2, 12, *batch.input_ids.shape[1:] * 2)
    assert patterns[:, 0, :, :, batch.attention_mask[0] == 0].abs().max() < 1e-6


@pytest.mark.parametrize("layer", (0, 7, 29))
def test_head_matrices_rebuild_the_attention_sublayer(model, ids, stream, layer):
    patterns = attention_patterns(model, ids)[layer, 0]
    with torch.no_grad(), record(model, "attention", [layer]) as written:
        model.model(ids, use_cache=False)
    x = normed(stream[layer][0])
    total = sum(patterns[h] @ x @ ov_matrix(model, layer, h) for h in range(9))
    error = (total - written[layer][0]).abs().max() / written[layer].abs().max()
    assert error < 1e-4

    time, last = ids.shape[1], ids.shape[1] - 1
    for head in (0, 4, 8):
        scores = torch.stack(
            [x[last] @ qk_matrix(model, layer, head, last - j) @ x[j] for j in range(time)]
        )
        torch.testing.assert_close(scores.softmax(0), patterns[head, last], rtol=1e-3, atol=1e-4)


def test_unknown_heads_are_named(model):
    with pytest.raises(ValueError, match="heads 0 to 8"):
        ov_matrix(model, 3, 9)
