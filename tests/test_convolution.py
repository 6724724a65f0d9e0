"""Causal convolutions: over a whole sequence, and online with feedback."""

import pytest
import torch

from shared.kernels.convolution import (
    OnlineConvolution,
    OnlineConvolutionReference,
    causal_convolution,
    causal_convolution_reference,
)


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize(("time", "filter_length"), [(1, 1), (10, 3), (33, 33), (20, 50)])
def test_the_fft_gives_the_sum(time, filter_length):
    u, f = draw(2, time, 3), draw(filter_length, 3, seed=1)
    torch.testing.assert_close(causal_convolution(u, f), causal_convolution_reference(u, f))


def test_an_impulse_returns_the_filter_and_nothing_wraps():
    u, f = torch.zeros(8, 1, dtype=torch.float64), draw(8, 1)
    u[5] = 1
    y = causal_convolution(u, f)
    torch.testing.assert_close(y[5:], f[:3])
    torch.testing.assert_close(y[:5], torch.zeros(5, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="one width d"):
        causal_convolution(u, draw(8, 2))


@pytest.mark.parametrize("length", [1, 2, 7, 64, 200, 257])
def test_online_with_feedback_is_the_plain_sum(length):
    f, noise = draw(length, 4) / (1 + torch.arange(length)[:, None]), draw(length, 4, seed=1)
    outputs = []
    for kind in (OnlineConvolutionReference, OnlineConvolution):
        convolution, y = kind(f), torch.zeros(4, dtype=torch.float64)
        outputs.append([y := convolution.step(torch.tanh(y + e)) for e in noise])
    torch.testing.assert_close(torch.stack(outputs[1]), torch.stack(outputs[0]))
    with pytest.raises(IndexError):
        convolution.step(y)
