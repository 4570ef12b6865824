"""Causal attention that returns each row's entropy with its output, exactly and in one pass.

With logits z_ij = q_i . k_j / sqrt(d), probabilities a = softmax(z) and LSE_i = log sum_j exp z_ij,

    E_i = -sum_j a_ij log a_ij = LSE_i - q_i . (sum_j a_ij k_j) / sqrt(d)

so values [V | K] and the log-sum-exp give output and entropy together (identity derived from the
definition; AERO, arXiv 2410.13060v2, section 4 defines the entropy of a head). Its derivative
dE_i/dz_ij = -a_ij (log a_ij + E_i) is what softmax's own backward makes of the upstream gradient
[dO_i | -dE_i q_i / sqrt(d)] for those values: a single product replaces a logarithm of the T x T matrix.

Shapes: b batch, h head, t query position, s key position, d channel of a head, w = channels of V plus of K.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Added to logits of future keys: exp of it is exactly 0 and, being finite, it never turns into NaN.
MASKED = -1e9


def attention_with_entropy(
    q_bhtd: Tensor, k_bhtd: Tensor, v_bhtd: Tensor, temperature_ht: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Causal softmax attention, softmax(q k^T / (t sqrt(d))) v, with the entropy of every row.

    Args:
        q_bhtd: queries, (B, H, T, d).
        k_bhtd: keys of the same shape; repeat grouped keys and values beforehand.
        v_bhtd: values, (B, H, T, any).
        temperature_ht: positive divisors of the logits, (H, T) or what broadcasts to it; None is 1.

    Returns:
        The output, shaped as the values and in their precision, and the entropy in nats, (B, H, T),
        in float32 or better; row i lies between 0 and log(i + 1).
    """
    if temperature_ht is not None:
        q_bhtd = q_bhtd / temperature_ht.unsqueeze(-1).to(q_bhtd.dtype)
    if q_bhtd.is_cuda:
        return _flex_attention_with_entropy(q_bhtd, k_bhtd, v_bhtd)
    # Half precision would lose the entropy in the difference of two large numbers.
    exact = torch.float64 if q_bhtd.dtype == torch.float64 else torch.float32
    with torch.autocast(q_bhtd.device.type, enabled=False):
        out_bhtd, entropy_bht = _AttentionWithEntropy.apply(  # type: ignore[no-untyped-call]
            q_bhtd.to(exact), k_bhtd.to(exact), v_bhtd.to(exact)
        )
    return out_bhtd.to(v_bhtd.dtype), entropy_bht


class _AttentionWithEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor) -> tuple[Tensor, Tensor]:
        length, d = q_bhtd.shape[-2:]
        future_ts = q_bhtd.new_full((length, length), MASKED).triu_(1)
        values_bhsw = torch.cat([v_bhsd, k_bhsd], dim=-1)
        scaled_bhtd = q_bhtd / math.sqrt(d)
        # Logits, then unnormalized probabilities, in one buffer: rows are divided by their sum only where
        # a row is short (T x w instead of T x T).
        e_bhts = torch.matmul(scaled_bhtd, k_bhsd.transpose(-1, -2)).add_(future_ts)
        top_bht1 = e_bhts.amax(-1, keepdim=True)
        e_bhts.sub_(top_bht1).exp_()
        sum_bht1 = e_bhts.sum(-1, keepdim=True)
        mixed_bhtw = torch.matmul(e_bhts, values_bhsw).div_(sum_bht1)
        mean_key_bhtd = mixed_bhtw[..., -d:]
        entropy_bht = (
            (top_bht1 + sum_bht1.log()).squeeze(-1).sub_((scaled_bhtd * mean_key_bhtd).sum(-1)).clamp_(min=0)
        )
        ctx.save_for_backward(scaled_bhtd, values_bhsw, e_bhts, sum_bht1, mixed_bhtw)
        ctx.d = d
        return mixed_bhtw[..., :-d].contiguous(), entropy_bht

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out_bhtd: Tensor, d_entropy_bht: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scaled_bhtd, values_bhsw, e_bhts, sum_bht1, mixed_bhtw = ctx.saved_tensors
        d = ctx.d
        upstream_bhtw = torch.cat([d_out_bhtd, scaled_bhtd * -d_entropy_bht.unsqueeze(-1)], dim=-1)
        upstream_bhtw.div_(sum_bht1)
        row_bht1 = (upstream_bhtw * mixed_bhtw).sum(-1, keepdim=True)
        dz_bhts = torch.matmul(upstream_bhtw, values_bhsw.transpose(-1, -2)).sub_(row_bht1).mul_(e_bhts)
        dv_bhsd = torch.matmul(e_bhts.transpose(-1, -2), upstream_bhtw[..., :-d])
        dq_bhtd = torch.matmul(dz_bhts, values_bhsw[..., -d:]).div_(math.sqrt(d))
        dk_bhsd = torch.matmul(dz_bhts.transpose(-1, -2), scaled_bhtd)
        return dq_bhtd, dk_bhsd, dv_bhsd


def _flex_attention_with_entropy(q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor) -> tuple[Tensor, Tensor]:
    """The same from one FlexAttention call on values [V | K], which never holds a T x T matrix.

    Both of its results are differentiable, so the entropy's gradient needs no code of its own.
    """
    attend, block_mask = _compiled_flex_attention(q_bhtd.shape[-2], q_bhtd.device)
    d = q_bhtd.shape[-1]
    values_bhsw = torch.cat([v_bhsd, k_bhsd.to(v_bhsd.dtype)], dim=-1)
    mixed_bhtw, lse_bht = attend(q_bhtd, k_bhsd, values_bhsw, block_mask)
    mean_key_bhtd = mixed_bhtw[..., -d:].float()
    expected_bht = (q_bhtd.float() * mean_key_bhtd).sum(-1) / math.sqrt(d)
    return mixed_bhtw[..., :-d], (lse_bht.float() - expected_bht).clamp(min=0)


@functools.lru_cache(maxsize=8)
def _compiled_flex_attention(length: int, device: torch.device) -> tuple[Callable[..., Any], Any]:
    from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

    def causal(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return t >= s

    def attend(q: Tensor, k: Tensor, values: Tensor, block_mask: Any) -> tuple[Tensor, Tensor]:
        out, aux = flex_attention(q, k, values, block_mask=block_mask, return_aux=AuxRequest(lse=True))
        assert aux.lse is not None
        return out, aux.lse

    # FlexAttention materializes the logits unless it is compiled, and compiles only for accelerators.
    compiled = torch.compile(attend, dynamic=False) if device.type == "cuda" else attend
    return compiled, create_block_mask(causal, None, None, length, length, device=device)
