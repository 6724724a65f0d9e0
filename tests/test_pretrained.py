"""Pretrained models: they load, know what they should, and the hooks obey identities."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from shared.data.text import wikipedia
from shared.models.pretrained import (
    KINDS,
    ablate_heads,
    edit,
    head_means,
    logit_lens,
    minilm,
    record,
    replace,
    residuals,
    skip_layers,
    smollm2,
)


@pytest.fixture(scope="module")
def loaded():
    return smollm2()


@pytest.fixture(scope="module")
def model(loaded):
    return loaded[1]


@pytest.fixture(scope="module")
def pair(loaded):
    """Two prompts of the same length: (1, time) each."""
    tokenizer = loaded[0]
    a, b = (
        tokenizer(f"The capital of {country} is", return_tensors="pt").input_ids
        for country in ("Japan", "France")
    )
    assert a.shape == b.shape
    return a, b


@torch.no_grad()
def logits(model, ids):
    return model(ids, use_cache=False).logits


def test_smollm2_is_what_it_says(loaded):
    tokenizer, model = loaded
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert model.dtype == torch.float32 and not model.training
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config.num_hidden_layers == 30 and len(tokenizer) == 49_152


def test_smollm2_knows_capitals(loaded, pair):
    tokenizer, model = loaded
    for ids, city in zip(pair, (" Tokyo", " Paris"), strict=True):
        top = logits(model, ids)[0, -1].topk(3).indices
        assert city in [tokenizer.decode(i) for i in top]


def test_smollm2_reads_english_well(loaded):
    tokenizer, model = loaded
    text = wikipedia()[0][:1500]
    ids = tokenizer(text, return_tensors="pt").input_ids
    nats = cross_entropy(logits(model, ids)[0, :-1], ids[0, 1:], reduction="sum")
    bits_per_byte = nats / math.log(2) / len(text.encode())
    # 0.85 as it should be; 1.38 if the rotary halves of queries and keys are left interleaved.
    assert bits_per_byte < 1.1


@pytest.mark.parametrize("text", ["It's  odd:\n\n\t12345 €", "naïve 漢字 😀", ""])
def test_tokenizer_gives_the_text_back(loaded, text):
    assert loaded[0].decode(loaded[0](text).input_ids) == text


def test_tokenizer_splits_digits_and_keeps_control_tokens(loaded):
    assert len(loaded[0]("1984").input_ids) == 4
    assert loaded[0]("<|im_start|>user\nhi<|im_end|>").input_ids == [1, 4093, 198, 6004, 2]


def test_minilm_finds_similar_sentences():
    tokenizer, model = minilm()
    texts = ["A cat sits outside.", "A kitten is sitting in the garden.", "Shares fell sharply."]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch.attention_mask[..., None]
    vectors = normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    similar = vectors @ vectors.T
    assert similar[0, 1] > 0.5 > 0.2 > similar[0, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_changes_nothing(model, pair, kind):
    plain = logits(model, pair[0])
    with record(model, kind) as found:
        read = logits(model, pair[0])
    assert torch.equal(plain, read)
    assert len(found) == 30 + (kind == "residual")
    with edit(model, kind, {3: lambda value: value}):
        assert torch.equal(plain, logits(model, pair[0]))
    assert torch.equal(plain, logits(model, pair[0]))


def test_shapes_are_the_documented_ones(model, pair):
    time = pair[0].shape[1]
    shapes = {
        "residual": (1, time, 576),
        "attention": (1, time, 576),
        "mlp": (1, time, 576),
        "heads": (1, time, 9, 64),
        "neurons": (1, time, 1536),
    }
    for kind, shape in shapes.items():
        with record(model, kind, [5]) as found:
            logits(model, pair[0])
        assert found.keys() == {5} and found[5].shape == shape


def test_residual_is_the_embedding_plus_the_sublayers(model, pair):
    stream = residuals(model, pair[0])
    with record(model, "attention") as attention, record(model, "mlp") as mlp:
        logits(model, pair[0])
    assert stream.shape == (31, 1, pair[0].shape[1], 576)
    total = model.model.embed_tokens(pair[0]).detach().clone()
    assert torch.equal(stream[0], total)
    for layer in range(30):
        total = total + attention[layer] + mlp[layer]
        error = (stream[layer + 1] - total).abs().max() / total.abs().max()
        assert error < 1e-4


def test_logit_lens_of_the_last_stream_is_the_output(model, pair):
    with torch.no_grad():
        seen = logit_lens(model, residuals(model, pair[0])[-1])
    torch.testing.assert_close(seen, logits(model, pair[0]), rtol=0, atol=1e-4)


def test_residuals_ignore_padding(model, pair):
    padded = torch.cat([pair[0], torch.full((1, 3), 2)], dim=1)
    mask = torch.ones_like(padded)
    mask[:, -3:] = 0
    seen = residuals(model, padded, mask)[:, :, :-3]
    torch.testing.assert_close(seen, residuals(model, pair[0]), rtol=1e-4, atol=1e-2)


def test_heads_through_the_output_projection_are_the_attention(model, pair):
    with record(model, "heads", [4]) as heads, record(model, "attention", [4]) as attention:
        logits(model, pair[0])
    weight = model.model.layers[4].self_attn.o_proj.weight.view(576, 9, 64)
    each = torch.einsum("bthk,dhk->bthd", heads[4], weight)
    torch.testing.assert_close(each.sum(2), attention[4], rtol=1e-4, atol=1e-4)


def test_neurons_through_the_down_projection_are_the_mlp(model, pair):
    with record(model, "neurons", [4]) as neurons, record(model, "mlp", [4]) as mlp:
        logits(model, pair[0])
    down = model.model.layers[4].mlp.down_proj
    torch.testing.assert_close(down(neurons[4]), mlp[4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["residual", "heads", "neurons"])
def test_replacing_everything_gives_the_other_run(model, pair, kind):
    a, b = pair
    with record(model, kind) as of_b, record(model, "residual", [0]) as start:
        wanted = logits(model, b)
    with replace(model, kind, of_b), replace(model, "residual", start):
        patched = logits(model, a)
    assert torch.equal(patched, wanted)
    assert not torch.equal(logits(model, a), wanted)


def test_replacing_one_run_by_itself_changes_nothing(model, pair):
    with record(model, "mlp") as own:
        plain = logits(model, pair[0])
    with replace(model, "mlp", own):
        assert torch.equal(logits(model, pair[0]), plain)


def test_gradients_flow_through_edits(model, pair):
    direction = torch.zeros(576, requires_grad=True)
    with edit(model, "residual", {10: lambda value: value + direction}):
        model(pair[0], use_cache=False).logits[0, -1].logsumexp(-1).backward()
    model.zero_grad()
    assert direction.grad.abs().sum() > 0


def test_skipping_no_layer_is_the_model(model, pair):
    plain = logits(model, pair[0])
    with skip_layers(model, []):
        assert torch.equal(logits(model, pair[0]), plain)


def test_skipping_every_layer_reads_out_the_embedding(model, pair):
    with skip_layers(model, range(30)):
        bare = logits(model, pair[0])
    with torch.no_grad():
        wanted = logit_lens(model, model.model.embed_tokens(pair[0]))
    assert torch.equal(bare, wanted)


def test_skipping_a_layer_is_silencing_its_sublayers(model, pair):
    with skip_layers(model, [10, 11]):
        skipped = logits(model, pair[0])
    silent = {10: torch.zeros_like, 11: torch.zeros_like}
    with edit(model, "attention", silent), edit(model, "mlp", silent):
        silenced = logits(model, pair[0])
    torch.testing.assert_close(skipped, silenced, rtol=0, atol=1e-4)


def test_skipping_is_undone_even_after_an_error(model, pair):
    plain = logits(model, pair[0])
    with pytest.raises(RuntimeError, match="inside"), skip_layers(model, [0, 7]):
        raise RuntimeError("inside")
    assert torch.equal(logits(model, pair[0]), plain)
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == list(range(30))


def test_generation_with_skipped_layers_is_the_same_with_and_without_cache(model, pair):
    settings = {"max_new_tokens": 4, "do_sample": False}
    with skip_layers(model, [0, 20, 21]):
        cached = model.generate(pair[0], attention_mask=torch.ones_like(pair[0]), **settings)
        fresh = model.generate(
            pair[0], attention_mask=torch.ones_like(pair[0]), use_cache=False, **settings
        )
    assert torch.equal(cached, fresh)


def test_ablated_head_gives_its_mean(model, pair):
    means = head_means(model, pair[0])
    assert means.shape == (30, 9, 64)
    with ablate_heads(model, [(4, 2), (4, 7)], means), record(model, "attention", [4]) as seen:
        logits(model, pair[0])
    with record(model, "heads", [4]) as heads:
        logits(model, pair[0])
    wanted = heads[4].clone()
    wanted[:, :, [2, 7]] = means[4, [2, 7]]
    projection = model.model.layers[4].self_attn.o_proj
    torch.testing.assert_close(seen[4], projection(wanted.flatten(2)), rtol=1e-4, atol=1e-4)


def test_bad_sites_are_clear_errors(model, pair):
    with pytest.raises(ValueError, match="no kind of site is called 'mpl'"), record(model, "mpl"):
        pass
    with pytest.raises(ValueError, match="mlp of layer 30: the model has layers 0 to 29"):
        replace(model, "mlp", {30: torch.zeros(1)}).__enter__()
    with (
        pytest.raises(ValueError, match=r"mlp of layer 3 has shape .*; the new value has \(1,\)"),
        replace(model, "mlp", {3: torch.zeros(1)}),
    ):
        logits(model, pair[0])
    with pytest.raises(ValueError, match=r"no layers \[-1, 30\]; the model has 0 to 29"):
        skip_layers(model, [30, -1]).__enter__()
    with pytest.raises(ValueError, match="no head 9 in layer 0; heads are 0 to 8"):
        ablate_heads(model, [(0, 9)], torch.zeros(30, 9, 64))
