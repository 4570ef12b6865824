"""The decoder: embeddings, layers, head, and what training and health checks ask of it.

Shapes: b batch, t position, c channel of the stream (d_model), h head, l layer, v vocabulary entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aero_search.architecture import Architecture, canonical, validate
from aero_search.model.activations import shared_activations
from aero_search.model.attention import Attention
from aero_search.model.feed_forward import build_feed_forward
from aero_search.model.head_loss import head_cross_entropy, plain_cross_entropy
from aero_search.model.initialization import initialize
from aero_search.model.norms import build_norm
from aero_search.model.regularizer import entropy_penalty
from aero_search.model.rotary import Rotary, build_rotary
from aero_search.model.stabilizers import Scaling, reparametrize


class Loss(NamedTuple):
    """What training minimizes and what it is made of, scalars.

    Attributes:
        total: cross_entropy + weight * penalty.
        cross_entropy: mean over batch and positions, in nats a token; its exponential is the perplexity.
        penalty: the entropy penalty before its weight, in nats squared; 0 without a regularizer.
        logits_btv: what it was computed from, (B, T, V); None unless asked for, since a small vocabulary goes
            without.
    """

    total: Tensor
    cross_entropy: Tensor
    penalty: Tensor
    logits_btv: Tensor | None


class DecoderLayer(nn.Module):
    """Attention and a feed-forward around the residual stream.

    A sequential residual feeds the feed-forward with what attention left; a parallel one runs both on the
    layer's input (GPT-NeoX, arXiv 2204.06745, section 2.1). Shaped attention over identity values carries the
    skip inside itself as alpha * I, so none is added around it (He & Hofmann, arXiv 2311.01906, sections 4.1 and
    4.3).
    """

    def __init__(
        self,
        architecture: Architecture,
        index: int,
        rotary: Rotary | None,
        shared: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        layer = architecture.layers[index]
        attention = architecture.attention
        self.parallel = architecture.wiring.parallel_residual
        self.skip = not (attention.shaped and attention.value_projection == "identity")
        self.attention_norm: nn.Module | None = None
        self.attention: Attention | None = None
        if layer.attends:
            self.attention_norm = build_norm(layer.norm, architecture)
            self.attention = Attention(architecture, rotary, layer)
        self.feed_forward = build_feed_forward(layer, architecture, shared)
        self.feed_forward_norm: nn.Module | None = None
        self.scaling: Scaling | None = None
        if self.feed_forward is not None:
            self.feed_forward_norm = build_norm(layer.norm, architecture)
            self.scaling = Scaling() if architecture.stabilizer.kind == "scaled" else None

    def forward(self, x_btc: Tensor, with_entropy: bool = False) -> tuple[Tensor, Tensor | None]:
        """One layer on (B, T, d_model); the second result is the entropy (B, H, T) if asked and there is one."""
        attended_btc, entropy_bht = x_btc, None
        if self.attention is not None and self.attention_norm is not None:
            attended_btc, entropy_bht = self.attention(self.attention_norm(x_btc), with_entropy)
            if self.skip:
                attended_btc = x_btc + attended_btc
        if self.feed_forward is None or self.feed_forward_norm is None:
            return attended_btc, entropy_bht
        fed_btc = self.feed_forward(self.feed_forward_norm(x_btc if self.parallel else attended_btc))
        if self.scaling is not None:
            return self.scaling(attended_btc, fed_btc), entropy_bht
        return attended_btc + fed_btc, entropy_bht


class Decoder(nn.Module):
    """A decoder-only language model, built from an `Architecture` (kept in canonical form).

    Raises:
        InvalidArchitectureError: no network can be built from the description.
    """

    def __init__(self, architecture: Architecture, *, init_std: float | None = None) -> None:
        super().__init__()
        # Drawn first, so that it does not depend on how many tensors follow.
        seed = int(torch.randint(2**62, (), device="cpu"))
        a = canonical(validate(architecture))
        self.architecture = a
        self.token_embedding = nn.Embedding(a.vocab_size, a.d_model)
        learned = not a.rotary_channels
        self.position_embedding = nn.Embedding(a.seq_len, a.d_model) if learned else None
        rotary = build_rotary(a)
        shared = shared_activations(a.layers)
        own = [DecoderLayer(a, i, rotary, shared) for i in range(0, a.n_layer, a.share_layers)]
        self.layers = nn.ModuleList(own[i // a.share_layers] for i in range(a.n_layer))
        self.final_norm = build_norm(a.final_norm, a)
        # A tied head has no tensor of its own.
        self.head = None if a.tied_embeddings else nn.Linear(a.d_model, a.vocab_size, bias=False)
        self.thresholds_lh: nn.Parameter | None = None
        if a.regularizer.weight > 0:
            attending = sum(layer.attends for layer in a.layers)
            start = torch.full((attending, a.n_head), a.regularizer.threshold_init)
            self.thresholds_lh = nn.Parameter(start)
        initialize(self, a, seed, init_std)
        reparametrize(a, self.layers)

    def forward(self, tokens_bt: Tensor) -> Tensor:
        """Logits (B, T, V) of the token after each of `tokens_bt`, (B, T) integers with T up to seq_len.

        Raises:
            ValueError: more tokens than seq_len.
        """
        logits_btv, _ = self._run(tokens_bt, with_entropy=False)
        return logits_btv

    def forward_with_entropy(self, tokens_bt: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits (B, T, V), and for each layer that attends the entropy of its rows in nats, (B, H, T)."""
        return self._run(tokens_bt, with_entropy=True)

    def loss(
        self,
        inputs_bt: Tensor,
        targets_bt: Tensor,
        penalty_scale: float = 1.0,
        with_logits: bool = False,
    ) -> Loss:
        """The training loss of `inputs_bt` against the tokens that follow, both (B, T) integers.

        Args:
            penalty_scale: multiplies the penalty's weight; at 0 no entropy is computed.
            with_logits: keep the logits in what is returned.
        """
        thresholds_lh = self.thresholds_lh
        penalized = thresholds_lh is not None and penalty_scale > 0
        x_btc, entropies = self._stream(inputs_bt, with_entropy=penalized)
        head = self.token_embedding if self.head is None else self.head
        # A folded model's head has a bias.
        plain = with_logits or getattr(head, "bias", None) is not None
        chunked = None if plain else head_cross_entropy(x_btc, head.weight, targets_bt)
        logits_btv: Tensor | None = None
        if chunked is None:
            whole_btv = self._logits(x_btc)
            logits_btv = whole_btv if with_logits else None
            cross_entropy = plain_cross_entropy(whole_btv, targets_bt)
        else:
            cross_entropy = chunked
        if thresholds_lh is None:
            return Loss(cross_entropy, cross_entropy, torch.zeros_like(cross_entropy), logits_btv)
        if not penalized:
            # Several devices wait for a gradient of every parameter, so the thresholds get one of 0.
            nothing = 0.0 * thresholds_lh.sum()
            return Loss(cross_entropy + nothing, cross_entropy, nothing, logits_btv)
        regularizer = self.architecture.regularizer
        penalty = entropy_penalty(torch.stack(entropies), thresholds_lh, regularizer)
        total = cross_entropy + penalty_scale * regularizer.weight * penalty
        return Loss(total, cross_entropy, penalty, logits_btv)

    def decoder_layers(self) -> list[DecoderLayer]:
        """The layers, shallowest first, under their own type; one module again where layers share it."""
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    @torch.no_grad()
    def head_entropy(self, tokens_bt: Tensor) -> Tensor:
        """Entropy of each head in nats, (L, H): the mean over batch and query positions; L layers that attend.

        Runs in evaluation mode, so that looking does not advance spectral normalization's iteration.
        """
        training = self.training
        self.eval()
        _, entropies = self._run(tokens_bt, with_entropy=True)
        self.train(training)
        rows = [entropy_bht.mean(dim=(0, 2)) for entropy_bht in entropies]
        return torch.stack(rows) if rows else torch.zeros(0, self.architecture.n_head)

    def _run(self, tokens_bt: Tensor, with_entropy: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        x_btc, entropies = self._stream(tokens_bt, with_entropy)
        return self._logits(x_btc), entropies

    def _logits(self, x_btc: Tensor) -> Tensor:
        if self.head is None:
            return F.linear(x_btc, self.token_embedding.weight)
        logits_btv: Tensor = self.head(x_btc)
        return logits_btv

    def _stream(self, tokens_bt: Tensor, with_entropy: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the head reads, (B, T, d_model), and the entropies if asked."""
        length = tokens_bt.shape[-1]
        if length > self.architecture.seq_len:
            raise ValueError(f"{length} tokens are more than model.seq_len={self.architecture.seq_len}")
        x_btc: Tensor = self.token_embedding(tokens_bt)
        if self.position_embedding is not None:
            x_btc = x_btc + self.position_embedding.weight[:length]
        entropies: list[Tensor] = []
        for layer in self.layers:
            x_btc, entropy_bht = layer(x_btc, with_entropy)
            if entropy_bht is not None:
                entropies.append(entropy_bht)
        return self.final_norm(x_btc), tuple(entropies)


def build_model(
    architecture: Architecture, seed: int | None = None, *, init_std: float | None = None
) -> Decoder:
    """A decoder with fresh weights.

    Args:
        architecture: what to build; validated first.
        seed: the same seed gives the same weights and leaves the global random state as it was; None draws
            from the global state.
        init_std: standard deviation of linears and embeddings; None is `default_init_std(d_model)`.

    Raises:
        InvalidArchitectureError: no network can be built from the description.
    """
    if seed is None:
        return Decoder(architecture, init_std=init_std)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Decoder(architecture, init_std=init_std)
