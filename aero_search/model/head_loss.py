"""The cross-entropy of a small vocabulary in chunks of rows that stay in a core's cache, gradients included.

With p = softmax(x W'), the gradient of the mean cross-entropy at the logits is (p - onehot) / N: it is known as
soon as the logits are, so each chunk's products for x and W follow at once and no logit outlives its chunk. The
whole matrix of logits (8 MB for 2,048 rows and 1,024 tokens) would travel through memory several times.

Shapes: n row (batch and position), c channel of the stream, v vocabulary entry.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Logits of a chunk: 1 MB in single precision. Half and twice as much take the same time on one core, measured at
# 2,048 rows of 64 and 128 channels and 1,024 tokens (docs/research/performance.md).
CHUNK_ELEMENTS = 2**18
# Of the largest vocabulary whose chunk has 64 rows; at 50,257 tokens chunks gain nothing.
LARGEST_VOCABULARY = 4096


def head_cross_entropy(x_btc: Tensor, weight_vc: Tensor, targets_bt: Tensor) -> Tensor | None:
    """The mean cross-entropy of logits x W' in nats a token; None where chunks are of no use.

    They are of use on a CPU, in single precision without autocast, for small vocabularies, if gradients are wanted
    and every position is a target (a negative one is passed over by torch's own).
    """
    exact = x_btc.dtype == weight_vc.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if not (x_btc.is_cpu and exact and len(weight_vc) <= LARGEST_VOCABULARY and torch.is_grad_enabled()):
        return None
    if bool((targets_bt < 0).any()):
        return None
    # torch does not type `Function.apply`.
    loss: Tensor = _HeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
        x_btc.flatten(0, 1), weight_vc, targets_bt.flatten()
    )
    return loss


class _HeadCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_nc: Tensor, weight_vc: Tensor, targets_n: Tensor) -> Tensor:
        count, vocabulary = len(x_nc), len(weight_vc)
        rows = CHUNK_ELEMENTS // vocabulary
        wants_x, wants_weight, _ = ctx.needs_input_grad
        dx_nc = torch.empty_like(x_nc) if wants_x else None
        dweight_vc = torch.zeros_like(weight_vc) if wants_weight else None
        buffer_nv = x_nc.new_empty(min(rows, count), vocabulary)
        total = x_nc.new_zeros(())
        for start in range(0, count, rows):
            chunk_nc, targets_n1 = x_nc[start : start + rows], targets_n[start : start + rows, None]
            z_nv = torch.mm(chunk_nc, weight_vc.T, out=buffer_nv[: len(chunk_nc)])
            hit_n1, top_n1 = z_nv.gather(1, targets_n1), z_nv.amax(1, keepdim=True)
            p_nv = z_nv.sub_(top_n1).exp_()
            sum_n1 = p_nv.sum(1, keepdim=True)
            # From the logits, not from p, which may be 0 where the loss is merely large.
            total += (sum_n1.log() + top_n1 - hit_n1).sum()
            p_nv.mul_(1 / (sum_n1 * count))
            dz_nv = p_nv.scatter_add_(1, targets_n1, torch.full_like(hit_n1, -1 / count))
            if dx_nc is not None:
                torch.mm(dz_nv, weight_vc, out=dx_nc[start : start + rows])
            if dweight_vc is not None:
                dweight_vc.addmm_(dz_nv.T, chunk_nc)
        ctx.save_for_backward(dx_nc, dweight_vc)
        return total / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        dx_nc, dweight_vc = ctx.saved_tensors
        return (
            None if dx_nc is None else dx_nc * d_loss,
            None if dweight_vc is None else dweight_vc * d_loss,
            None,
        )


def plain_cross_entropy(logits_btv: Tensor, targets_bt: Tensor) -> Tensor:
    """The same from logits that are there, in nats a token."""
    return F.cross_entropy(logits_btv.flatten(0, 1).float(), targets_bt.flatten())
