"""The selective scan of state-space models.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t,    y_t = C_t . h_t

Every channel of x has a state of its own, of size n, with a diagonal A; dt, B and C may change
from token to token (Gu and Dao 2023, Mamba, algorithm 2). Three forms of one function:
`selective_scan_reference` walks along time, `selective_scan` does chunks of it in parallel, and
`scalar_scan`, for an A that is one number a head, needs only matrix products (Dao and Gu 2024,
Mamba-2, section 6). On CUDA and without gradients `selective_scan` is a Triton kernel.
"""

import torch
from torch import Tensor


def selective_scan_reference(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recurrence, one token at a time; h starts at zero.

    x and dt (batch, time, d), A (d, n) with negative values, B and C (batch, time, n); returns
    y (batch, time, d). Raises ValueError if shapes do not fit.
    """
    _check(x, dt, A, B, C)
    h = x.new_zeros(*x.shape[::2], A.shape[1])
    y = []
    for t in range(x.shape[1]):
        step = dt[:, t, :, None]
        h = (step * A).exp() * h + step * B[:, t, None] * x[:, t, :, None]
        y.append((h @ C[:, t, :, None]).squeeze(-1))
    return torch.stack(y, 1)


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int = 32
) -> Tensor:
    """`selective_scan_reference`, `chunk` tokens at a time; memory is of order batch chunk d n.

    Inside a chunk the pairs (decay, write) are combined with those 1, 2, 4, ... tokens before
    (Hillis and Steele 1986), so nothing is ever divided by a decay that has become zero.
    """
    _check(x, dt, A, B, C)
    if x.is_cuda and not (
        torch.is_grad_enabled() and any(v.requires_grad for v in (x, dt, A, B, C))
    ):
        from shared.kernels.scan_triton import selective_scan as selective_scan_triton

        return selective_scan_triton(x, dt, A, B, C)
    h, y = x.new_zeros(*x.shape[::2], A.shape[1]), []
    for start in range(0, x.shape[1], chunk):
        at = slice(start, start + chunk)
        step = dt[:, at, :, None]
        decay, states = (step * A).exp(), step * B[:, at, None] * x[:, at, :, None]
        states = torch.cat((states[:, :1] + decay[:, :1] * h[:, None], states[:, 1:]), 1)
        back = 1
        while back < states.shape[1]:
            earlier = decay[:, back:] * states[:, :-back]
            states = torch.cat((states[:, :back], states[:, back:] + earlier), 1)
            decay = torch.cat((decay[:, :back], decay[:, back:] * decay[:, :-back]), 1)
            back *= 2
        h = states[:, -1]
        y.append(torch.einsum("btdn,btn->btd", states, C[:, at]))
    return torch.cat(y, 1)


def scalar_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int = 64) -> Tensor:
    """The scan with one decay a head, in matrix products; A (heads,) with negative values.

    x (batch, time, heads, p), dt (batch, time, heads); B and C (batch, time, n) are shared by the
    heads; returns y like x. Inside a chunk y = M x with
    M_ts = C_t . B_s dt_s exp(A (dt_{s+1} + ... + dt_t)); a state of (heads, p, n) goes from chunk
    to chunk. Raises ValueError if shapes do not fit.
    """
    batch, time, heads, p = x.shape
    if dt.shape != (batch, time, heads) or A.shape != (heads,) or B.shape != C.shape:
        raise ValueError(
            f"x {tuple(x.shape)}, dt {tuple(dt.shape)}, A {tuple(A.shape)}: expected dt without "
            "the last axis of x, one A a head, and B and C of one shape"
        )
    h, y = x.new_zeros(batch, heads, p, B.shape[-1]), []
    for start in range(0, time, chunk):
        at = slice(start, start + chunk)
        since = (dt[:, at] * A).cumsum(1).transpose(1, 2)  # log decay (batch, heads, tokens)
        between = since[..., :, None] - since[..., None, :]
        seen = torch.ones(between.shape[-2:], dtype=torch.bool, device=x.device).tril()
        decay = between.masked_fill(~seen, -torch.inf).exp()
        mixing = (C[:, at] @ B[:, at].transpose(1, 2))[:, None] * decay
        writes = (dt[:, at, :, None] * x[:, at]).transpose(1, 2)  # (batch, heads, tokens, p)
        carried = C[:, None, at] @ h.transpose(2, 3) * since.exp()[..., None]
        y.append((mixing @ writes + carried).transpose(1, 2))
        left = (since[..., -1:] - since).exp()[..., None]
        h = since[..., -1:, None].exp() * h + (left * writes).transpose(2, 3) @ B[:, None, at]
    return torch.cat(y, 1)


def _check(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> None:
    fits = x.ndim == 3 and dt.shape == x.shape and A.ndim == 2 and A.shape[0] == x.shape[2]
    if not fits or B.shape != C.shape or B.shape != (*x.shape[:2], A.shape[1]):
        shapes = ", ".join(str(tuple(v.shape)) for v in (x, dt, A, B, C))
        raise ValueError(
            f"x, dt, A, B, C of shapes {shapes} do not fit: expected (batch, time, d) twice, "
            "(d, n), and (batch, time, n) twice"
        )
