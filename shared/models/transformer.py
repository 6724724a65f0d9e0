"""A small pre-norm transformer, decoder or encoder, whose sublayers a paper can replace.

    model = Transformer(TransformerConfig(vocab_size=65, d_model=64, n_layers=2, n_heads=4))
    logits = model(ids)                                              # (batch, time, vocab)
    model = Transformer(cfg, ffn=lambda layer: MyMoE(cfg.d_model))   # the paper's own sublayer

A sublayer is any module that maps (batch, time, d_model) to the same shape; the block adds the
norm before it and the residual around it. Other wirings (post-norm, tied layers) are made by
assigning to `model.blocks`. Weights start with standard deviation 0.5 / sqrt(d_in), which is
GPT-2's 0.02 at its width, divided by sqrt(2 n_layers) where a sublayer writes to the residual.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.attention import attention as attend

ACTIVATIONS = {
    "swiglu": F.silu,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),  # So et al. 2021, Primer
}
CHOICES = {
    "positions": ("rope", "learned", "none"),
    "norm": ("layer", "rms"),
    "ffn": (*ACTIVATIONS, "none"),
}
SIZES = ("d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "max_len")
Sublayer = nn.Module | None


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of a transformer; raises ValueError for values that do not fit together.

    vocab_size=0 builds no embedding and no output layer: `Transformer.body` then maps continuous
    inputs to hidden states. n_kv_heads: n_heads is multi-head, 1 multi-query, between them
    grouped-query attention (Ainslie et al. 2023). bias applies to linear layers and layer norms,
    never to the output layer.
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int | None = None  # None: n_heads
    d_head: int | None = None  # None: d_model / n_heads
    d_ff: int | None = None  # None: 4 d_model; for swiglu 8/3 d_model, as many parameters
    max_len: int = 256
    causal: bool = True
    positions: str = "rope"
    norm: str = "rms"
    ffn: str = "swiglu"
    bias: bool = False
    tie_embeddings: bool = True
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    final_norm: bool = True

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose from {allowed}")
        for name in (*SIZES, "n_layers", "vocab_size"):
            value, least = getattr(self, name), int(name in SIZES)
            if value is not None and value < least:
                raise ValueError(f"{name}={value}: must be at least {least}")
        heads = f"n_heads={self.n_heads}"
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(f"give d_head, or d_model={self.d_model} as a multiple of {heads}")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"{heads} must be a multiple of n_kv_heads={self.n_kv_heads}")
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"head size {self.head_size}: rope rotates pairs, it must be even")

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def head_size(self) -> int:
        return self.d_head or self.d_model // self.n_heads

    @property
    def ff_size(self) -> int:
        swiglu = 8 * -(-self.d_model // 3)  # 8/3 d_model, rounded up to a multiple of 8
        return self.d_ff or (swiglu if self.ffn == "swiglu" else 4 * self.d_model)


def linear(d_in: int, d_out: int, bias: bool = False, gain: float = 0.5) -> nn.Linear:
    """A linear layer with weights from N(0, gain^2 / d_in) and zero bias."""
    layer = nn.Linear(d_in, d_out, bias=bias)
    nn.init.normal_(layer.weight, std=gain * d_in**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def linear_out(cfg: TransformerConfig, d_in: int) -> nn.Linear:
    """A sublayer's last layer, scaled so that the residual stream does not grow with depth."""
    return linear(d_in, cfg.d_model, cfg.bias, gain=0.5 * (2 * max(cfg.n_layers, 1)) ** -0.5)


def make_norm(cfg: TransformerConfig) -> nn.Module:
    if cfg.norm == "rms":
        return nn.RMSNorm(cfg.d_model, eps=cfg.norm_eps)
    return nn.LayerNorm(cfg.d_model, eps=cfg.norm_eps, bias=cfg.bias)


def rope_table(max_len: int, d_head: int, theta: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of position * theta^(-2i/d_head), each (max_len, d_head / 2).

    Su et al. 2021 (RoFormer), section 3.2.2.
    """
    frequency = theta ** (-torch.arange(0, d_head, 2, dtype=torch.float32) / d_head)
    angle = torch.arange(max_len, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs (x[..., i], x[..., i + d_head/2]); x (..., time, d_head)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Attention(nn.Module):
    """Multi-head, grouped-query or multi-query self-attention; x (batch, time, d_model)."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.q = linear(cfg.d_model, cfg.n_heads * cfg.head_size, cfg.bias)
        self.k = linear(cfg.d_model, cfg.kv_heads * cfg.head_size, cfg.bias)
        self.v = linear(cfg.d_model, cfg.kv_heads * cfg.head_size, cfg.bias)
        self.out = linear_out(cfg, cfg.n_heads * cfg.head_size)
        if cfg.positions == "rope":
            cos, sin = rope_table(cfg.max_len, cfg.head_size, cfg.rope_theta)
            self.register_buffer("cos", cos, persistent=False)
            self.register_buffer("sin", sin, persistent=False)

    def project(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """q (batch, n_heads, time, d_head) and k, v (batch, n_kv_heads, time, d_head).

        With rope, q and k are rotated; start is the position of x's first token.
        """
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.cfg.head_size)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        if self.cfg.positions == "rope":
            at = slice(start, start + x.shape[1])
            q, k = rotate(q, self.cos[at], self.sin[at]), rotate(k, self.cos[at], self.sin[at])
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        return self.out(attend(q, k, v, self.cfg.causal).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """down(act(up(x))), or for swiglu down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.kind = cfg.ffn
        self.gate = linear(cfg.d_model, cfg.ff_size, cfg.bias) if cfg.ffn == "swiglu" else None
        self.up = linear(cfg.d_model, cfg.ff_size, cfg.bias)
        self.down = linear_out(cfg, cfg.ff_size)

    def forward(self, x: Tensor) -> Tensor:
        activation = ACTIVATIONS[self.kind]
        gated = activation(self.gate(x)) * self.up(x) if self.gate else activation(self.up(x))
        return self.down(gated)


class Block(nn.Module):
    """x + attention(norm(x)), then x + ffn(norm(x)); a sublayer that is None is left out."""

    def __init__(self, cfg: TransformerConfig, attention: Sublayer, ffn: Sublayer) -> None:
        super().__init__()
        self.attention, self.ffn = attention, ffn
        self.attention_norm = None if attention is None else make_norm(cfg)
        self.ffn_norm = None if ffn is None else make_norm(cfg)

    def forward(self, x: Tensor) -> Tensor:
        if self.attention is not None:
            x = x + self.attention(self.attention_norm(x))
        return x if self.ffn is None else x + self.ffn(self.ffn_norm(x))


class Transformer(nn.Module):
    """The whole model; weights are drawn from torch's global generator (torch.manual_seed).

    attention, ffn: functions from the layer's index to a sublayer (or None to leave it out),
    used in place of `Attention(cfg)` and `FeedForward(cfg)`.
    """

    def __init__(
        self,
        cfg: TransformerConfig,
        attention: Callable[[int], Sublayer] | None = None,
        ffn: Callable[[int], Sublayer] | None = None,
    ) -> None:
        super().__init__()
        self.cfg = cfg
        attention = attention or (lambda layer: Attention(cfg))
        ffn = ffn or (lambda layer: None if cfg.ffn == "none" else FeedForward(cfg))
        self.blocks = nn.ModuleList(Block(cfg, attention(i), ffn(i)) for i in range(cfg.n_layers))
        self.norm = make_norm(cfg) if cfg.final_norm else nn.Identity()
        self.position = self.embedding = self.head = None
        if cfg.positions == "learned":
            self.position = nn.Parameter(linear(cfg.d_model, cfg.max_len).weight.detach())
        if cfg.vocab_size:
            self.head = linear(cfg.d_model, cfg.vocab_size)
            self.embedding = nn.Embedding(cfg.vocab_size, cfg.d_model)
            table = self.head if cfg.tie_embeddings else linear(cfg.d_model, cfg.vocab_size)
            self.embedding.weight = table.weight

    def body(self, x: Tensor) -> Tensor:
        """Embeddings or continuous inputs to final hidden states; both (batch, time, d_model).

        Learned positions are added here. Raises ValueError if x does not fit the config.
        """
        if x.ndim != 3 or x.shape[2] != self.cfg.d_model or x.shape[1] > self.cfg.max_len:
            wanted = f"(batch, time <= {self.cfg.max_len}, d_model = {self.cfg.d_model})"
            raise ValueError(f"input of shape {tuple(x.shape)}: the config wants {wanted}")
        if self.position is not None:
            x = x + self.position[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, ids: Tensor, hidden: bool = False) -> Tensor:
        """ids (batch, time) to logits (batch, time, vocab), or to hidden states if hidden."""
        if self.embedding is None:
            raise ValueError("vocab_size=0 has no embedding: call body(x), or give a vocab_size")
        states = self.body(self.embedding(ids))
        return states if hidden else self.head(states)
