"""Sinkhorn normalisation: rows and columns of exp(scores) are scaled in turn to sum to one.

One half-step is the softmax over rows; after an odd number of them rows sum to one exactly, and
with many of them columns do too (Sander et al. 2021, Sinkformers; Sinkhorn 1964).
"""

from torch import Tensor


def sinkhorn_reference(scores: Tensor, half_steps: int) -> Tensor:
    """The scaling written down: divide by row sums, then by column sums, and so on.

    scores (..., rows, columns); overflows where exp(scores) does.
    """
    K = scores.exp()
    for k in range(half_steps):
        K = K / K.sum(-1 if k % 2 == 0 else -2, keepdim=True)
    return K


def sinkhorn(scores: Tensor, half_steps: int) -> Tensor:
    """`sinkhorn_reference` in the log domain: safe for scores of any size.

    Raises ValueError for fewer than one half-step.
    """
    if half_steps < 1:
        raise ValueError(f"half_steps={half_steps}: take 1 (softmax) or more")
    for k in range(half_steps - 1):
        scores = scores.log_softmax(-1 if k % 2 == 0 else -2)
    return scores.softmax(-1 if half_steps % 2 else -2)


def symmetric_sinkhorn(K: Tensor, tolerance: float = 1e-10, most: int = 10_000) -> Tensor:
    """The doubly stochastic diag(s) K diag(s) of a positive symmetric matrix K (n, n).

    s <- sqrt(s / (K s)) until row sums are one to `tolerance` (Knight, Ruiz and Ucar 2014).
    Raises ValueError after `most` iterations without that.
    """
    s = K.sum(1).rsqrt()
    for _ in range(most):
        if (s * (K @ s) - 1).abs().max() <= tolerance:
            return s[:, None] * K * s
        s = (s / (K @ s)).sqrt()
    raise ValueError(f"symmetric_sinkhorn: no convergence to {tolerance} in {most} iterations")


def column_spread(weights: Tensor) -> Tensor:
    """Mean |column sum - 1| of row-stochastic matrices (..., n, n): 0 if doubly stochastic."""
    return (weights.sum(-2) - 1).abs().mean(-1)
