"""The decoding step of shared.kernels.attention on a GPU: one pass over the cache, in Triton.

Each program takes one (batch, key-value head) and walks along its cache once with an online
softmax (Milakov and Gimelshein 2018; Dao 2023, Flash-Decoding, without the split over the cache);
the query heads that share the head are the rows of one small matrix product.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _decode_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, length, scale,
    k_head, k_step, k_dim, v_head, v_step, v_dim,
    group: tl.constexpr, d: tl.constexpr,
    ROWS: tl.constexpr, COLS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(0).to(tl.int64)
    row, col, step = tl.arange(0, ROWS), tl.arange(0, COLS), tl.arange(0, STEP)
    q_at = head * group * d + row[:, None] * d + col[None, :]
    q_mask = (row[:, None] < group) & (col[None, :] < d)
    q = tl.load(q_ptr + q_at, mask=q_mask, other=0.0) * scale
    top = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    out = tl.zeros([ROWS, COLS], tl.float32)
    for start in range(0, length, STEP):
        at = start + step
        mask = (at[:, None] < length) & (col[None, :] < d)
        k_at = head * k_head + at[:, None] * k_step + col[None, :] * k_dim
        v_at = head * v_head + at[:, None] * v_step + col[None, :] * v_dim
        k = tl.load(k_ptr + k_at, mask=mask, other=0.0)
        v = tl.load(v_ptr + v_at, mask=mask, other=0.0)
        scores = tl.dot(q.to(k.dtype), tl.trans(k), input_precision="ieee")
        scores = tl.where(at[None, :] < length, scores, -float("inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp(scores - new_top[:, None])
        shrink = tl.exp(top - new_top)
        total = total * shrink + tl.sum(weights, 1)
        out = out * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        top = new_top
    tl.store(out_ptr + q_at, out / total[:, None], mask=q_mask)


def decode_step(q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int) -> Tensor:
    """`shared.kernels.attention.decode_step` for tensors on a GPU; the same shapes and checks."""
    batch, kv_heads, _, d = k_cache.shape
    group = q.shape[1] // kv_heads
    q, k, v = q.contiguous(), k_cache.flatten(0, 1), v_cache.flatten(0, 1)
    out = torch.empty_like(q)
    _decode_kernel[(batch * kv_heads,)](
        q, k, v, out, length, d**-0.5, *k.stride(), *v.stride(), group, d,
        ROWS=max(16, triton.next_power_of_2(group)),  # tl.dot wants at least 16 rows and columns
        COLS=max(16, triton.next_power_of_2(d)),
        STEP=64,
    )  # fmt: skip
    return out
