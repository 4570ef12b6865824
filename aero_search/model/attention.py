"""Causal self-attention, with or without value and output projections, temperatures and shaping.

Shapes: b batch, t position, c channel of the stream, h head, d channel of a head.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aero_search.architecture import Architecture, Layer
from aero_search.architecture.operations import SOFTMAX
from aero_search.model.attention_kinds import by_heads, causal, row_entropy
from aero_search.model.entropy_attention import attention_with_entropy
from aero_search.model.norms import build_head_norm
from aero_search.model.rotary import Rotary


class Temperature(nn.Module):
    """t = temperature_init * exp(s), one for each head and query position; s is learned and starts at 0.

    AERO (step 4) learns t itself and does not publish how it stays positive. The exponential keeps it so,
    and a step of the optimizer changes t by the same share whatever its starting value.
    """

    def __init__(self, n_head: int, seq_len: int, init: float) -> None:
        super().__init__()
        self.init = init
        self.log_ratio_ht = nn.Parameter(torch.zeros(n_head, seq_len))

    def forward(self, length: int) -> Tensor:
        """Temperatures of the first `length` positions, (H, length)."""
        return self.init * self.log_ratio_ht[:, :length].exp()


class Shaping(nn.Module):
    """alpha * V + beta * A V - gamma * C V: shaped attention (He & Hofmann, arXiv 2311.01906, section 4.1).

    C is the uniform causal matrix, what A is while queries are 0, so C V is a running mean. Gains are one a
    head and start at 1: alpha = 1 and beta = gamma are theirs, the common value 1 is our choice.
    """

    def __init__(self, n_head: int) -> None:
        super().__init__()
        self.alpha_h = nn.Parameter(torch.ones(n_head))
        self.beta_h = nn.Parameter(torch.ones(n_head))
        self.gamma_h = nn.Parameter(torch.ones(n_head))

    def forward(self, attended_bhtd: Tensor, v_bhtd: Tensor) -> Tensor:
        length = v_bhtd.shape[-2]
        count_t1 = torch.arange(1, length + 1, dtype=v_bhtd.dtype, device=v_bhtd.device).unsqueeze(-1)
        running_mean_bhtd = v_bhtd.cumsum(-2) / count_t1
        alpha, beta, gamma = (g[:, None, None] for g in (self.alpha_h, self.beta_h, self.gamma_h))
        return alpha * v_bhtd + beta * attended_bhtd - gamma * running_mean_bhtd


class Attention(nn.Module):
    """Reads the normalized stream (B, T, d_model) and returns what attention adds to it.

    Queries, keys and values are separate linears, so that a stabilizer can take each for itself.
    """

    query_scale_ht: Tensor | None

    def __init__(self, architecture: Architecture, rotary: Rotary | None, layer: Layer) -> None:
        super().__init__()
        a = architecture
        # None: softmax, which runs fused.
        self.weigh = None if layer.attention == SOFTMAX else by_heads(a.heads(layer))
        kv_width = a.kv_heads * a.d_head
        self.n_head, self.kv_heads, self.d_head = a.n_head, a.kv_heads, a.d_head
        self.query = nn.Linear(a.d_model, a.d_model, bias=a.has_bias)
        self.key = nn.Linear(a.d_model, kv_width, bias=a.has_bias)
        projected = a.attention.value_projection == "full"
        self.value = nn.Linear(a.d_model, kv_width, bias=a.has_bias) if projected else None
        self.output = nn.Linear(a.d_model, a.d_model, bias=a.has_bias) if projected else None
        self.query_norm, self.key_norm = build_head_norm(a), build_head_norm(a)
        self.rotary = rotary
        self.temperature: Temperature | None = None
        if a.attention.temperature == "learned" and a.feels_scale(layer):
            self.temperature = Temperature(a.n_head, a.seq_len, a.attention.temperature_init)
        self.shaping = Shaping(a.n_head) if a.attention.shaped else None
        # Temperatures of a folded model: a constant factor of the queries.
        self.register_buffer("query_scale_ht", None)

    def forward(self, x_btc: Tensor, with_entropy: bool = False) -> tuple[Tensor, Tensor | None]:
        """Attend causally.

        Returns:
            The result (B, T, d_model) and, if asked, the entropy of each row of weights in nats (B, H, T),
            else None. Entropies of shaped attention are those of its softmax A; weights that do not add up to 1
            are divided by their sum first.
        """
        q_bhtd = self._heads(self.query(x_btc), self.n_head)
        k_bhtd = self._heads(self.key(x_btc), self.kv_heads)
        if self.query_norm is not None and self.key_norm is not None:
            q_bhtd, k_bhtd = self.query_norm(q_bhtd), self.key_norm(k_bhtd)
        v_bhtd = self._heads(x_btc if self.value is None else self.value(x_btc), self.kv_heads)
        if self.rotary is not None:
            q_bhtd, k_bhtd = self.rotary(q_bhtd), self.rotary(k_bhtd)
        if self.kv_heads != self.n_head:
            replicates = self.n_head // self.kv_heads
            k_bhtd, v_bhtd = (x.repeat_interleave(replicates, dim=1) for x in (k_bhtd, v_bhtd))
        q_bhtd = self._tempered(q_bhtd)
        entropy_bht: Tensor | None = None
        if self.weigh is not None:
            out_bhtd, entropy_bht = self._weighed(q_bhtd, k_bhtd, v_bhtd, with_entropy)
        elif with_entropy:
            out_bhtd, entropy_bht = attention_with_entropy(q_bhtd, k_bhtd, v_bhtd)
        else:
            out_bhtd = F.scaled_dot_product_attention(
                q_bhtd, k_bhtd, v_bhtd, is_causal=True, scale=1 / math.sqrt(self.d_head)
            )
        if self.shaping is not None:
            out_bhtd = self.shaping(out_bhtd, v_bhtd)
        out_btc = out_bhtd.transpose(1, 2).flatten(2)
        return (out_btc if self.output is None else self.output(out_btc)), entropy_bht

    def _weighed(
        self, q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor, with_entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        assert self.weigh is not None
        length = q_bhtd.shape[-2]
        z_bhts = (q_bhtd @ k_bhsd.transpose(-1, -2)) / math.sqrt(self.d_head)
        # Sums over keys lose digits in half precision.
        exact = torch.float64 if z_bhts.dtype == torch.float64 else torch.float32
        a_bhts = self.weigh(z_bhts.to(exact), causal(length, z_bhts.device))
        return a_bhts.to(v_bhsd.dtype) @ v_bhsd, row_entropy(a_bhts) if with_entropy else None

    def _heads(self, x_btc: Tensor, heads: int) -> Tensor:
        batch, length, _ = x_btc.shape
        return x_btc.view(batch, length, heads, self.d_head).transpose(1, 2)

    def _tempered(self, q_bhtd: Tensor) -> Tensor:
        """Dividing a query by t divides its logits by t, and leaves attention itself unchanged."""
        length = q_bhtd.shape[-2]
        if self.temperature is not None:
            temperature_ht: Tensor = self.temperature(length)
            return q_bhtd / temperature_ht.unsqueeze(-1).to(q_bhtd.dtype)
        if self.query_scale_ht is not None:
            return q_bhtd * self.query_scale_ht[:, :length].unsqueeze(-1).to(q_bhtd.dtype)
        return q_bhtd
