"""nanoGPT's model and training loop at given sizes, written anew from what is publicly known of them.

No code of https://github.com/karpathy/nanoGPT is used; this is a re-implementation of its architecture (GPT-2 with
one linear for queries, keys and values, fused attention, an exact GELU, a tied head) and of the work of its loop:
windows at random places of a memory map, decay on matrices alone, clipping to norm 1, AdamW with betas 0.9, 0.95, a
rate set at each step, the loss read every ten steps. Dropout is 0, as in its pre-training.

Shapes: b batch, t position, c channel of the stream, h head, d channel of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LOG_EVERY = 10


@dataclass(frozen=True)
class Sizes:
    """Of a GPT: vocabulary, context, layers, heads, width."""

    vocab_size: int
    seq_len: int
    n_layer: int
    n_head: int
    d_model: int


class SelfAttention(nn.Module):
    """Causal attention behind one linear for all three of its inputs."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.n_head = sizes.n_head
        self.qkv = nn.Linear(sizes.d_model, 3 * sizes.d_model)
        self.projection = nn.Linear(sizes.d_model, sizes.d_model)

    def forward(self, x_btc: Tensor) -> Tensor:
        batch, length, width = x_btc.shape
        parts = self.qkv(x_btc).split(width, dim=2)
        q_bhtd, k_bhtd, v_bhtd = (p.view(batch, length, self.n_head, -1).transpose(1, 2) for p in parts)
        out_bhtd = F.scaled_dot_product_attention(q_bhtd, k_bhtd, v_bhtd, is_causal=True)
        return self.projection(out_bhtd.transpose(1, 2).contiguous().view(batch, length, width))


class Block(nn.Module):
    """Pre-norm attention and a GELU feed-forward of four times the width."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = nn.LayerNorm(sizes.d_model), nn.LayerNorm(sizes.d_model)
        self.attention = SelfAttention(sizes)
        self.feed = nn.Sequential(
            nn.Linear(sizes.d_model, 4 * sizes.d_model),
            nn.GELU(),
            nn.Linear(4 * sizes.d_model, sizes.d_model),
        )

    def forward(self, x_btc: Tensor) -> Tensor:
        x_btc = x_btc + self.attention(self.attention_norm(x_btc))
        return x_btc + self.feed(self.feed_norm(x_btc))


class Gpt(nn.Module):
    """The whole model; its head is the token embedding."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.positions = nn.Embedding(sizes.seq_len, sizes.d_model)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.n_layer))
        self.norm = nn.LayerNorm(sizes.d_model)
        self.head = nn.Linear(sizes.d_model, sizes.vocab_size, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                narrow = name.endswith(("projection.weight", "feed.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * sizes.n_layer) if narrow else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def logits(self, inputs_bt: Tensor) -> Tensor:
        """Of the token after each input, (B, T, V)."""
        places_t = torch.arange(inputs_bt.shape[1])
        x_btc = self.tokens(inputs_bt) + self.positions(places_t)
        for block in self.blocks:
            x_btc = block(x_btc)
        logits_btv: Tensor = self.head(self.norm(x_btc))
        return logits_btv

    def forward(self, inputs_bt: Tensor, targets_bt: Tensor) -> Tensor:
        """The mean cross-entropy, nats a token."""
        logits_btv = self.logits(inputs_bt)
        return F.cross_entropy(logits_btv.view(-1, logits_btv.shape[-1]), targets_bt.reshape(-1))


def make_step(sizes: Sizes, tokens: Path, batch_size: int, lr: float = 1e-3) -> Callable[[], None]:
    """One step of the loop a call.

    Args:
        tokens: a flat file of little-endian uint16.
    """
    torch.manual_seed(0)
    model = Gpt(sizes)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    done = 0

    def batch() -> tuple[Tensor, Tensor]:
        data = np.memmap(tokens, dtype="<u2", mode="r")
        starts = torch.randint(len(data) - sizes.seq_len, (batch_size,)).tolist()
        inputs = [torch.from_numpy(data[i : i + sizes.seq_len].astype(np.int64)) for i in starts]
        targets = [torch.from_numpy(data[i + 1 : i + 1 + sizes.seq_len].astype(np.int64)) for i in starts]
        return torch.stack(inputs), torch.stack(targets)

    def step() -> None:
        nonlocal done
        rate = lr * min(1.0, (done + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = model(*batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if done % _LOG_EVERY == 0:
            loss.item()
        done += 1

    return step
