"""Causal attention that returns each row's entropy with its output, exactly and in one pass.

With logits z_ij = q_i . k_j / sqrt(d), probabilities a = softmax(z) and LSE_i = log sum_j exp z_ij,

    E_i = -sum_j a_ij log a_ij = LSE_i - q_i . (sum_j a_ij k_j) / sqrt(d)

so values [V | K] and the log-sum-exp give output and entropy together (identity derived from the
definition; AERO, arXiv 2410.13060v2, step 4 defines the entropy of a head). Its derivative
dE_i/dz_ij = -a_ij (log a_ij + E_i) is what softmax's own backward makes of the upstream gradient
[dO_i | -dE_i q_i / sqrt(d)] for those values: a single product replaces a logarithm of the T x T matrix.

Shapes: b batch, h head, n batch and head together, t query position, s key position, d channel of a head,
w = channels of V plus of K.
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
# Query rows computed together on a CPU: keys after the last of them are never touched, and a block (1.5 MB in
# single precision) stays in a core's second cache. Measured on one core at T = 128 and 512. Keeping the
# probabilities beats making them again for backward by 15 to 30 % there.
BLOCK_ELEMENTS = 400_000
MIN_ROWS, MAX_ROWS = 32, 128
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
        # torch does not type `Function.apply`.
        out_bhtd, entropy_bht = _AttentionWithEntropy.apply(  # type: ignore[no-untyped-call]
            q_bhtd.to(exact), k_bhtd.to(exact), v_bhtd.to(exact)
        )
    return out_bhtd.to(v_bhtd.dtype), entropy_bht


class _AttentionWithEntropy(torch.autograd.Function):
    """Row blocks of the probabilities, each only as wide as its last row sees, are what backward keeps.

    Batch and head are one axis n here: products then scale and write in one call.
    """

    @staticmethod
    def forward(ctx: Any, q_bhtd: Tensor, k_bhsd: Tensor, v_bhsd: Tensor) -> tuple[Tensor, Tensor]:
        batch, heads, length, d = q_bhtd.shape
        scale = 1 / math.sqrt(d)
        # Heads arrive as strided views: laid out once, they are not copied again by every product.
        q_ntd = q_bhtd.reshape(-1, length, d)
        values_nsw = torch.cat([v_bhsd, k_bhsd], dim=-1).view(len(q_ntd), length, -1)
        k_nds = values_nsw[..., -d:].transpose(1, 2)
        nothing = q_ntd.new_empty(())
        bounds = _row_blocks(len(q_ntd), length)
        future_ts = q_ntd.new_full((bounds[0][1],) * 2, MASKED).triu_(1)
        blocks, mixed, top, largest = [], [], [], []
        for start, stop in bounds:
            rows = stop - start
            z_nts = torch.baddbmm(nothing, q_ntd[:, start:stop], k_nds[..., :stop], beta=0, alpha=scale)
            z_nts[..., start:].add_(future_ts[:rows, :rows])
            top.append(z_nts.amax(-1))
            # The softmax kernel of a CPU reads a row before it writes it, so one buffer serves both.
            a_nts = torch.softmax(z_nts, dim=-1, out=z_nts if z_nts.is_cpu else None)
            largest.append(a_nts.amax(-1))
            mixed.append(torch.bmm(a_nts, values_nsw[:, :stop]))
            blocks.append(a_nts)
        mixed_ntw = torch.cat(mixed, dim=1)
        # log a = z - LSE holds in every column; the largest one never underflows, and costs one logarithm a row.
        lse_nt = torch.cat(top, dim=-1).sub_(torch.cat(largest, dim=-1).log_())
        entropy_nt = lse_nt.sub_((q_ntd * mixed_ntw[..., -d:]).sum(-1), alpha=scale)
        ctx.save_for_backward(q_ntd, values_nsw, *blocks)
        ctx.bounds = bounds
        # Rounding may leave a certain row slightly below 0.
        return (
            mixed_ntw[..., :-d].view(batch, heads, length, -1),
            entropy_nt.clamp_(min=0).view(batch, heads, length),
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out_bhtd: Tensor, d_entropy_bht: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_ntd, values_nsw, *blocks = ctx.saved_tensors
        batch, heads, length, _ = d_out_bhtd.shape
        n, _, d = q_ntd.shape
        scale = 1 / math.sqrt(d)
        k_nsd, nothing = values_nsw[..., -d:], q_ntd.new_empty(())
        upstream_bhtw = q_ntd.new_empty(batch, heads, length, values_nsw.shape[-1])
        upstream_bhtw[..., :-d] = d_out_bhtd
        torch.mul(
            q_ntd.view(batch, heads, length, d),
            (d_entropy_bht * -scale).unsqueeze(-1),
            out=upstream_bhtw[..., -d:],
        )
        upstream_ntw = upstream_bhtw.view(n, length, -1)
        d_out_ntd, values_nws = upstream_ntw[..., :-d], values_nsw.transpose(1, 2)
        # One buffer for every block's gradient: fresh memory would have to be fetched into the caches first.
        scratch = q_ntd.new_empty(max(block.numel() for block in blocks))
        dq_bthd = q_ntd.new_empty(batch, length, heads, d)
        dk_nsd = dv_nsd = nothing
        # Deepest rows first: their block reaches every key, so that the others only add to what it made.
        for (start, stop), a_nts in reversed(list(zip(ctx.bounds, blocks, strict=True))):
            dz_nts = scratch[: a_nts.numel()].view_as(a_nts)
            torch.bmm(upstream_ntw[:, start:stop], values_nws[..., :stop], out=dz_nts)
            dz_nts = _softmax_backward(dz_nts, a_nts)
            dq_block = torch.baddbmm(nothing, dz_nts, k_nsd[:, :stop], beta=0, alpha=scale)
            # The layout of the projections that made the queries, which backward goes through next.
            dq_bthd[:, start:stop] = dq_block.view(batch, heads, -1, d).transpose(1, 2)
            dk_block = torch.baddbmm(
                nothing, dz_nts.transpose(1, 2), q_ntd[:, start:stop], beta=0, alpha=scale
            )
            dv_block = torch.bmm(a_nts.transpose(1, 2), d_out_ntd[:, start:stop])
            if stop == length:
                dk_nsd, dv_nsd = dk_block, dv_block
            else:
                dk_nsd[:, :stop] += dk_block
                dv_nsd[:, :stop] += dv_block
        shape = (batch, heads, length, -1)
        return dq_bthd.transpose(1, 2), dk_nsd.view(shape), dv_nsd.view(shape)


def _softmax_backward(d_a_nts: Tensor, a_nts: Tensor) -> Tensor:
    """a (dA - sum_s a dA) in one pass, by the kernel of softmax's own backward. Overwrites dA on a CPU."""
    kernel = torch.ops.aten._softmax_backward_data
    # There the kernel reduces a row before it writes it.
    in_place = {"grad_input": d_a_nts} if d_a_nts.is_cpu else {}
    dz_nts: Tensor = (kernel.out if in_place else kernel.default)(d_a_nts, a_nts, -1, a_nts.dtype, **in_place)
    return dz_nts


def _row_blocks(heads: int, length: int) -> list[tuple[int, int]]:
    """Bounds of the row blocks for so many heads, over the whole batch."""
    rows = min(max(BLOCK_ELEMENTS // (heads * length), MIN_ROWS), MAX_ROWS)
    rows = 2 ** (rows.bit_length() - 1)
    return [(start, min(start + rows, length)) for start in range(0, length, rows)]


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
