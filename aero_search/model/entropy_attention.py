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
# Query rows computed together on a CPU: keys after the last of them are never touched. Measured on one core
# at T = 128 and 512 against 32, 128 and T.
BLOCK = 64
# FlexAttention's kernels begin at this width of a head.
FLEX_MIN_CHANNELS = 16


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
    if q_bhtd.is_cuda and q_bhtd.dtype != torch.float64 and q_bhtd.shape[-1] >= FLEX_MIN_CHANNELS:
        return _flex_attention_with_entropy(q_bhtd, k_bhtd, v_bhtd)
    # Half precision would lose the entropy in the difference of two large numbers.
    exact = torch.float64 if q_bhtd.dtype == torch.float64 else torch.float32
    with torch.autocast(q_bhtd.device.type, enabled=False):
        out_bhtd, entropy_bht = _AttentionWithEntropy.apply(  # type: ignore[no-untyped-call]
            q_bhtd.to(exact), k_bhtd.to(exact), v_bhtd.to(exact)
        )
    return out_bhtd.to(v_bhtd.dtype), entropy_bht


class _AttentionWithEntropy(torch.autograd.Function):
    """Row blocks of the probabilities, each only as wide as its last row sees, are what backward keeps."""

    @staticmethod
    def forward(ctx: Any, q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor) -> tuple[Tensor, Tensor]:
        d = q_bhtd.shape[-1]
        scaled_bhtd = q_bhtd / math.sqrt(d)
        values_bhsw = torch.cat([v_bhsd, k_bhsd], dim=-1)
        future_ts = q_bhtd.new_full((BLOCK, BLOCK), MASKED).triu_(1)
        blocks, mixed, lse = [], [], []
        for start, stop in _row_blocks(q_bhtd.shape[-2]):
            rows = stop - start
            z_bhts = torch.matmul(scaled_bhtd[..., start:stop, :], k_bhsd[..., :stop, :].transpose(-1, -2))
            z_bhts[..., start:].add_(future_ts[:rows, :rows])
            # log a = z - LSE holds in every column; the largest one never underflows, and costs one logarithm
            # a row.
            top_bht = z_bhts.amax(-1)
            # The softmax kernel of a CPU reads a row before it writes it, so one buffer serves both.
            a_bhts = torch.softmax(z_bhts, dim=-1, out=z_bhts if z_bhts.is_cpu else None)
            lse.append(top_bht.sub_(a_bhts.amax(-1).log_()))
            mixed.append(torch.matmul(a_bhts, values_bhsw[..., :stop, :]))
            blocks.append(a_bhts)
        mixed_bhtw = torch.cat(mixed, dim=-2)
        expected_bht = (scaled_bhtd * mixed_bhtw[..., -d:]).sum(-1)
        # Rounding may leave a certain row slightly below 0.
        entropy_bht = torch.cat(lse, dim=-1).sub_(expected_bht).clamp_(min=0)
        ctx.save_for_backward(scaled_bhtd, values_bhsw, mixed_bhtw, *blocks)
        return mixed_bhtw[..., :-d], entropy_bht

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out_bhtd: Tensor, d_entropy_bht: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scaled_bhtd, values_bhsw, mixed_bhtw, *blocks = ctx.saved_tensors
        d = scaled_bhtd.shape[-1]
        k_bhsd = values_bhsw[..., -d:]
        upstream_bhtw = torch.cat([d_out_bhtd, scaled_bhtd * -d_entropy_bht.unsqueeze(-1)], dim=-1)
        # Softmax's backward subtracts sum_s a_ts dA_ts, which is a product of short rows.
        row_bht1 = (upstream_bhtw * mixed_bhtw).sum(-1, keepdim=True)
        dq, dk_bhsd, dv_bhsd = [], None, None
        # Deepest rows first: their block reaches every key, so that the others only add to what it made.
        for (start, stop), a_bhts in reversed(
            list(zip(_row_blocks(d_out_bhtd.shape[-2]), blocks, strict=True))
        ):
            rows = slice(start, stop)
            dz_bhts = torch.matmul(upstream_bhtw[..., rows, :], values_bhsw[..., :stop, :].transpose(-1, -2))
            dz_bhts.sub_(row_bht1[..., rows, :]).mul_(a_bhts)
            dq.append(torch.matmul(dz_bhts, k_bhsd[..., :stop, :]))
            dk_block = torch.matmul(dz_bhts.transpose(-1, -2), scaled_bhtd[..., rows, :])
            dv_block = torch.matmul(a_bhts.transpose(-1, -2), d_out_bhtd[..., rows, :])
            if dk_bhsd is None or dv_bhsd is None:
                dk_bhsd, dv_bhsd = dk_block, dv_block
            else:
                dk_bhsd[..., :stop, :] += dk_block
                dv_bhsd[..., :stop, :] += dv_block
        assert dk_bhsd is not None
        assert dv_bhsd is not None
        return torch.cat(dq[::-1], dim=-2).div_(math.sqrt(d)), dk_bhsd, dv_bhsd


def _row_blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _flex_attention_with_entropy(q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor) -> tuple[Tensor, Tensor]:
    """The same from one FlexAttention call on values [V | K], which never holds a T x T matrix.

    Both of its results are differentiable, so the entropy's gradient needs no code of its own.
    """
    attend, block_mask = _compiled_flex_attention(q_bhtd.shape[-2], q_bhtd.device)
    d = q_bhtd.shape[-1]
    # Under autocast an unprojected value is still float32 where queries and keys are not.
    values_bhsw = torch.cat([v_bhsd.to(q_bhtd.dtype), k_bhsd.to(q_bhtd.dtype)], dim=-1)
    mixed_bhtw, lse_bht = attend(q_bhtd, k_bhsd.to(q_bhtd.dtype), values_bhsw, block_mask)
    mean_key_bhtd = mixed_bhtw[..., -d:].float()
    expected_bht = (q_bhtd.float() * mean_key_bhtd).sum(-1) / math.sqrt(d)
    return mixed_bhtw[..., :-d].to(v_bhsd.dtype), (lse_bht.float() - expected_bht).clamp(min=0)


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
