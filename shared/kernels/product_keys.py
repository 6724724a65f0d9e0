"""The k best of m^2 keys that are pairs of two sets of m sub-keys, looking at 2 m + k^2 scores.

A key's score is the sum of its two halves' scores, so the best k pairs are among the pairs of the
best k of each half (Lample et al. 2019, Large Memory Layers with Product Keys, section 3.2).
"""

from torch import Tensor


def product_key_topk_reference(
    query: Tensor, first: Tensor, second: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Scores of all m^2 keys, then their top k; shapes as in `product_key_topk`."""
    a, b = _half_scores(query, first, second, k)
    return (a[..., :, None] + b[..., None, :]).flatten(-2).topk(k)


def product_key_topk(query: Tensor, first: Tensor, second: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores (..., k), best first, and slots (..., k) in 0..m^2 - 1 of the k best keys.

    query (..., 2 h), first and second (m, h): slot i m + j has the key (first_i, second_j).
    Differentiable in the scores. Raises ValueError if shapes do not fit or k > m.
    """
    a, b = _half_scores(query, first, second, k)
    (a, i), (b, j) = a.topk(k), b.topk(k)
    scores, best = (a[..., :, None] + b[..., None, :]).flatten(-2).topk(k)
    return scores, i.gather(-1, best // k) * len(second) + j.gather(-1, best % k)


def _half_scores(query: Tensor, first: Tensor, second: Tensor, k: int) -> tuple[Tensor, Tensor]:
    m, h = first.shape
    if second.shape != (m, h) or query.shape[-1] != 2 * h:
        raise ValueError(
            f"query {tuple(query.shape)}, sub-keys {tuple(first.shape)} and {tuple(second.shape)} "
            "do not fit: expected (..., 2 h) and twice (m, h)"
        )
    if not 1 <= k <= m:
        raise ValueError(f"k={k}: must lie between 1 and the {m} sub-keys of a half")
    a, b = query.chunk(2, dim=-1)
    return a @ first.T, b @ second.T
