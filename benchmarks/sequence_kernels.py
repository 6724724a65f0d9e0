"""Times the scans, top-k, lookups and convolutions: `python -m benchmarks.sequence_kernels`.

One thread, about 20 s; versions take turns and the table gives ratios, as in benchmarks.kernels.
MB counts what a version has to read and write once, so MB/s beside it can be held against what
the machine's memory gives (its row `copy`).
"""

import torch

from benchmarks.kernels import measure, show
from shared.kernels.convolution import (
    OnlineConvolution,
    OnlineConvolutionReference,
    causal_convolution,
)
from shared.kernels.product_keys import product_key_topk, product_key_topk_reference
from shared.kernels.scan import scalar_scan, selective_scan, selective_scan_reference
from shared.kernels.sinkhorn import sinkhorn, sinkhorn_reference
from shared.kernels.topk import (
    gather_matvec,
    gather_matvec_reference,
    statistical_topk,
    statistical_topk_reference,
    topk_mask,
    topk_mask_reference,
)


def scans(batch: int = 8, time: int = 512, heads: int = 4, p: int = 16, n: int = 16) -> None:
    """Forward and backward, with one decay a head so that all three forms do the same."""
    x, dt = torch.randn(batch, time, heads, p), torch.rand(batch, time, heads)
    B, C = torch.randn(2, batch, time, n)
    A = -torch.rand(heads)
    wide = (
        x.flatten(2),
        dt.repeat_interleave(p, -1),
        A.repeat_interleave(p)[:, None].expand(-1, n),
    )
    arguments = {
        "token by token (reference)": (selective_scan_reference, (*wide, B, C)),
        "doubling in chunks (selective_scan)": (selective_scan, (*wide, B, C)),
        "matrix products (scalar_scan)": (scalar_scan, (x, dt, A, B, C)),
    }

    def step(scan, inputs) -> None:
        inputs = [v.detach().requires_grad_() for v in inputs]
        torch.autograd.grad(scan(*inputs).square().sum(), inputs)

    versions = {name: lambda a=a: step(*a) for name, a in arguments.items()}
    size = f"batch {batch}, {time} tokens, {heads} heads of {p}, state {n}"
    show(f"selective scan, forward and backward: {size}", measure(versions, 3), {})


def normalisations(shape: tuple[int, ...] = (32, 4, 64, 64)) -> None:
    scores = torch.randn(shape)
    versions = {
        "divisions (reference), 5 half-steps": lambda: sinkhorn_reference(scores, 5),
        "log domain (sinkhorn), 5 half-steps": lambda: sinkhorn(scores, 5),
        "softmax": lambda: scores.softmax(-1),
    }
    show(f"Sinkhorn normalisation of {shape}", measure(versions, 1), {})


def top_k(rows: int = 2048, n: int = 4096, share: float = 0.08) -> None:
    """Masking activations, forward and backward; `copy` is one read and one write."""
    a = torch.randn(rows, n, requires_grad=True)
    k = round(share * n)
    kept = {
        "full sort (reference)": lambda: a * topk_mask_reference(a, k),
        "torch.topk (topk_mask)": lambda: a * topk_mask(a, k),
        "mean and std, plain": lambda: statistical_topk_reference(a, share),
        "mean and std (statistical_topk)": lambda: statistical_topk(a, share),
        "copy": a.clone,
    }
    versions = {name: lambda f=f: torch.autograd.grad(f().sum(), a) for name, f in kept.items()}
    megabytes = {"copy": 4 * a.nbytes / 1e6}
    title = f"top {share:.0%} of {rows} x {n}, forward and backward"
    show(title, measure(versions, 4), megabytes)


def gathering(n: int = 8192, d: int = 1024, share: float = 0.08) -> None:
    """One decoded token's second feed-forward matrix, with few active units."""
    w, k = torch.randn(n, d), round(share * n)
    index = torch.randperm(n)[None, :k]
    values = torch.randn(1, k)
    versions = {
        "dense product (reference)": lambda: gather_matvec_reference(w, index, values),
        "index_select": lambda: values @ w.index_select(0, index[0]),
        "gathered rows (gather_matvec)": lambda: gather_matvec(w, index, values),
    }
    moved = {"dense product (reference)": w.nbytes / 1e6}
    moved |= {name: share * w.nbytes / 1e6 for name in list(versions)[1:]}
    with torch.inference_mode():
        show(f"gathered rows: {k} of {n} x {d}, one token", measure(versions, 1), moved)


def lookups(m: int, queries: int = 256, h: int = 32, k: int = 8) -> None:
    query, first, second = torch.randn(queries, 2 * h), torch.randn(m, h), torch.randn(m, h)
    versions = {
        "all sums (reference)": lambda: product_key_topk_reference(query, first, second, k),
        "halves first (product_key_topk)": lambda: product_key_topk(query, first, second, k),
    }
    with torch.inference_mode():
        show(f"product keys: top {k} of {m * m:,}, {queries} queries", measure(versions, 1), {})


def convolutions(length: int, d: int = 8) -> None:
    """Online outputs, one at a time; `whole sequence` knows all inputs beforehand."""
    u, f = torch.randn(length, d), torch.randn(length, d)

    def online(kind) -> None:
        convolution = kind(f)
        for row in u:
            convolution.step(row)

    versions = {
        "whole past (reference)": lambda: online(OnlineConvolutionReference),
        "many small FFTs (OnlineConvolution)": lambda: online(OnlineConvolution),
        "whole sequence (causal_convolution)": lambda: causal_convolution(u, f),
    }
    with torch.inference_mode():
        show(f"online convolution: {length} steps, width {d}", measure(versions, 1), {})


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scans()
    normalisations()
    top_k()
    gathering()
    for m in (32, 128, 512):
        lookups(m)
    for length in (1024, 4096):
        convolutions(length)


if __name__ == "__main__":
    main()
