"""A decoder-only language model searched for private inference, folded: plain linears, attention, residuals.

This file, its activations and its attention kinds lie beside the weights they belong to and need torch and
transformers alone. Every choice that the search made is in config.json. Shapes: b batch, t query position, s key
position, c channel of the stream, h head, d channel of a head, v vocabulary entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from aero_search.model.attention_weights import WEIGHERS, beside
from aero_search.model.elementwise import MODULES, Clip, ScaledTanh, SimpleRMS

# transformers 5.24 calls `cache` what was `past_key_values` before, in what it passes and in what it reads.
CACHE_FIELD = next(f.name for f in fields(CausalLMOutputWithPast) if f.name in ("cache", "past_key_values"))


class AeroConfig(PretrainedConfig):
    """Sizes, and for each layer its norm, its activation and its kind of feed-forward.

    Attributes:
        layers: mappings with `norm` (a name of NORMS), `ffn` (full, fused, none), `activation` of a full
            feed-forward, the epsilons `attention_eps` and `ffn_eps` of the norms, `attention` (pairs of a kind and
            how many heads have it, first heads first; none: no attention), `query_scale`: queries have a
            constant factor for each head and position, `shifted`: a norm left a bias in what reads it, and
            `projection_bias`: queries, keys and values have a bias.
        share_layers: groups of so many consecutive layers have the same weights.
        ffn_rank: channels between the two factors of each linear of the feed-forwards; 0: whole linears.
        qk_norm: the norm (a name of NORMS) of queries and keys in each head, with the epsilon `qk_eps`.
        rotary_dim: rotated channels of each head; 0 has learned positions instead.
        parallel_residual: attention and feed-forward both read the layer's input.
        tied: the LM head is the token embedding.
        value_projection: whether attention has value and output projections.
        shaped: attention is alpha * V + beta * A V - gamma * C V with the uniform causal matrix C.
        head_bias: the LM head has a bias.
    """

    model_type = "aero"

    def __init__(
        self,
        vocab_size: int = 1024,
        hidden_size: int = 64,
        intermediate_size: int = 256,
        num_attention_heads: int = 4,
        num_key_value_heads: int = 4,
        max_position_embeddings: int = 128,
        layers: list[dict[str, Any]] | None = None,
        rotary_dim: int = 0,
        parallel_residual: bool = False,
        bias: bool = True,
        gated: bool = False,
        tied: bool = True,
        value_projection: bool = True,
        shaped: bool = False,
        final_norm: str = "layernorm",
        final_eps: float = 1e-5,
        head_bias: bool = False,
        qk_norm: str = "none",
        qk_eps: float = 1e-6,
        share_layers: int = 1,
        ffn_rank: int = 0,
        **kwargs: Any,
    ) -> None:
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_attention_heads, self.num_key_value_heads = num_attention_heads, num_key_value_heads
        self.max_position_embeddings = max_position_embeddings
        self.layers = layers or []
        self.num_hidden_layers = len(self.layers)
        self.rotary_dim, self.parallel_residual = rotary_dim, parallel_residual
        self.bias, self.gated = bias, gated
        self.tied, self.value_projection = tied, value_projection
        self.shaped = shaped
        self.final_norm, self.final_eps, self.head_bias = final_norm, final_eps, head_bias
        self.qk_norm, self.qk_eps, self.share_layers = qk_norm, qk_eps, share_layers
        self.ffn_rank = ffn_rank
        # The head below reads the embedding itself; transformers has nothing to tie.
        kwargs["tie_word_embeddings"] = False
        super().__init__(**kwargs)


def _layernorm(eps: float, width: int, bias: bool) -> nn.Module:
    return nn.LayerNorm(width, eps=eps, bias=bias)


def _rmsnorm(eps: float, width: int, bias: bool) -> nn.Module:
    return nn.RMSNorm(width, eps=eps)


def _none(eps: float, width: int, bias: bool) -> nn.Module:
    return nn.Identity()


NORMS: dict[str, Callable[[float, int, bool], nn.Module]] = {
    "layernorm": _layernorm,
    "rmsnorm": _rmsnorm,
    "none": _none,
    # Folded into what reads them, altogether or but for what is here.
    "batchnorm": _none,
    "static": _none,
    "simple_rms": lambda eps, width, bias: SimpleRMS(eps),
    "dyt": lambda eps, width, bias: ScaledTanh(),
    "hard_dyt": lambda eps, width, bias: Clip(),
}


def build_norm(kind: str, eps: float, config: AeroConfig) -> nn.Module:
    return NORMS[kind](eps, config.hidden_size, config.bias)


def rotate(x_bhtd: Tensor, positions_bt: Tensor, rotated: int) -> Tensor:
    """Rotate channel pairs (c, c + rotated / 2) of each head by position x 10000^(-2c / rotated)."""
    exponent = torch.arange(0, rotated, 2, dtype=torch.float64, device=x_bhtd.device) / rotated
    angle_b1tr = (positions_bt.double()[..., None] * 10_000.0**-exponent)[:, None]
    cos, sin = angle_b1tr.cos().to(x_bhtd.dtype), angle_b1tr.sin().to(x_bhtd.dtype)
    half = rotated // 2
    first, second, rest = x_bhtd[..., :half], x_bhtd[..., half:rotated], x_bhtd[..., rotated:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


class Shaping(nn.Module):
    """The gains of shaped attention, one a head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.alpha_h = nn.Parameter(torch.ones(heads))
        self.beta_h = nn.Parameter(torch.ones(heads))
        self.gamma_h = nn.Parameter(torch.ones(heads))

    def forward(self, attended_bhtd: Tensor, v_bhsd: Tensor, visible_b1ts: Tensor) -> Tensor:
        """Queries are the last t of the s positions; each row of C is uniform over the keys that it sees."""
        uniform_b1ts = visible_b1ts.to(v_bhsd.dtype)
        uniform_b1ts = uniform_b1ts / uniform_b1ts.sum(-1, keepdim=True).clamp(min=1)
        alpha, beta, gamma = (gain[:, None, None] for gain in (self.alpha_h, self.beta_h, self.gamma_h))
        own_bhtd = v_bhsd[:, :, -attended_bhtd.shape[2] :]
        return alpha * own_bhtd + beta * attended_bhtd - gamma * (uniform_b1ts @ v_bhsd)


class Attention(nn.Module):
    """Causal self-attention with a key-value cache."""

    query_scale_ht: Tensor

    def __init__(self, config: AeroConfig, index: int) -> None:
        super().__init__()
        layer = config.layers[index]
        self.config = config
        kinds = layer["attention"]
        fused = [kind for kind, _ in kinds] == ["softmax"]
        self.weigh = None if fused else beside([(WEIGHERS[kind], count) for kind, count in kinds])
        self.d_head = config.hidden_size // config.num_attention_heads
        width, kv_width = config.hidden_size, config.num_key_value_heads * self.d_head
        bias = layer.get("projection_bias", config.bias or layer.get("shifted", False))
        self.query_norm = NORMS[config.qk_norm](config.qk_eps, self.d_head, config.bias)
        self.key_norm = NORMS[config.qk_norm](config.qk_eps, self.d_head, config.bias)
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, kv_width, bias=bias)
        projected = config.value_projection
        self.value = nn.Linear(width, kv_width, bias=bias) if projected else nn.Identity()
        self.output = nn.Linear(width, width, bias=config.bias) if projected else nn.Identity()
        self.shaping = Shaping(config.num_attention_heads) if config.shaped else None
        self.scaled = bool(layer["query_scale"])
        if self.scaled:
            scale_ht = torch.ones(config.num_attention_heads, config.max_position_embeddings)
            self.register_buffer("query_scale_ht", scale_ht)

    def forward(
        self, x_btc: Tensor, positions_bt: Tensor, visible_b1ts: Tensor, cache: Cache | None, place: int
    ) -> Tensor:
        heads, kv_heads = self.config.num_attention_heads, self.config.num_key_value_heads
        q_bhtd = self.query(x_btc).unflatten(-1, (heads, self.d_head)).transpose(1, 2)
        k_bhsd = self.key(x_btc).unflatten(-1, (kv_heads, self.d_head)).transpose(1, 2)
        v_bhsd = self.value(x_btc).unflatten(-1, (kv_heads, self.d_head)).transpose(1, 2)
        q_bhtd, k_bhsd = self.query_norm(q_bhtd), self.key_norm(k_bhsd)
        if self.config.rotary_dim:
            q_bhtd = rotate(q_bhtd, positions_bt, self.config.rotary_dim)
            k_bhsd = rotate(k_bhsd, positions_bt, self.config.rotary_dim)
        if self.scaled:
            q_bhtd = q_bhtd * self.query_scale_ht[:, positions_bt].transpose(0, 1)[..., None]
        if cache is not None:
            k_bhsd, v_bhsd = cache.update(k_bhsd, v_bhsd, place)
        k_bhsd, v_bhsd = (x.repeat_interleave(heads // kv_heads, dim=1) for x in (k_bhsd, v_bhsd))
        scale = 1 / math.sqrt(self.d_head)
        if self.weigh is None:
            out_bhtd = F.scaled_dot_product_attention(
                q_bhtd, k_bhsd, v_bhsd, attn_mask=visible_b1ts, scale=scale
            )
        else:
            z_bhts = (q_bhtd @ k_bhsd.transpose(-1, -2)) * scale
            # Sums over keys lose digits in half precision.
            z_bhts = z_bhts.to(torch.promote_types(z_bhts.dtype, torch.float32))
            out_bhtd = self.weigh(z_bhts, visible_b1ts).to(v_bhsd.dtype) @ v_bhsd
        if self.shaping is not None:
            out_bhtd = self.shaping(out_bhtd, v_bhsd, visible_b1ts)
        return self.output(out_bhtd.transpose(1, 2).flatten(2))


class LowRank(nn.Module):
    """A linear in two factors."""

    def __init__(self, inputs: int, outputs: int, rank: int, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, rank, bias=False)
        self.second = nn.Linear(rank, outputs, bias=bias)

    def forward(self, x_btc: Tensor) -> Tensor:
        return self.second(self.first(x_btc))


def build_linear(inputs: int, outputs: int, bias: bool, rank: int) -> nn.Module:
    return LowRank(inputs, outputs, rank, bias) if rank else nn.Linear(inputs, outputs, bias=bias)


class FeedForward(nn.Module):
    """One linear where `fused`; else down(activation(up(x))), with a gate where the model has one."""

    def __init__(self, config: AeroConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        width, hidden = config.hidden_size, config.intermediate_size
        bias = config.bias or layer.get("shifted", False)
        rank = config.ffn_rank
        self.fused = build_linear(width, width, bias, rank) if layer["ffn"] == "fused" else None
        if self.fused is not None:
            return
        self.gate = build_linear(width, hidden, bias, rank) if config.gated else None
        self.up = build_linear(width, hidden, bias, rank)
        self.activation = MODULES[layer["activation"]]()
        self.down = build_linear(hidden, width, config.bias, rank)

    def forward(self, x_btc: Tensor) -> Tensor:
        if self.fused is not None:
            return self.fused(x_btc)
        if self.gate is None:
            return self.down(self.activation(self.up(x_btc)))
        return self.down(self.activation(self.gate(x_btc)) * self.up(x_btc))


class Layer(nn.Module):
    """Attention and a feed-forward around the residual stream; shaped identity values carry their own skip."""

    def __init__(self, config: AeroConfig, index: int) -> None:
        super().__init__()
        layer = config.layers[index]
        self.parallel = config.parallel_residual
        self.skip = config.value_projection or not config.shaped
        attends = bool(layer["attention"])
        self.attention_norm = build_norm(layer["norm"], layer["attention_eps"], config) if attends else None
        self.attention = Attention(config, index) if attends else None
        fed = layer["ffn"] != "none"
        self.feed_forward_norm = build_norm(layer["norm"], layer["ffn_eps"], config) if fed else None
        self.feed_forward = FeedForward(config, layer) if fed else None

    def forward(
        self, x_btc: Tensor, positions_bt: Tensor, visible_b1ts: Tensor, cache: Cache | None, place: int
    ) -> Tensor:
        attended_btc = x_btc
        if self.attention is not None and self.attention_norm is not None:
            normed_btc = self.attention_norm(x_btc)
            attended_btc = self.attention(normed_btc, positions_bt, visible_b1ts, cache, place)
            if self.skip:
                attended_btc = x_btc + attended_btc
        if self.feed_forward is None or self.feed_forward_norm is None:
            return attended_btc
        read_btc = x_btc if self.parallel else attended_btc
        return attended_btc + self.feed_forward(self.feed_forward_norm(read_btc))


class AeroForCausalLM(PreTrainedModel, GenerationMixin):
    """Embeddings, layers, final norm, LM head."""

    config_class = AeroConfig
    _supports_sdpa = True

    def __init__(self, config: AeroConfig) -> None:
        super().__init__(config)
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        learned = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.position_embedding = None if config.rotary_dim else learned
        own = range(0, len(config.layers), config.share_layers)
        self.layers = nn.ModuleList(Layer(config, i) for i in own)
        self.final_norm = build_norm(config.final_norm, config.final_eps, config)
        head = nn.Linear(config.hidden_size, config.vocab_size, bias=config.head_bias)
        self.head = None if config.tied else head
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.token_embedding

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits (B, T, V) of the token after each of `input_ids`; with `labels`, their mean cross-entropy too.

        The cache is taken under whatever name it comes: one that is overlooked gives garbage without an error.
        """
        batch, length = input_ids.shape
        cache = next((value for value in kwargs.values() if isinstance(value, Cache)), None)
        if use_cache and cache is None:
            cache = DynamicCache()
        past = 0 if cache is None else cache.get_seq_length()
        device = input_ids.device
        longest = self.config.max_position_embeddings
        if past + length > longest:
            raise ValueError(f"{past + length} tokens are more than the {longest} of the model's context")
        if attention_mask is None:
            attention_mask = torch.ones(batch, past + length, dtype=torch.bool, device=device)
        if position_ids is None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, past:]
        position_ids = position_ids.expand(batch, length)
        order = torch.arange(past + length, device=device)
        causal_ts = order[past:, None] >= order
        # A row of padding sees itself, so that its softmax is a number.
        itself_ts = order[past:, None] == order
        visible_b1ts = (causal_ts & attention_mask.bool()[:, None, None, :]) | itself_ts
        x_btc = self.token_embedding(input_ids)
        if self.position_embedding is not None:
            x_btc = x_btc + self.position_embedding(position_ids)
        if cache is not None and not any(layer["attention"] for layer in self.config.layers):
            # Nobody else tells the cache how many tokens there were.
            cache.update(x_btc[:, None, :, :1], x_btc[:, None, :, :1], 0)
        place = 0
        for index, layer in enumerate(self.config.layers):
            shared = self.layers[index // self.config.share_layers]
            x_btc = shared(x_btc, position_ids, visible_b1ts, cache, place)
            # Layers without attention have no place in the cache.
            place += bool(layer["attention"])
        x_btc = self.final_norm(x_btc)
        logits_btv = F.linear(x_btc, self.token_embedding.weight) if self.head is None else self.head(x_btc)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits_btv[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        held: dict[str, Any] = {CACHE_FIELD: cache}
        return CausalLMOutputWithPast(loss=loss, logits=logits_btv, **held)
