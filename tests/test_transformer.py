"""The shared transformer against transformers' Llama and GPT-2, and against its own promises."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared.models.transformer import Transformer, TransformerConfig, rope_table, rotate

SMALL = TransformerConfig(vocab_size=11, d_model=16, n_layers=2, n_heads=4, max_len=12)
GPT2 = replace(SMALL, positions="learned", norm="layer", ffn="gelu", bias=True)


def build(cfg=SMALL, seed=0, **sublayers):
    torch.manual_seed(seed)
    return Transformer(cfg, **sublayers)


def draw_ids(cfg=SMALL, batch=3, time=9, seed=0):
    return torch.randint(
        cfg.vocab_size, (batch, time), generator=torch.Generator().manual_seed(seed)
    )


def shake(model):
    """Give every parameter, norms and biases included, a value of its own."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def from_llama(state, cfg):
    """transformers' Llama weights under our names."""
    ours = {"norm.weight": state["model.norm.weight"], "head.weight": state["lm_head.weight"]}
    ours["embedding.weight"] = state["model.embed_tokens.weight"]
    names = {
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attention.q": "self_attn.q_proj",
        "attention.k": "self_attn.k_proj",
        "attention.v": "self_attn.v_proj",
        "attention.out": "self_attn.o_proj",
        "ffn.gate": "mlp.gate_proj",
        "ffn.up": "mlp.up_proj",
        "ffn.down": "mlp.down_proj",
    }
    for layer in range(cfg.n_layers):
        for mine, theirs in names.items():
            weight = state[f"model.layers.{layer}.{theirs}.weight"]
            ours[f"blocks.{layer}.{mine}.weight"] = weight
    return ours


def from_gpt2(state, cfg):
    """transformers' GPT-2 weights under our names; its Conv1D keeps weights as (in, out)."""
    ours = {
        "embedding.weight": state["transformer.wte.weight"],
        "position": state["transformer.wpe.weight"],
        "head.weight": state["lm_head.weight"],
    }
    names = {"attention.out": "attn.c_proj", "ffn.up": "mlp.c_fc", "ffn.down": "mlp.c_proj"}
    for part in ("weight", "bias"):
        ours[f"norm.{part}"] = state[f"transformer.ln_f.{part}"]
        for layer in range(cfg.n_layers):
            mine, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
            ours[f"{mine}attention_norm.{part}"] = state[f"{theirs}ln_1.{part}"]
            ours[f"{mine}ffn_norm.{part}"] = state[f"{theirs}ln_2.{part}"]
            for name, source in names.items():
                ours[f"{mine}{name}.{part}"] = state[f"{theirs}{source}.{part}"].t()
            qkv = state[f"{theirs}attn.c_attn.{part}"].t().chunk(3, dim=0)
            for name, value in zip("qkv", qkv, strict=True):
                ours[f"{mine}attention.{name}.{part}"] = value
    return ours


@pytest.mark.parametrize(
    "d_model, n_layers, n_heads, n_kv_heads, d_head, tied, theta",
    [
        (16, 2, 4, 4, None, True, 10_000.0),
        (24, 3, 6, 2, None, False, 500.0),
        (20, 1, 4, 1, 6, True, 10_000.0),
    ],
)
def test_llama_settings_agree_with_transformers(
    d_model, n_layers, n_heads, n_kv_heads, d_head, tied, theta
):
    from transformers import LlamaConfig, LlamaForCausalLM

    cfg = TransformerConfig(
        31, d_model, n_layers, n_heads, n_kv_heads, d_head, d_ff=40, max_len=16,
        tie_embeddings=tied, rope_theta=theta, norm_eps=1e-6,
    )  # fmt: skip
    torch.manual_seed(1)
    llama = LlamaConfig(
        vocab_size=31, hidden_size=d_model, intermediate_size=40, num_hidden_layers=n_layers,
        num_attention_heads=n_heads, num_key_value_heads=n_kv_heads, head_dim=d_head,
        max_position_embeddings=16, rms_norm_eps=1e-6, tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )  # fmt: skip
    theirs = LlamaForCausalLM(llama)
    shake(theirs)
    ours = build(cfg)
    ours.load_state_dict(from_llama(theirs.state_dict(), cfg))
    ids = draw_ids(cfg, time=16)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("d_model, n_layers, n_heads", [(16, 2, 4), (30, 3, 5)])
def test_gpt2_settings_agree_with_transformers(d_model, n_layers, n_heads):
    from transformers import GPT2Config, GPT2LMHeadModel

    cfg = replace(GPT2, vocab_size=31, d_model=d_model, n_layers=n_layers, n_heads=n_heads)
    torch.manual_seed(2)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=31, n_embd=d_model, n_layer=n_layers, n_head=n_heads, n_positions=cfg.max_len
        )
    )
    shake(theirs)
    ours = build(cfg)
    ours.load_state_dict(from_gpt2(theirs.state_dict(), cfg))
    ids = draw_ids(cfg, time=12)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-5, atol=1e-5)


VARIANTS = [
    SMALL,
    GPT2,
    replace(SMALL, n_kv_heads=1, ffn="relu2", positions="none", tie_embeddings=False),
    replace(SMALL, n_kv_heads=2, d_head=6, ffn="none", norm="layer"),
    replace(SMALL, ffn="relu", final_norm=False),
]


@pytest.mark.parametrize("cfg", VARIANTS)
def test_a_token_changes_only_what_comes_after_it(cfg):
    model, ids = shake(build(cfg)), draw_ids()
    changed = ids.clone()
    changed[:, 5] = (ids[:, 5] + 1) % cfg.vocab_size
    before, after = model(ids), model(changed)
    torch.testing.assert_close(after[:, :5], before[:, :5], rtol=0, atol=1e-6)
    assert (after[:, 5:] - before[:, 5:]).abs().amax(-1).min() > 1e-5


def test_an_encoder_sees_both_ways():
    model, ids = shake(build(replace(SMALL, causal=False))), draw_ids()
    changed = ids.clone()
    changed[:, 5] = (ids[:, 5] + 1) % SMALL.vocab_size
    assert (model(changed) - model(ids)).abs().amax(-1).min() > 1e-5


@pytest.mark.parametrize("cfg", VARIANTS)
def test_every_parameter_gets_a_gradient(cfg):
    model, ids = build(cfg), draw_ids()
    F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0 or name.endswith("k.bias"), name


def test_the_first_loss_is_near_that_of_guessing():
    cfg = replace(SMALL, vocab_size=64, d_model=64)
    ids = draw_ids(cfg, batch=32)
    loss = F.cross_entropy(build(cfg)(ids).flatten(0, 1), ids.roll(-1, 1).flatten())
    assert abs(loss.item() - torch.tensor(64.0).log().item()) < 0.3


def test_the_seed_decides_the_weights():
    a, b, c = build(seed=1), build(seed=1), build(seed=2)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.embedding.weight, c.embedding.weight)


def test_tied_embeddings_are_one_parameter():
    tied, untied = build(), build(replace(SMALL, tie_embeddings=False))
    count = [sum(p.numel() for p in model.parameters()) for model in (tied, untied)]
    assert count[1] - count[0] == SMALL.vocab_size * SMALL.d_model


def test_sublayers_are_swapped_by_layer():
    def second_only(layer):
        return nn.Linear(16, 16) if layer == 1 else None

    model = build(attention=second_only, ffn=lambda layer: nn.Identity())
    assert [type(block.attention) for block in model.blocks] == [type(None), nn.Linear]
    assert all(isinstance(block.ffn, nn.Identity) for block in model.blocks)
    assert model(draw_ids()).shape == (3, 9, 11)


def test_continuous_inputs_go_through_the_body():
    model = build(replace(SMALL, vocab_size=0, causal=False, positions="learned"))
    assert model.body(torch.randn(2, 5, 16)).shape == (2, 5, 16)
    with pytest.raises(ValueError, match="vocab_size=0 has no embedding"):
        model(draw_ids())
    decoder = build()
    states = decoder(draw_ids(), hidden=True)
    torch.testing.assert_close(decoder.head(states), decoder(draw_ids()))


def test_rope_scores_depend_on_the_distance_alone():
    cos, sin = rope_table(20, 8)
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    at = [rotate(q, cos[i], sin[i]) @ rotate(k, cos[i + 5], sin[i + 5]) for i in (0, 3, 14)]
    torch.testing.assert_close(torch.stack(at), at[0].expand(3), rtol=1e-5, atol=1e-5)


def test_project_with_a_start_continues_the_sequence():
    attention = build().blocks[0].attention
    x = torch.randn(2, 7, 16)
    for whole, last in zip(attention.project(x), attention.project(x[:, 6:], 6), strict=True):
        torch.testing.assert_close(whole[:, :, 6:], last)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_heads": 3}, "d_model=16 as a multiple of n_heads=3"),
        ({"n_kv_heads": 3}, "n_heads=4 must be a multiple of n_kv_heads=3"),
        ({"d_head": 5}, "head size 5.*even"),
        ({"d_model": 0}, "d_model=0: must be at least 1"),
        ({"n_layers": -1}, "n_layers=-1: must be at least 0"),
        ({"norm": "batch"}, r"norm='batch': choose from \('layer', 'rms'\)"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_too_long_an_input_is_named():
    with pytest.raises(ValueError, match=r"shape \(1, 13, 16\).*time <= 12"):
        build()(torch.zeros(1, 13, dtype=torch.long))
