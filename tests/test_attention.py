"""Attention kernels against the equation, written out."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from shared.kernels.attention import (
    attention,
    attention_reference,
    attention_weights,
    decode_step,
    decode_step_reference,
)

SHAPES = [  # batch, heads, kv_heads, tq, tk, d
    (1, 1, 1, 1, 1, 1),
    (2, 4, 4, 7, 7, 8),
    (3, 6, 2, 5, 9, 5),
    (2, 8, 1, 33, 33, 16),
    (1, 4, 2, 1, 20, 3),
]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_attention_agrees_with_the_reference_and_so_do_gradients(shape, causal):
    batch, heads, kv_heads, tq, tk, d = shape
    tensors = q, k, v = (
        draw(batch, heads, tq, d, seed=1),
        draw(batch, kv_heads, tk, d, seed=2),
        draw(batch, kv_heads, tk, d, seed=3),
    )
    fast, plain = attention(q, k, v, causal), attention_reference(q, k, v, causal)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
    weight = draw(*fast.shape, seed=4).detach()
    for got, want in zip(
        torch.autograd.grad((fast * weight).sum(), tensors),
        torch.autograd.grad((plain * weight).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_the_reference_is_the_equation():
    q, k, v = draw(1, 2, 3, 4, seed=1), draw(1, 1, 3, 4, seed=2), draw(1, 1, 3, 4, seed=3)
    for head in range(2):
        for t in range(3):
            e = torch.exp(k[0, 0, : t + 1] @ q[0, head, t] / 4**0.5)
            want = (e / e.sum()) @ v[0, 0, : t + 1]
            torch.testing.assert_close(attention_reference(q, k, v)[0, head, t], want)
    assert attention_weights(q, k)[0, :, 0, 1:].abs().max() == 0


def test_query_heads_use_the_key_value_head_of_their_group():
    q, k, v = draw(1, 4, 5, 8, seed=1), draw(1, 2, 5, 8, seed=2), draw(1, 2, 5, 8, seed=3)
    grouped = attention(q, k, v)
    for head in range(4):
        kv = slice(head // 2, head // 2 + 1)
        alone = attention(q[:, head : head + 1], k[:, kv], v[:, kv])
        torch.testing.assert_close(grouped[:, head : head + 1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", [attention, attention_reference])
def test_fewer_queries_than_keys_are_the_last_ones(version):
    q, k, v = draw(1, 2, 6, 4, seed=1), draw(1, 2, 6, 4, seed=2), draw(1, 2, 6, 4, seed=3)
    torch.testing.assert_close(version(q[:, :, 4:], k, v), version(q, k, v)[:, :, 4:])


def decode_case(batch, heads, kv_heads, n, d):
    q = draw(batch, heads, d, seed=1).detach()
    k = draw(batch, kv_heads, n, d, seed=2).detach()
    return q, k, draw(batch, kv_heads, n, d, seed=3).detach()


DECODE = [(2, 4, 4, 9, 8), (3, 6, 2, 17, 5), (2, 8, 1, 130, 16), (1, 3, 3, 1, 2)]


@pytest.mark.parametrize("shape", DECODE)
def test_decode_step_agrees_with_the_reference_at_every_length(shape):
    q, k, v = decode_case(*shape)
    for length in {1, (shape[3] + 1) // 2, shape[3]}:
        k[:, :, length:] = float("nan")  # what lies beyond the valid entries is never read
        v[:, :, length:] = float("nan")
        got = decode_step(q, k, v, length)
        torch.testing.assert_close(got, decode_step_reference(q, k, v, length))
        q, k, v = decode_case(*shape)


def test_decode_steps_give_what_causal_attention_gives():
    q, k, v = draw(2, 4, 6, 8, seed=1), draw(2, 2, 6, 8, seed=2), draw(2, 2, 6, 8, seed=3)
    steps = [decode_step(q[:, :, t], k, v, t + 1) for t in range(6)]
    torch.testing.assert_close(torch.stack(steps, 2), attention(q, k, v), rtol=1e-5, atol=1e-5)


def test_a_shared_head_is_never_copied_for_its_group():
    q, k, v = decode_case(4, 8, 1, 512, 16)
    with torch.profiler.profile(profile_memory=True) as profile:
        decode_step(q, k, v, 500)
    largest = max(event.self_cpu_memory_usage for event in profile.key_averages())
    assert largest < k.nbytes  # expanding would take 8 times the bytes of the cache


def test_shapes_that_do_not_fit_are_named():
    q, k, v = decode_case(2, 3, 2, 5, 4)
    with pytest.raises(ValueError, match="multiple of the key-value heads"):
        decode_step(q, k, v, 5)
    q, k, v = decode_case(2, 4, 2, 5, 4)
    for length in (0, 6):
        with pytest.raises(ValueError, match=f"length={length}.*cache's size 5"):
            decode_step(q, k, v, length)
    with pytest.raises(ValueError, match="do not fit"):
        attention(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), torch.zeros(1, 2, 3, 5))


TRITON_CHECK = """
import torch
from shared.kernels.attention import decode_step_reference
from shared.kernels.attention_triton import decode_step
for batch, heads, kv_heads, n, d in [(2, 4, 4, 9, 8), (1, 6, 2, 130, 20), (2, 8, 1, 70, 16)]:
    q, k, v = (torch.randn(batch, h, d) for h in (heads, kv_heads * n, kv_heads * n))
    k, v = (x.view(batch, n, kv_heads, d).transpose(1, 2) for x in (k, v))
    for length in (1, n // 2, n):
        got, want = decode_step(q, k, v, length), decode_step_reference(q, k, v, length)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
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
def test_decode_step_on_cuda_agrees():
    q, k, v = (x.cuda() for x in decode_case(2, 8, 2, 100, 64))
    want = decode_step_reference(q, k, v, 77)
    torch.testing.assert_close(decode_step(q, k, v, 77), want, rtol=1e-4, atol=1e-4)
