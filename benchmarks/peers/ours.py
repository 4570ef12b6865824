"""Our model in its own contenders: the whole tool, a bare loop, seeds in one stacked pass, and the bare products.

Shapes: b batch, t position, s seed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from aero_search.api.training import train_request
from aero_search.config.compose import compose_request
from aero_search.config.request import Request
from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import Share, TrainBatches
from aero_search.data.windows import TrainWindows
from aero_search.model import build_model
from aero_search.model.attention import Attention
from aero_search.training.optimizer import build_optimizer, lr_factor
from aero_search.training.result import CurvePoint

# More steps than any benchmark takes: a training that does not end by itself.
_ENDLESS = 10**6


def request_of(overrides: Sequence[str], folder: Path, corpus: Path) -> Request:
    """What `aero-search train OVERRIDES` would be asked."""
    own = {
        "data": "tokenized",
        "data.path": corpus,
        "output_dir": folder,
        "recipe.steps": _ENDLESS,
        "recipe.validate_every": _ENDLESS,
        "search.threads": 1,
    }
    return compose_request("train", own, overrides)


class _Ticks:
    """A listener in the place of the command's view."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def __enter__(self) -> _Ticks:
        return self

    def __exit__(self, *about: object) -> None: ...

    def step(self, step: int, loss: float) -> None:
        self._tick()

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None: ...


def run_tool(request: Request, tick: Callable[[], None]) -> None:
    """What `aero-search train` does, tracking included; `tick` stands where its progress bar does."""
    train_request(request, lambda title, steps: _Ticks(tick))


def batches_of(request: Request, corpus: Corpus) -> Iterator[Tensor]:
    """The training's own batches, (B, T + 1), without end."""
    recipe, length = request.recipe, request.architecture.seq_len
    windows = TrainWindows(corpus.train_tokens, length, recipe.batch_size, recipe.data_seed)
    batches = TrainBatches(corpus.train_path, windows, length, 0, _ENDLESS, Share())
    return (batches[i] for i in range(len(batches)))


class _Together(nn.Module):
    """Linears that read the same values, as one product: the first call makes all, the others hand theirs out."""

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        super().__init__()
        self._linears = nn.ModuleList(linears)
        self._made: list[Tensor] = []

    def forward(self, x_btc: Tensor) -> Tensor:
        linears = [linear for linear in self._linears if isinstance(linear, nn.Linear)]
        biases = [linear.bias for linear in linears if linear.bias is not None]
        bias = torch.cat(biases) if biases else None
        product = nn.functional.linear(x_btc, torch.cat([linear.weight for linear in linears]), bias)
        first, *self._made = product.split([linear.out_features for linear in linears], dim=-1)
        return first

    def next(self, _: Tensor) -> Tensor:
        """What the next linear would return of the values of the last call."""
        return self._made.pop(0)


def join_projections(decoder: nn.Module) -> None:
    """Let every attention make its queries, keys and values in one product; the parameters stay what they are."""
    for attention in [module for module in decoder.modules() if isinstance(module, Attention)]:
        assert attention.value is not None
        together = _Together([attention.query, attention.key, attention.value])
        for name, made in (("query", together), ("key", together.next), ("value", together.next)):
            delattr(attention, name)
            setattr(attention, name, made)


def make_step(request: Request, corpus: Corpus, joined: bool = False) -> Callable[[], None]:
    """One step of a bare loop a call: our model, loss, optimizer and schedule, without Lightning or tracking.

    Args:
        joined: queries, keys and values in one product.
    """
    recipe, batches = request.recipe, batches_of(request, corpus)
    decoder = build_model(request.architecture, seed=recipe.seed, init_std=recipe.init_std)
    optimizer = build_optimizer(decoder, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, recipe))
    if joined:
        join_projections(decoder)

    def step() -> None:
        batch_bt = next(batches)
        optimizer.zero_grad()
        decoder.loss(batch_bt[:, :-1], batch_bt[:, 1:]).total.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()

    return step


def make_stacked_step(request: Request, corpus: Corpus, seeds: int = 2) -> Callable[[], None]:
    """One step of several seeds a call, in one pass over stacked weights; each is clipped by its own norm."""
    recipe, batches = request.recipe, batches_of(request, corpus)
    gradients_of = StackedGradients(request, seeds)
    weights = gradients_of.weights
    optimizer = torch.optim.AdamW(list(weights.values()), lr=recipe.lr, weight_decay=recipe.weight_decay)

    def step() -> None:
        gradients, _ = gradients_of(next(batches))
        squares_s = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0)
        scale_s = (recipe.clip / (squares_s.sqrt() + 1e-6)).clamp(max=1.0)
        for name, gradient in gradients.items():
            weights[name].grad = gradient * scale_s.view(-1, *[1] * (gradient.ndim - 1))
        optimizer.step()

    return step


class StackedGradients:
    """Gradients and losses of several seeds of one network from one pass; they share batches, as replicates do.

    Attributes:
        weights: by name, (S, ...).
    """

    def __init__(self, request: Request, seeds: int) -> None:
        decoders: list[nn.Module] = [build_model(request.architecture, seed=seed) for seed in range(seeds)]
        self.weights, self._buffers = stack_module_state(decoders)
        shell = copy.deepcopy(decoders[0]).to("meta")

        def loss(own: dict[str, Tensor], buffered: dict[str, Tensor], batch_bt: Tensor) -> Tensor:
            logits_btv: Tensor = functional_call(shell, (own, buffered), (batch_bt[:, :-1],))
            return nn.functional.cross_entropy(logits_btv.flatten(0, 1), batch_bt[:, 1:].flatten())

        self._run: Any = vmap(grad_and_value(loss), in_dims=(0, 0, None))

    def __call__(self, batch_bt: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Gradients by name, (S, ...), and losses, (S,)."""
        with warnings.catch_warnings():
            # That scaled_dot_product_attention has no batching rule on a CPU is part of what is measured.
            warnings.filterwarnings("ignore", message=".*performance drop.*")
            found: tuple[dict[str, Tensor], Tensor] = self._run(self.weights, self._buffers, batch_bt)
        return found


def make_products(request: Request) -> Callable[[], None]:
    """The matrix products of one step a call and nothing else: the limit of any training in these libraries.

    For every linear and the head y = x W, dx = dy W' and dW = dy' x, for every attention its two products and the
    four of its backward pass, whole although half of them is masked.
    """
    a, recipe = request.architecture, request.recipe
    rows, heads = recipe.batch_size * a.seq_len, recipe.batch_size * a.n_head
    decoder = build_model(a, seed=0)
    shapes = [(m.in_features, m.out_features) for m in decoder.layers.modules() if isinstance(m, nn.Linear)]
    shapes.append((a.d_model, a.vocab_size))
    linears = [
        (
            torch.randn(rows, i),
            torch.randn(i, o),
            torch.empty(rows, o),
            torch.empty(rows, i),
            torch.empty(i, o),
        )
        for i, o in shapes
    ]
    q_ntd, k_ntd, v_ntd, d_ntd = (torch.randn(heads, a.seq_len, a.d_model // a.n_head) for _ in range(4))
    z_nts, out_ntd = torch.empty(heads, a.seq_len, a.seq_len), torch.empty_like(q_ntd)
    attending = sum(layer.attends for layer in a.layers)

    @torch.no_grad()
    def step() -> None:
        for x, w, y, dx, dw in linears:
            torch.mm(x, w, out=y)
            torch.mm(y, w.T, out=dx)
            torch.mm(x.T, y, out=dw)
        for _ in range(attending):
            torch.bmm(q_ntd, k_ntd.mT, out=z_nts)
            torch.bmm(z_nts, v_ntd, out=out_ntd)
            torch.bmm(z_nts.mT, d_ntd, out=out_ntd)
            torch.bmm(d_ntd, v_ntd.mT, out=z_nts)
            torch.bmm(z_nts, k_ntd, out=out_ntd)
            torch.bmm(z_nts.mT, q_ntd, out=out_ntd)

    return step
