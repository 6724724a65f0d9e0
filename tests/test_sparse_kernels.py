"""Sinkhorn, top-k, product keys and gathered rows against their plain references."""

import pytest
import torch

from shared.kernels.product_keys import product_key_topk, product_key_topk_reference
from shared.kernels.sinkhorn import (
    column_spread,
    sinkhorn,
    sinkhorn_reference,
    symmetric_sinkhorn,
)
from shared.kernels.topk import (
    gather_matvec,
    gather_matvec_reference,
    statistical_threshold,
    statistical_topk,
    statistical_topk_reference,
    topk_mask,
    topk_mask_reference,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("half_steps", [1, 2, 3, 5, 8])
def test_the_log_domain_is_the_plain_scaling(half_steps):
    scores = draw(3, 2, 7, 7)
    got, want = sinkhorn(scores, half_steps), sinkhorn_reference(scores, half_steps)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got.sum(-1 if half_steps % 2 else -2), torch.ones(3, 2, 7))


def test_one_half_step_is_softmax_and_many_are_doubly_stochastic():
    scores = draw(4, 9, 9) * 50  # exp would overflow
    torch.testing.assert_close(sinkhorn(scores, 1), scores.softmax(-1), rtol=0, atol=0)
    scores = draw(4, 9, 9)
    assert column_spread(sinkhorn(scores, 101)).max() < 1e-5
    assert column_spread(sinkhorn(scores, 1)).min() > 0.05
    with pytest.raises(ValueError, match="half_steps=0"):
        sinkhorn(scores, 0)


def test_the_symmetric_scaling_is_symmetric_and_doubly_stochastic():
    x = draw(30).double()
    K = symmetric_sinkhorn((-(x[:, None] - x).square()).exp())
    torch.testing.assert_close(K, K.T)
    torch.testing.assert_close(K.sum(0), torch.ones(30, dtype=torch.float64))
    with pytest.raises(ValueError, match="no convergence"):
        symmetric_sinkhorn(K, tolerance=-1, most=3)


def test_topk_masks_agree_and_keep_k():
    a = draw(5, 6, 40)
    assert torch.equal(topk_mask(a, 7), topk_mask_reference(a, 7))
    assert (topk_mask(torch.zeros(2, 9), 4).sum(-1) == 4).all()
    for k in (0, 41):
        with pytest.raises(ValueError, match=f"k={k}"):
            topk_mask(a, k)


@pytest.mark.parametrize("share", [0.02, 0.08, 0.5])
def test_the_statistical_threshold_keeps_its_share_of_normal_values(share):
    a = 3 * draw(200, 4096) - 5
    kept = (statistical_topk(a, share) > 0).double().mean().item()
    assert abs(kept - share) < 6 * (share / a.numel()) ** 0.5 + 0.001
    with pytest.raises(ValueError, match="share=1"):
        statistical_topk(a, 1)


def test_the_blocked_threshold_is_the_plain_one_and_so_is_its_gradient():
    a = draw(3, 50, 4000).requires_grad_()
    got, want = statistical_topk(a, 0.1), statistical_topk_reference(a, 0.1)
    torch.testing.assert_close(got, want)
    weight = draw(3, 50, 4000, seed=1)
    got, want = (torch.autograd.grad((y * weight).sum(), a)[0] for y in (got, want))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    b = draw(4, 12).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda b: statistical_topk(b, 0.25), b)


def test_invisible_entries_do_not_move_the_threshold():
    a = draw(4, 10)
    visible = torch.arange(10) < 6
    got = statistical_threshold(a.masked_fill(~visible, 1e6), 0.2, visible.expand(4, 10))
    torch.testing.assert_close(got, statistical_threshold(a[:, :6], 0.2))
    several = torch.tensor([0.2, 0.5]).view(2, 1, 1)
    both = statistical_threshold(a, several)
    torch.testing.assert_close(both[1], statistical_threshold(a, 0.5))


@pytest.mark.parametrize("batch", [1, 5])
def test_gathered_rows_are_the_dense_product(batch):
    w, values = draw(50, 8), draw(batch, 7, seed=1)
    index = torch.randint(50, (batch, 7), generator=torch.Generator().manual_seed(2))
    index[:, 1] = index[:, 0]  # a row named twice counts twice
    want = gather_matvec_reference(w, index, values)
    torch.testing.assert_close(gather_matvec(w, index, values), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 16])
def test_product_keys_find_exactly_the_best_slots(k):
    query, first, second = draw(300, 12), draw(16, 6, seed=1), draw(16, 6, seed=2)
    scores, slots = product_key_topk(query, first, second, k)
    want, best = product_key_topk_reference(query, first, second, k)
    torch.testing.assert_close(scores, want)
    assert torch.equal(slots, best)
    key = torch.cat((first[slots // 16], second[slots % 16]), -1)
    torch.testing.assert_close(torch.einsum("qd,qkd->qk", query, key), scores)


def test_product_keys_name_what_does_not_fit():
    with pytest.raises(ValueError, match="do not fit"):
        product_key_topk(draw(3, 10), draw(16, 6), draw(16, 6), 2)
    with pytest.raises(ValueError, match="k=17"):
        product_key_topk(draw(3, 12), draw(16, 6), draw(16, 6), 17)
