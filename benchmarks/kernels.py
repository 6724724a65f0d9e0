"""Times the kernels side by side: `python -m benchmarks.kernels`, one thread, about 15 s.

Each row's versions run alternately on the same inputs; the table gives the median of the ratios
to the row's first version, so a machine that slows down in between does not matter.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kernels.attention import decode_step, decode_step_reference
from shared.kernels.experts import expert_ffn, expert_ffn_reference


def measure(versions: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Seconds of each call, the versions taking turns until `seconds` have passed."""
    for run in versions.values():
        run()
    times = {name: [] for name in versions}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, run in versions.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def show(title: str, times: dict[str, list[float]], megabytes: dict[str, float]) -> None:
    print(f"\n{title}\n  {'version':<34}{'ms':>9}{'MB cache':>10}{'GB/s':>8}{'first / this':>14}")
    first = next(iter(times.values()))
    for name, own in times.items():
        median = statistics.median(own)
        ratio = statistics.median(a / b for a, b in zip(first, own, strict=True))
        size = megabytes.get(name)
        moved = f"{size:>10.1f}{size / 1e3 / median:>8.1f}" if size else f"{'':>18}"
        print(f"  {name:<34}{1e3 * median:>9.2f}{moved}{ratio:>14.2f}")


def sdpa_step(q: Tensor, k_cache: Tensor, v_cache: Tensor, length: int) -> Tensor:
    """The same step by torch's own attention, with the shared heads left to it."""
    k, v = k_cache[:, :, :length], v_cache[:, :, :length]
    return F.scaled_dot_product_attention(q.unsqueeze(2), k, v, enable_gqa=True).squeeze(2)


def decoding(n: int, batch: int = 16, heads: int = 8, d: int = 64, seconds: float = 2.5) -> None:
    """One decoding step at cache length n, multi-head and multi-query.

    Copying the shared head for every query head also pays for fresh memory at each step.
    """
    q = torch.randn(batch, heads, d)
    caches = {
        name: (torch.randn(batch, kv_heads, n, d), torch.randn(batch, kv_heads, n, d))
        for name, kv_heads in (("multi-head", heads), ("multi-query", 1))
    }
    rows = [
        ("multi-head", "decode_step", decode_step),
        ("multi-head", "torch SDPA", sdpa_step),
        ("multi-query", "decode_step", decode_step),
        ("multi-query", "torch SDPA", sdpa_step),
        ("multi-query", "head copied", decode_step_reference),
    ]
    versions, megabytes = {}, {}
    for cache, name, step in rows:
        k, v = caches[cache]
        versions[f"{cache}, {name}"] = lambda step=step, k=k, v=v: step(q, k, v, n)
        megabytes[f"{cache}, {name}"] = (k.nbytes + v.nbytes) / 1e6
    with torch.inference_mode():
        times = measure(versions, seconds)
    show(f"decode_step: batch {batch}, {heads} heads of {d}, cache {n}", times, megabytes)


def experts(n_experts: int, tokens: int = 768, d: int = 64, f: int = 128) -> None:
    """Forward and backward of the expert feed-forward."""
    x = torch.randn(tokens, d, requires_grad=True)
    w1 = torch.randn(n_experts, d, f, requires_grad=True)
    w2 = torch.randn(n_experts, f, d, requires_grad=True)
    assignment = torch.randint(n_experts, (tokens,))

    def step(version: Callable[..., Tensor]) -> None:
        torch.autograd.grad(version(x, assignment, w1, w2).square().sum(), (x, w1, w2))

    def dense(x: Tensor, assignment: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
        return F.relu(x @ w1[0]) @ w2[0]

    versions = {
        "one mask an expert (reference)": lambda: step(expert_ffn_reference),
        "sorted tokens (expert_ffn)": lambda: step(expert_ffn),
        "one dense expert (lower bound)": lambda: step(dense),
    }
    title = f"expert_ffn, forward and backward: {tokens} tokens, {n_experts} experts of {d} x {f}"
    show(title, measure(versions, 1.5), {})


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for n in (256, 1024, 2048):
        decoding(n)
    for n_experts in (4, 16, 64):
        experts(n_experts)


if __name__ == "__main__":
    main()
