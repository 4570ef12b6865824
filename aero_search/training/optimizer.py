"""The optimizer and the schedule that a recipe asks for."""

from __future__ import annotations

import math

import torch

from aero_search.model import layer_matrices, parameter_groups
from aero_search.model.decoder import Decoder
from aero_search.training.muon import MuonAdamW
from aero_search.training.recipe import Recipe


def build_optimizer(model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over all parameters, or Muon over the matrices of the layers and AdamW over the rest."""
    groups = parameter_groups(model, recipe.weight_decay)
    betas = recipe.beta1, recipe.beta2
    # One kernel a tensor instead of a dozen. Lightning does not clip for a fused optimizer under mixed precision.
    on_cpu = all(parameter.is_cpu for group in groups for parameter in group["params"])
    fused = True if on_cpu and recipe.precision == "32-true" else None
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, eps=recipe.eps, fused=fused)
    inner = layer_matrices(model)
    matrices = [{**group, "params": [p for p in group["params"] if id(p) in inner]} for group in groups]
    others = [{**group, "params": [p for p in group["params"] if id(p) not in inner]} for group in groups]
    return MuonAdamW(
        [group for group in matrices if group["params"]],
        [group for group in others if group["params"]],
        lr=recipe.lr,
        others_lr=recipe.lr if recipe.adamw_lr is None else recipe.adamw_lr,
        momentum=recipe.momentum,
        betas=betas,
        eps=recipe.eps,
        fused=fused,
    )


def lr_factor(step: int, recipe: Recipe) -> float:
    """The learning rate of optimizer step `step` (from 0) as a share of the peak.

    Linear warm-up over `warmup_ratio` of the steps, then linear or cosine decay to `lr_end_ratio`.
    """
    warmup = round(recipe.warmup_ratio * recipe.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min((step - warmup) / max(recipe.steps - warmup, 1), 1.0)
    left = 1.0 - done if recipe.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return recipe.lr_end_ratio + (1.0 - recipe.lr_end_ratio) * left
