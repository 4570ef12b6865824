"""Muon for the matrices of the layers, AdamW for everything else, as one optimizer.

Muon (Jordan et al., https://kellerjordan.github.io/posts/muon/) replaces the momentum of a matrix by the nearest
semi-orthogonal one, found by a Newton-Schulz iteration. Its update is scaled by 0.2 sqrt(max(rows, columns)), which
gives it the root mean square of AdamW's (Liu et al., arXiv 2502.16982, section 2.2), so that rates compare.
`torch.optim.Muon` with adjust_lr_fn="match_rms_adamw" is the same algorithm one matrix at a time; here matrices of
equal shape are one batched product, which takes a small model a fraction of the time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# The quintic of Jordan's post: the steepest at 0 that still keeps singular values near 1 after five rounds.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5
_EPS = 1e-7
# Of the update: what AdamW's usually has (arXiv 2502.16982, section 2.2).
_RMS = 0.2


class MuonAdamW(torch.optim.Optimizer):
    """One optimizer over two kinds of parameter groups.

    Args:
        matrices: parameter groups of 2-D parameters, with `weight_decay`.
        others: parameter groups of what AdamW trains, with `weight_decay`.
        lr: of the matrices.
        others_lr: of the others.
        momentum: of Muon; Nesterov's form.
        betas, eps, fused: of AdamW.
    """

    def __init__(
        self,
        matrices: Sequence[dict[str, Any]],
        others: Sequence[dict[str, Any]],
        *,
        lr: float,
        others_lr: float,
        momentum: float,
        betas: tuple[float, float],
        eps: float,
        fused: bool | None = None,
    ) -> None:
        self._adamw = torch.optim.AdamW(others, lr=others_lr, betas=betas, eps=eps, fused=fused)
        muon = [{**group, "lr": lr, "momentum": momentum} for group in matrices]
        super().__init__([*muon, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns what the closure does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # A loaded state comes with groups and a state of its own.
        self._adamw.state = self.state
        self._adamw.param_groups = [group for group in self.param_groups if "momentum" not in group]
        self._adamw.step()
        for group in self.param_groups:
            if "momentum" in group:
                self._muon(group)
        return loss

    def _muon(self, group: dict[str, Any]) -> None:
        lr, momentum = group["lr"], group["momentum"]
        trained = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not trained:
            return
        gradients = [parameter.grad for parameter in trained]
        for parameter in trained:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.grad)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in trained]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        updates: defaultdict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter, update in zip(trained, torch._foreach_lerp(gradients, buffers, momentum), strict=True):
            wide_rc = update.T if _tall(parameter) else update
            updates[tuple(wide_rc.shape)].append((parameter, wide_rc))
        torch._foreach_mul_(trained, 1 - lr * group["weight_decay"])
        for (_, columns), alike in updates.items():
            ortho_nrc = orthogonalize(torch.stack([wide_rc for _, wide_rc in alike]))
            for (parameter, _), ortho_rc in zip(alike, ortho_nrc, strict=True):
                ortho_rc = ortho_rc.T if _tall(parameter) else ortho_rc
                parameter.add_(ortho_rc, alpha=-lr * _RMS * math.sqrt(columns))


def orthogonalize(matrices_nrc: Tensor) -> Tensor:
    """Each of n matrices (n, rows, columns), rows <= columns, with its singular values moved to about 1.

    Singular values end between about 0.7 and 1.2, which serves as well as 1 (Jordan's post). Processors compute it
    in float32; GPUs in bfloat16, as `torch.optim.Muon` does everywhere.
    """
    x = matrices_nrc.to(torch.bfloat16 if matrices_nrc.is_cuda else torch.float32)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_EPS)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.to(matrices_nrc.dtype)


def _tall(parameter: Tensor) -> bool:
    return parameter.shape[0] > parameter.shape[1]
