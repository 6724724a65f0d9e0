"""Keeping the largest activations, exactly or by a threshold, and using only what was kept.

Exact top-k has to sort or select. The statistical threshold mean + z std, with z the normal
quantile of the share kept, takes two passes of sums (You et al. 2025, Spark Transformer).
"""

from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor


def topk_mask_reference(a: Tensor, k: int) -> Tensor:
    """Which of the last axis are among its k largest, by a full sort; ties go to the first."""
    _check(a, k)
    rank = a.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1, stable=True)
    return rank < k


def topk_mask(a: Tensor, k: int) -> Tensor:
    """`topk_mask_reference` by selection instead of sorting; with ties any of them."""
    _check(a, k)
    kept = a.topk(k, dim=-1, sorted=False).indices
    return torch.zeros_like(a, dtype=torch.bool).scatter_(-1, kept, True)


def statistical_threshold(
    a: Tensor, share: float | Tensor, visible: Tensor | None = None
) -> Tensor:
    """mean + z std of the last axis, kept as an axis of one; `share` of a normal lies above it.

    a (..., n); share in (0, 1), or a tensor that broadcasts to (..., 1); visible (..., n), bool,
    leaves the other entries out of mean and std. std is the population's, so that one visible
    entry has a threshold too. Raises ValueError for a share outside (0, 1).
    """
    if isinstance(share, Tensor):
        z = torch.special.ndtri(1 - share)
    elif 0 < share < 1:
        z = NormalDist().inv_cdf(1 - share)
    else:
        raise ValueError(f"share={share}: the share kept must lie between 0 and 1")
    if visible is None:
        mean = a.mean(-1, keepdim=True)
        square = (a - mean).square().mean(-1, keepdim=True)  # several times faster than torch.var
        return mean + z * square.clamp_min(1e-12).sqrt()
    count = visible.sum(-1, keepdim=True).clamp_min(1)
    mean = a.masked_fill(~visible, 0).sum(-1, keepdim=True) / count
    square = (a - mean).square().masked_fill(~visible, 0).sum(-1, keepdim=True) / count
    return mean + z * square.clamp_min(1e-12).sqrt()


def statistical_topk_reference(a: Tensor, share: float) -> Tensor:
    """max(a - threshold, 0): about `share` of the last axis stays positive; same shape as a."""
    return (a - statistical_threshold(a, share)).relu()


def statistical_topk(a: Tensor, share: float) -> Tensor:
    """`statistical_topk_reference` with its own backward, on rows that fit into the cache."""
    if not 0 < share < 1:
        raise ValueError(f"share={share}: the share kept must lie between 0 and 1")
    return _StatisticalTopK.apply(a.flatten(0, -2), NormalDist().inv_cdf(1 - share)).view(a.shape)


class _StatisticalTopK(torch.autograd.Function):
    """y = max(c - z s, 0), c = a - mean, s = |c| / sqrt(n); only a, mean and s are kept."""

    @staticmethod
    def forward(ctx, a: Tensor, z: float) -> Tensor:
        mean = a.mean(-1, keepdim=True)
        std, y = torch.empty_like(mean), torch.empty_like(a)
        for at in _row_blocks(a):
            torch.sub(a[at], mean[at], out=y[at])
            torch.linalg.vector_norm(y[at], dim=-1, keepdim=True, out=std[at])
            std[at].mul_(a.shape[-1] ** -0.5).clamp_min_(1e-6)
            y[at].sub_(z * std[at]).relu_()
        ctx.save_for_backward(a, mean, std)
        ctx.z = z
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        a, mean, std = ctx.saved_tensors
        z, out = ctx.z, torch.empty_like(a)
        for at in _row_blocks(a):
            c = a[at] - mean[at]
            kept = grad[at] * (c > z * std[at])
            share = kept.sum(-1, keepdim=True) / a.shape[-1]  # of what moves the threshold
            torch.sub(kept, c.mul_(z * share / std[at]).add_(share), out=out[at])
        return out, None


def _row_blocks(a: Tensor, entries: int = 1 << 16) -> list[slice]:
    rows = len(a) if a.is_cuda else max(1, entries // a.shape[-1])
    return [slice(start, start + rows) for start in range(0, len(a), rows)]


def gather_matvec_reference(w: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """sum_i values_i w[index_i] by way of a dense vector: w (n, d), index and values (batch, k).

    Returns (batch, d). An index may occur twice.
    """
    dense = values.new_zeros(len(index), len(w)).scatter_add_(1, index, values)
    return dense @ w


def gather_matvec(w: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """`gather_matvec_reference`, reading only the k rows that are named: the step of decoding."""
    return F.embedding_bag(index, w, mode="sum", per_sample_weights=values)


def _check(a: Tensor, k: int) -> None:
    if not 1 <= k <= a.shape[-1]:
        raise ValueError(f"k={k}: must lie between 1 and the {a.shape[-1]} entries of a row")
