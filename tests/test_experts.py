"""The grouped expert feed-forward against one mask an expert."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernels.experts import expert_ffn, expert_ffn_reference


def draw(tokens, n_experts, d, f, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((tokens, d), (n_experts, d, f), (n_experts, f, d))
    ]


def agree(x, assignment, w1, w2, activation=F.relu):
    fast = expert_ffn(x, assignment, w1, w2, activation)
    plain = expert_ffn_reference(x, assignment, w1, w2, activation)
    torch.testing.assert_close(fast, plain)
    weight = torch.arange(fast.numel(), dtype=fast.dtype).view_as(fast).cos()
    for got, want in zip(
        torch.autograd.grad((fast * weight).sum(), (x, w1, w2)),
        torch.autograd.grad((plain * weight).sum(), (x, w1, w2)),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7), st.data())
def test_random_shapes_agree_and_so_do_gradients(tokens, n_experts, d, f, data):
    expert = st.integers(0, n_experts - 1)
    assignment = torch.tensor(data.draw(st.lists(expert, min_size=tokens, max_size=tokens)))
    x, w1, w2 = draw(tokens, n_experts, d, f)
    agree(x, assignment, w1, w2, data.draw(st.sampled_from([F.relu, F.gelu, F.silu])))


@pytest.mark.parametrize("assignment", [[3] * 12, [0, 2] * 6, [0] * 11 + [3]])
def test_experts_without_tokens_and_all_tokens_to_one_expert(assignment):
    x, w1, w2 = draw(12, 4, 5, 6)
    agree(x, torch.tensor(assignment), w1, w2)
    empty = sorted(set(range(4)) - set(assignment))
    gradient = torch.autograd.grad(expert_ffn(x, torch.tensor(assignment), w1, w2).sum(), w1)[0]
    assert gradient[empty].abs().max() == 0


def test_one_expert_is_a_plain_feed_forward():
    x, w1, w2 = draw(6, 1, 4, 8)
    got = expert_ffn(x, torch.zeros(6, dtype=torch.long), w1, w2)
    torch.testing.assert_close(got, F.relu(x @ w1[0]) @ w2[0])


def test_input_that_does_not_fit_is_named():
    x, w1, w2 = draw(6, 3, 4, 8)
    with pytest.raises(ValueError, match="names expert 3, but there are 3"):
        expert_ffn(x, torch.full((6,), 3), w1, w2)
    with pytest.raises(ValueError, match="one expert for each of the 6 tokens"):
        expert_ffn(x, torch.zeros(5, dtype=torch.long), w1, w2)
    with pytest.raises(ValueError, match="do not fit"):
        expert_ffn(x, torch.zeros(6, dtype=torch.long), w2, w1)
