"""The fit loop against plain torch, the schedule, and the stacked layer against single ones."""

import numpy as np
import pytest
import torch
from torch import nn

from shared.training import StackedLinear, fit, progress, warmup_cosine


def problem(seed=0):
    torch.manual_seed(seed)
    x = torch.randn(20, 8, 4)
    return nn.Linear(4, 2), [(b, b @ torch.ones(4, 2)) for b in x]


def squared(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def test_fit_is_adamw_with_decay_on_matrices_only():
    ours, batches = problem()
    losses = fit(ours, batches, squared, lr=0.1, weight_decay=0.5, clip=None)
    theirs, batches = problem()
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.5},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.1)
    for step, batch in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 * warmup_cosine(step, len(batches))
        optimiser.zero_grad()
        loss = squared(theirs, batch)
        loss.backward()
        optimiser.step()
        assert losses[step] == pytest.approx(loss.item(), rel=1e-4)
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_fit_learns_and_repeats_itself():
    curves = []
    for _ in range(2):
        model, batches = problem()
        curves.append(fit(model, batches * 20, squared, lr=0.05, warmup=5))
    assert curves[0] == curves[1]
    assert curves[0][-1] < 0.01 * curves[0][0]


def test_fit_takes_a_generator_and_calls_back():
    model, batches = problem()
    seen = []
    fit(
        model,
        (b for b in batches),
        squared,
        lr=0.1,
        steps=7,
        every=lambda step, model: seen.append(step),
    )
    assert seen == list(range(8))


def test_fit_leaves_frozen_parameters_alone():
    model, batches = problem()
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    fit(model, batches, squared, lr=0.1)
    assert torch.equal(before, model.bias)


def test_a_diverged_run_names_the_step():
    model, batches = problem()
    with pytest.raises(FloatingPointError, match="step 0 of 20"):
        fit(model, batches, lambda m, b: squared(m, b) * float("nan"), lr=0.1)


def test_schedule():
    factors = [warmup_cosine(s, 100, warmup=10, floor=0.1) for s in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0 == max(factors)
    assert factors[55] == pytest.approx(0.55) and factors[100] == pytest.approx(0.1)
    assert np.all(np.diff(factors[10:]) <= 0)


def test_progress_passes_everything_through_and_speaks_on_stderr(capsys):
    assert list(progress(range(5), "x", every=0.0)) == [0, 1, 2, 3, 4]
    out = capsys.readouterr()
    assert out.out == "" and "x: 4/5, about" in out.err
    assert list(progress(iter("ab"), "y", every=0.0)) == ["a", "b"]
    assert "y: 1/?" in capsys.readouterr().err


def test_a_stack_is_its_layers_side_by_side():
    torch.manual_seed(0)
    stack = StackedLinear(3, 4, 5)
    x = torch.randn(3, 7, 4)
    y = stack(x)
    for i in range(3):
        one = nn.Linear(4, 5)
        one.load_state_dict({"weight": stack.weight[i].T, "bias": stack.bias[i, 0]})
        assert torch.allclose(one(x[i]), y[i], atol=1e-6)
    assert StackedLinear(2, 4, 5, bias=False)(x[:2]).shape == (2, 7, 5)
    assert stack.weight.abs().max() <= 0.5 and not torch.equal(stack.weight[0], stack.weight[1])
