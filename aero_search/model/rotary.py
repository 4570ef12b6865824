"""Rotary positions (Su et al., arXiv 2104.09864), in the half-split layout of GPT-NeoX and Llama.

Shapes: b batch, h head, t position, d channel of a head, r half the rotated channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture

# Su et al., section 3.2.2; GPT-NeoX and Llama keep it.
BASE = 10_000.0


class Rotary(nn.Module):
    """Rotates channel pairs (c, c + r) of the first 2r channels of each head by position x frequency.

    The tables are rebuilt from the architecture and never saved.
    """

    cos_tr: Tensor
    sin_tr: Tensor

    def __init__(self, rotated: int, seq_len: int) -> None:
        super().__init__()
        frequency_r = BASE ** (-torch.arange(0, rotated, 2, dtype=torch.float64) / rotated)
        angle_tr = torch.outer(torch.arange(seq_len, dtype=torch.float64), frequency_r)
        self.rotated = rotated
        self.register_buffer("cos_tr", angle_tr.cos().float(), persistent=False)
        self.register_buffer("sin_tr", angle_tr.sin().float(), persistent=False)

    def forward(self, x_bhtd: Tensor) -> Tensor:
        length = x_bhtd.shape[-2]
        cos_tr = self.cos_tr[:length].to(x_bhtd.dtype)
        sin_tr = self.sin_tr[:length].to(x_bhtd.dtype)
        half = self.rotated // 2
        first, second, rest = x_bhtd[..., :half], x_bhtd[..., half : 2 * half], x_bhtd[..., 2 * half :]
        return torch.cat([first * cos_tr - second * sin_tr, second * cos_tr + first * sin_tr, rest], dim=-1)


def build_rotary(architecture: Architecture) -> Rotary | None:
    """The rotation of queries and keys; None where positions are learned instead."""
    rotated = architecture.rotary_channels
    return Rotary(rotated, architecture.seq_len) if rotated else None
