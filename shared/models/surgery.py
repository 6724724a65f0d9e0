"""Layers of SmolLM2 in any order, its attention patterns, and single heads as matrices.

`run` is the model as a list of layers: skip, repeat, swap and reverse are other lists, and a
stream that is already known up to some layer is continued from there::

    stream = residuals(model, ids)                     # (31, batch, time, d)
    skipped = run(model, stream[10], range(20, 30))    # without layers 10 to 19
    painted = run(model, stream[10], [tuple(range(10, 20)), *range(20, 30)])   # in parallel

A head of layer l reads the RMS-normed stream x̂ = normed(x). With A its attention pattern, it
writes sum_j A_ij x̂_j @ ov_matrix, and before the softmax scores x̂_i @ qk_matrix(i - j) @ x̂_j.
Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Step = int | tuple[int, ...]


def run(model: nn.Module, x: Tensor, order: Iterable[Step]) -> Tensor:
    """The stream (batch, time, d) after the layers in `order`, from x (batch, time, d).

    A tuple of layers works in parallel: all read the same stream, and their outputs are averaged
    (Sun et al. 2024, arXiv:2407.09298). Positions count from 0; no padding, no cache.
    Raises ValueError for a layer that the model has not, or an empty tuple.
    """
    layers = model.model.layers
    rotary = model.model.rotary_emb(x, torch.arange(x.shape[1])[None])
    for step in order:
        group = step if isinstance(step, tuple) else (step,)
        if not group or not all(0 <= layer < len(layers) for layer in group):
            raise ValueError(f"run: no layers {step}; the model has 0 to {len(layers) - 1}")
        outputs = [layers[layer](x, position_embeddings=rotary) for layer in group]
        x = outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)
    return x


@torch.no_grad()
def attention_patterns(model: nn.Module, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention probabilities (layers, batch, heads, query, key) of a decoder or BERT encoder.

    ids: (batch, time); mask: (batch, time), 1 for tokens and 0 for padding.
    """
    body = model.model if hasattr(model, "lm_head") else model
    usual = model.config._attn_implementation
    model.set_attn_implementation("eager")  # the fast kernels never form the pattern
    cache = {"use_cache": False} if hasattr(model, "lm_head") else {}
    try:
        output = body(ids, attention_mask=mask, output_attentions=True, **cache)
    finally:
        model.set_attn_implementation(usual)
    return torch.stack(output.attentions)


def normed(x: Tensor, eps: float = 1e-5) -> Tensor:
    """x (..., d) over its root mean square, without the norm's weight: what heads read."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def ov_matrix(model: nn.Module, layer: int, head: int) -> Tensor:
    """What a head writes for what it reads, (d, d): normed(x) @ ov_matrix is its write.

    The weight of the layer's norm is folded in; the value projection is that of the head's group.
    """
    attention, weight, size = _parts(model, layer, head)
    value = _rows(attention.v_proj.weight, _group(model, head), size)
    output = attention.o_proj.weight[:, head * size : (head + 1) * size]
    return ((output @ value) * weight).detach().T


def qk_matrix(model: nn.Module, layer: int, head: int, distance: int = 0) -> Tensor:
    """How a head scores a pair of tokens, (d, d): normed(query) @ qk_matrix @ normed(key).

    distance: how many places the query stands after the key (rotary positions see no more).
    The weight of the layer's norm and the factor 1/sqrt(d_head) are folded in.
    """
    attention, weight, size = _parts(model, layer, head)
    query = _rows(attention.q_proj.weight, head, size) * weight
    key = _rows(attention.k_proj.weight, _group(model, head), size) * weight
    cos, sin = model.model.rotary_emb(query, torch.tensor([[distance]]))
    half = size // 2
    turned = torch.cat([-query[half:], query[:half]])
    query = query * cos[0, 0, :, None] + turned * sin[0, 0, :, None]
    return (query.T @ key).detach() / size**0.5


def _parts(model: nn.Module, layer: int, head: int) -> tuple[nn.Module, Tensor, int]:
    config = model.config
    if not (0 <= layer < config.num_hidden_layers and 0 <= head < config.num_attention_heads):
        raise ValueError(
            f"no head {head} in layer {layer}; layers are 0 to {config.num_hidden_layers - 1}, "
            f"heads 0 to {config.num_attention_heads - 1}"
        )
    block = model.model.layers[layer]
    return block.self_attn, block.input_layernorm.weight, block.self_attn.head_dim


def _group(model: nn.Module, head: int) -> int:
    return head * model.config.num_key_value_heads // model.config.num_attention_heads


def _rows(weight: Tensor, index: int, size: int) -> Tensor:
    return weight[index * size : (index + 1) * size]
