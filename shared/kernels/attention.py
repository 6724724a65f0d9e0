"""Attention over whole sequences, and one decoding step over a key-value cache.

Query heads come in groups that share a key-value head: kv_heads = heads is multi-head attention,
kv_heads = 1 multi-query attention (Shazeer 2019), between them grouped-query attention (Ainslie
et al. 2023). Query head h uses key-value head h // (heads / kv_heads).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_weights(q: Tensor, k: Tensor, causal: bool = True) -> Tensor:
    """softmax(q k^T / sqrt(d)), materialised.

    q (batch, heads, tq, d), k (batch, kv_heads, tk, d); returns (batch, heads, tq, tk). With
    causal, the last query is aligned with the last key. Raises ValueError if shapes do not fit.
    """
    scores = q @ _spread(k, _group(q, k)).transpose(-2, -1) * q.shape[-1] ** -0.5
    if causal:
        scores = scores.masked_fill(~_causal_mask(q, k), -torch.inf)
    return scores.softmax(dim=-1)


def attention_reference(q: Tensor, k: Tensor, v: Tensor, causal: bool = True) -> Tensor:
    """Attention as the equation says it; shapes as in `attention_weights`, v as k."""
    return attention_weights(q, k, causal) @ _spread(v, _group(q, k))


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = True) -> Tensor:
    """The fast version of `attention_reference`; returns (batch, heads, tq, d)."""
    grouped = _group(q, k) > 1
    if causal and q.shape[2] != k.shape[2]:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=_causal_mask(q, k), enable_gqa=grouped
        )
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)


def decode_step_reference(q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int) -> Tensor:
    """One new token's attention, with the shared key-value heads copied to every query head."""
    k, v = k_cache[:, :, :length], v_cache[:, :, :length]
    return attention_reference(q.unsqueeze(2), k, v, causal=False).squeeze(2)


def decode_step(q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int) -> Tensor:
    """One new token's attention over a preallocated cache of which `length` entries are valid.

    q (batch, heads, d), caches (batch, kv_heads, n, d); returns (batch, heads, d). A shared
    key-value head is read once for its whole group of query heads, never copied. On CUDA a Triton
    kernel does the step. Raises ValueError if shapes do not fit or length is not in 1..n.
    """
    group = _group(q, k_cache)
    batch, kv_heads, n, d = k_cache.shape
    if not 1 <= length <= n:
        raise ValueError(f"length={length}: must be between 1 and the cache's size {n}")
    if q.is_cuda:
        from shared.kernels.attention_triton import decode_step as decode_step_triton

        return decode_step_triton(q, k_cache, v_cache, length)
    k = k_cache.flatten(0, 1)[:, :length]  # (batch * kv_heads, length, d), views of the cache
    v = v_cache.flatten(0, 1)[:, :length]
    grouped = q.reshape(batch * kv_heads, group, d) * d**-0.5
    weights = torch.bmm(grouped, k.transpose(1, 2)).softmax(dim=-1)
    return torch.bmm(weights, v).view(q.shape)


def _group(q: Tensor, k: Tensor) -> int:
    heads, kv_heads = q.shape[1], k.shape[1]
    if q.shape[0] != k.shape[0] or q.shape[-1] != k.shape[-1] or heads % kv_heads:
        raise ValueError(
            f"queries {tuple(q.shape)} and keys {tuple(k.shape)} do not fit: batch and head size "
            "must be equal, and the heads a multiple of the key-value heads"
        )
    return heads // kv_heads


def _spread(x: Tensor, group: int) -> Tensor:
    """Copy each key-value head for the query heads of its group."""
    return x if group == 1 else x.repeat_interleave(group, dim=1)


def _causal_mask(q: Tensor, k: Tensor) -> Tensor:
    tq, tk = q.shape[2], k.shape[2]
    return torch.ones(tq, tk, dtype=torch.bool, device=q.device).tril(tk - tq)
