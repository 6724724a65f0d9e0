"""A small language model of Wikipedia text, trained once for every study that looks inside one.

    model, held_out = text_lm(n_layers=12, seed=0)            # the trained model
    early, held_out = text_lm(n_layers=12, seed=0, step=50)   # the same run, at step 50

One recipe for all: models that differ in depth or width see the same windows in the same order,
which depend on the seed alone, and only the initial weights and the shape differ.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from shared.data.assets import derived
from shared.data.text import GENSIM, WIKI_RECIPE, split, token_ids, wikipedia, windows
from shared.models.transformer import Transformer, TransformerConfig
from shared.training import fit

VOCAB, LENGTH, BATCH, STEPS, WARMUP = 1000, 64, 4, 700, 70
LR = 2e-3  # AdamW's at width 128; it falls as 1 / d_model for wider models
CHECKPOINTS = (0, 50, 200, STEPS)  # steps at which weights are kept; 0: as drawn
SETTINGS = (VOCAB, LENGTH, BATCH, STEPS, WARMUP, LR, CHECKPOINTS)
RECIPE = f"1 {SETTINGS} on {GENSIM.sha256} {WIKI_RECIPE}"  # raise the 1 when the code changes


def text_lm(
    n_layers: int, seed: int, d_model: int = 128, step: int = STEPS
) -> tuple[Transformer, Tensor]:
    """A decoder after `step` steps of training, in eval mode, and the held-out ids (n,).

    Heads of 32, SwiGLU, RMS norm, rotary positions, tied embeddings; the text is
    `token_ids(wikipedia(), 1000)`, its last tenth held out. Trained on first use (12 layers:
    about a minute) and then read from the cache; weights differ slightly between processors.
    The caller's random state is left as it is. Raises ValueError for a step that is not one of
    CHECKPOINTS or a d_model that is not a multiple of 32.
    """
    if step not in CHECKPOINTS:
        raise ValueError(f"text_lm: no weights are kept at step {step}; take one of {CHECKPOINTS}")
    if d_model % 32:
        raise ValueError(f"text_lm: d_model {d_model} is not a multiple of the head size, 32")
    train, held_out = split(token_ids(wikipedia(), VOCAB)[0])
    cfg = TransformerConfig(VOCAB, d_model, n_layers, n_heads=d_model // 32)

    def build(folder: Path) -> None:
        def keep(step: int, model: nn.Module) -> None:
            if step in CHECKPOINTS:
                save_model(model, str(folder / f"{step}.safetensors"))

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Transformer(cfg)
        batches = windows(train, LENGTH, BATCH, STEPS, np.random.default_rng(seed))
        rate = LR * min(1.0, 128 / d_model)
        label = f"text_lm, {n_layers} layers, seed {seed}"
        with torch.enable_grad():
            fit(model, batches, next_token_loss, lr=rate, warmup=WARMUP, label=label, every=keep)

    key = f"{cfg} seed {seed} recipe {RECIPE}"
    folder = derived(f"text-lm-{n_layers}x{d_model}-{seed}", key, build)
    with torch.random.fork_rng(devices=[]):
        model = Transformer(cfg)
    load_model(model, str(folder / f"{step}.safetensors"))
    return model.eval(), held_out


def next_token_loss(model: nn.Module, ids: Tensor) -> Tensor:
    """Mean cross-entropy in nats of ids[:, 1:] given ids[:, :-1]; ids (batch, time + 1)."""
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
