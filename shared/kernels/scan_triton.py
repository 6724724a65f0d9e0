"""The selective scan of shared.kernels.scan on a GPU: the state stays in registers, in Triton.

One program walks along time for one sequence and a block of channels, so each input is read once
and the states (batch, time, d, n) are never written (Gu and Dao 2023, section 3.3.2). Forward only.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _scan_kernel(
    x_ptr, dt_ptr, a_ptr, b_ptr, c_ptr, y_ptr, time, d,
    n: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    state = tl.arange(0, STATES)
    inside, kept = channel < d, state < n
    both = inside[:, None] & kept[None, :]
    a = tl.load(a_ptr + channel[:, None] * n + state[None, :], mask=both, other=0.0)
    h = tl.zeros([CHANNELS, STATES], tl.float32)
    for t in range(0, time):
        row = sequence * time + t
        x = tl.load(x_ptr + row * d + channel, mask=inside, other=0.0)
        dt = tl.load(dt_ptr + row * d + channel, mask=inside, other=0.0)
        b = tl.load(b_ptr + row * n + state, mask=kept, other=0.0)
        c = tl.load(c_ptr + row * n + state, mask=kept, other=0.0)
        h = tl.exp(dt[:, None] * a) * h + (dt * x)[:, None] * b[None, :]
        tl.store(y_ptr + row * d + channel, tl.sum(h * c[None, :], 1), mask=inside)


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """`shared.kernels.scan.selective_scan` for float32 tensors on a GPU; the same shapes."""
    (batch, time, d), n = x.shape, A.shape[1]
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    _scan_kernel[(batch, triton.cdiv(d, 32))](
        *(v.contiguous() for v in (x, dt, A, B, C)), y, time, d, n,
        CHANNELS=32, STATES=triton.next_power_of_2(n),
    )  # fmt: skip
    return y
