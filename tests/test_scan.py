"""Three forms of the selective scan are one function, and the Triton one is a fourth."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from shared.kernels.scan import scalar_scan, selective_scan, selective_scan_reference


def draw(batch=2, time=70, d=6, n=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x, B, C = (
        torch.randn(*shape, generator=rng) for shape in ((batch, time, d), *2 * ((batch, time, n),))
    )
    dt = torch.rand(batch, time, d, generator=rng)
    return x, dt, -torch.rand(d, n, generator=rng) * 3, B, C


@pytest.mark.parametrize("chunk", [1, 7, 32, 100])
def test_chunks_give_what_the_recurrence_gives(chunk):
    inputs = draw()
    want = selective_scan_reference(*inputs)
    torch.testing.assert_close(selective_scan(*inputs, chunk=chunk), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_one_decay_a_head_gives_what_equal_decays_of_its_channels_give(chunk):
    x, dt, _, B, C = draw()
    heads = x.unflatten(-1, (2, 3))
    step, A = dt[..., :2], torch.tensor([-0.5, -2.0])
    want = selective_scan_reference(
        x, step.repeat_interleave(3, -1), A.repeat_interleave(3)[:, None].expand(6, 4), B, C
    )
    got = scalar_scan(heads, step, A, B, C, chunk).flatten(2)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_gradients_agree():
    inputs = [v.double().requires_grad_() for v in draw(time=20)]
    want = torch.autograd.grad(selective_scan_reference(*inputs).square().sum(), inputs)
    got = torch.autograd.grad(selective_scan(*inputs, chunk=8).square().sum(), inputs)
    torch.testing.assert_close(got, want)


def test_one_state_is_a_gate():  # Gu and Dao 2023, theorem 1, with zero-order hold for B
    x, dt, *_ = draw(d=1, n=1)
    one = torch.ones(2, 70, 1)
    y = selective_scan(x, dt, -torch.ones(1, 1), (1 - (-dt).exp()) / dt, one)
    h = torch.zeros(2, 1)
    for t in range(70):
        gate = 1 - (-dt[:, t]).exp()
        h = (1 - gate) * h + gate * x[:, t]
        torch.testing.assert_close(y[:, t], h, rtol=1e-4, atol=1e-5)


def test_long_gaps_neither_overflow_nor_leak():
    x, dt, A, B, C = draw(time=64)
    dt = 1e4 * (1 + dt)
    y = selective_scan(x, dt, A - 0.1, B, C)
    direct = torch.einsum("btn,btn,btd->btd", C, B, dt * x)
    assert y.isfinite().all()
    torch.testing.assert_close(y, direct, rtol=1e-3, atol=1.0)


def test_shapes_that_do_not_fit_are_named():
    x, dt, A, B, C = draw()
    with pytest.raises(ValueError, match="do not fit"):
        selective_scan(x, dt, A[:, :2], B, C)
    with pytest.raises(ValueError, match="one A a head"):
        scalar_scan(x.unflatten(-1, (2, 3)), dt, A[:, 0], B, C)


TRITON_CHECK = """
import torch
from tests.test_scan import draw
from shared.kernels.scan import selective_scan_reference
from shared.kernels.scan_triton import selective_scan
for shape in [(2, 5, 6, 4), (1, 17, 40, 16), (3, 9, 1, 3)]:
    inputs = draw(*shape)
    got, want = selective_scan(*inputs), selective_scan_reference(*inputs)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_the_triton_kernel_agrees_through_the_interpreter():
    # A process of its own: triton reads TRITON_INTERPRET when a kernel is defined.
    env = os.environ | {"TRITON_INTERPRET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", TRITON_CHECK], env=env, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_selective_scan_on_cuda_agrees():
    inputs = [v.cuda() for v in draw(time=300, d=70, n=16)]
    want = selective_scan_reference(*inputs)
    torch.testing.assert_close(selective_scan(*inputs), want, rtol=1e-3, atol=1e-4)
