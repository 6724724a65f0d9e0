"""Long causal convolutions y_t = sum_i f_i u_{t-i}: over a whole sequence, and as it is generated.

Over a whole sequence the FFT does it in n log n. In generation u_{t+1} depends on y_t, so one big
FFT is impossible; `OnlineConvolution` does many small ones (Agarwal et al. 2024, FutureFill).
"""

import torch
from torch import Tensor


def causal_convolution_reference(u: Tensor, f: Tensor) -> Tensor:
    """The sum as written: u (..., time, d), f (filter, d); returns (..., time, d)."""
    y = torch.zeros_like(u)
    for lag in range(min(len(f), u.shape[-2])):
        y[..., lag:, :] += f[lag] * u[..., : u.shape[-2] - lag, :]
    return y


def causal_convolution(u: Tensor, f: Tensor) -> Tensor:
    """`causal_convolution_reference` by FFT, padded so that nothing wraps around.

    Raises ValueError if the last axes differ.
    """
    if f.ndim != 2 or u.shape[-1] != f.shape[-1]:
        raise ValueError(f"u {tuple(u.shape)} and f {tuple(f.shape)}: expected one width d")
    time = u.shape[-2]
    f = f[:time]
    size = 1 << (time + len(f) - 2).bit_length()
    product = torch.fft.rfft(u, size, dim=-2) * torch.fft.rfft(f, size, dim=-2)
    return torch.fft.irfft(product, size, dim=-2)[..., :time, :]


class OnlineConvolutionReference:
    """Outputs one by one, each a product with the whole past: quadratic in length."""

    def __init__(self, f: Tensor) -> None:
        self.f, self.past, self.t = f, torch.empty_like(f), 0

    def step(self, u: Tensor) -> Tensor:
        """The next output y_t (d,) from the next input u_t (d,)."""
        self.past[self.t] = u
        self.t += 1
        return (self.f[: self.t].flip(0) * self.past[: self.t]).sum(0)


class OnlineConvolution:
    """The same outputs in time n log^2 n: Continuous-FutureFill, with plain sums below BLOCK.

    After step t, a multiple of 2^k but not of 2^(k+1), one FFT adds what the last 2^k inputs will
    do to the next 2^k outputs. Inside a block of BLOCK steps the past is summed as it stands, which
    is faster than many tiny FFTs. f (length, d) limits the number of steps; a step beyond it
    raises IndexError. Not differentiable.
    """

    BLOCK = 64

    def __init__(self, f: Tensor) -> None:
        self.f, self.past, self.future, self.t = f, torch.empty_like(f), torch.zeros_like(f), 0
        self.last = f[: self.BLOCK].flip(0)

    def step(self, u: Tensor) -> Tensor:
        """The next output y_t (d,) from the next input u_t (d,)."""
        t = self.t
        self.past[t] = u
        start = t - t % self.BLOCK
        recent = self.past[start : t + 1]
        y = (self.last[-len(recent) :] * recent).sum(0) + self.future[t]
        t = self.t = t + 1
        size = t & -t
        ahead = min(size, len(self.f) - t)
        if size >= self.BLOCK and ahead:
            # Twice `size` is room enough: what wraps around lands in the half that is not read.
            product = torch.fft.rfft(self.past[t - size : t], 2 * size, dim=0)
            product *= torch.fft.rfft(self.f[: 2 * size], 2 * size, dim=0)
            filled = torch.fft.irfft(product, 2 * size, dim=0)
            self.future[t : t + ahead] += filled[size : size + ahead]
        return y
