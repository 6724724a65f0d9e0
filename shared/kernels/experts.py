"""Feed-forward over experts: each token passes through the one expert it is assigned to."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


def expert_ffn_reference(
    x: Tensor, assignment: Tensor, w1: Tensor, w2: Tensor, activation: Activation = F.relu
) -> Tensor:
    """activation(x w1[e]) w2[e] for each token's expert e, one mask an expert.

    x (tokens, d), assignment (tokens,) with values in 0..E-1, w1 (E, d, f), w2 (E, f, d);
    returns (tokens, d).
    """
    y = torch.zeros_like(x)
    for expert in range(len(w1)):
        mask = (assignment == expert).unsqueeze(-1)
        y = y + mask * (activation(x @ w1[expert]) @ w2[expert])
    return y


def expert_ffn(
    x: Tensor, assignment: Tensor, w1: Tensor, w2: Tensor, activation: Activation = F.relu
) -> Tensor:
    """`expert_ffn_reference`, computing for each expert only its own tokens.

    Raises ValueError if shapes do not fit or an assignment is not an expert's number.
    """
    counts = _counts(x, assignment, w1, w2)
    order = assignment.argsort()
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    parts = x.index_select(0, order).split(counts)
    experts = zip(parts, w1.unbind(), w2.unbind(), strict=True)
    return torch.cat([activation(part @ a) @ b for part, a, b in experts]).index_select(0, back)


def _counts(x: Tensor, assignment: Tensor, w1: Tensor, w2: Tensor) -> list[int]:
    n_experts, d, f = w1.shape
    if x.ndim != 2 or x.shape[1] != d or w2.shape != (n_experts, f, d):
        raise ValueError(
            f"x {tuple(x.shape)}, w1 {tuple(w1.shape)}, w2 {tuple(w2.shape)} do not fit: "
            "expected (tokens, d), (experts, d, f), (experts, f, d)"
        )
    if assignment.shape != x.shape[:1]:
        raise ValueError(
            f"assignment {tuple(assignment.shape)}: expected one expert for each of the "
            f"{len(x)} tokens"
        )
    counts = assignment.bincount(minlength=n_experts).tolist()
    if len(counts) > n_experts:
        raise ValueError(
            f"assignment names expert {len(counts) - 1}, but there are {n_experts} (0-based)"
        )
    return counts
