"""One fit loop with fused AdamW, warm-up and decay; plain progress; many tiny models as one."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

_T = TypeVar("_T")


def progress(
    items: Iterable[_T], label: str, total: int | None = None, every: float = 5.0
) -> Iterator[_T]:
    """Pass the items through, and say on stderr at most every `every` seconds how far we are.

    stderr is never part of a study's compared outputs, so a slow machine changes nothing.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= every:
            left = (
                f", about {(now - start) / done * (total - done):.0f} s left"
                if total and done
                else ""
            )
            print(f"{label}: {done}/{total or '?'}{left}", file=sys.stderr, flush=True)
            last = now
        yield item


def warmup_cosine(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Learning-rate factor: linear warm-up, then a half cosine from 1 down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def fit(
    model: nn.Module,
    batches: Iterable[_T],
    loss: Callable[[nn.Module, _T], Tensor],
    *,
    lr: float,
    steps: int | None = None,
    warmup: int = 0,
    floor: float = 0.0,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    clip: float | None = 1.0,
    label: str = "training",
    every: Callable[[int, nn.Module], None] | None = None,
) -> list[float]:
    """Train with fused AdamW; the losses of all steps, in the loss's own unit.

    `batches` yields what `loss(model, batch)` takes; `steps` is its length where it has none.
    Weight decay acts on matrices only. `every(step, model)` runs before each step and once after
    the last. Raises FloatingPointError naming the step when the loss is not finite.
    """
    steps = len(batches) if steps is None else steps
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in params if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=lr, betas=betas, fused=True
    )
    losses: list[Tensor] = []
    for step, batch in enumerate(progress(batches, label, steps)):
        if step >= steps:
            break
        if every:
            every(step, model)
        for group in optimiser.param_groups:
            group["lr"] = lr * warmup_cosine(step, steps, warmup, floor)
        optimiser.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(params, clip)
        optimiser.step()
        losses.append(value.detach())
    if every:
        every(steps, model)
    curve = torch.stack(losses).tolist() if losses else []
    for step, value in enumerate(curve):
        if not math.isfinite(value):
            raise FloatingPointError(
                f"{label}: the loss is {value} at step {step} of {steps}; lower lr ({lr}) or clip"
            )
    return curve


class StackedLinear(nn.Module):
    """`n` independent linear layers as one batched product: (n, batch, d_in) -> (n, batch, d_out).

    Weights are drawn per model as nn.Linear draws them, so model i of a stack is an ordinary
    small network; several seeds of a tiny model train 2-8 times faster than in a loop.
    """

    def __init__(self, n: int, d_in: int, d_out: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(d_in)
        self.weight = nn.Parameter(torch.empty(n, d_in, d_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n, 1, d_out).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x is (n, batch, d_in)."""
        if self.bias is None:
            return torch.bmm(x, self.weight)
        return torch.baddbmm(self.bias, x, self.weight)
