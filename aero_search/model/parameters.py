"""Counting parameters, and sorting them for an optimizer with weight decay."""

from __future__ import annotations

from typing import Any

from torch import nn

from aero_search.model.decoder import Decoder

# A weight as it is, the raw weight under spectral_norm, and the direction under weight_norm, whose magnitude
# (original0) is a gain.
_MATRICES = ("weight", "parametrizations.weight.original", "parametrizations.weight.original1")


def parameter_groups(model: Decoder, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW, each parameter that is trained in exactly one; an empty group is left out.

    Weights of linears and embeddings decay. Norms, biases, gains (alpha, beta, gamma, weight-norm
    magnitudes), leaky slopes, temperatures and thresholds do not (recipe of the AERO authors' code).
    """
    matrices = _matrices(model, nn.Linear, nn.Embedding)
    decayed = [p for p in model.parameters() if p.requires_grad and id(p) in matrices]
    kept = [p for p in model.parameters() if p.requires_grad and id(p) not in matrices]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def layer_matrices(model: Decoder) -> set[int]:
    """`id` of the weight of every linear inside the layers: what Muon trains.

    Embeddings and the head are no maps between hidden states, and are left to AdamW (Jordan's post on Muon).
    """
    return _matrices(model.layers, nn.Linear)


def _matrices(model: nn.Module, *kinds: type[nn.Module]) -> set[int]:
    return {
        id(parameter)
        for module in model.modules()
        if isinstance(module, kinds)
        for name, parameter in module.named_parameters()
        if name in _MATRICES
    }


def count_parameters(model: Decoder) -> int:
    """Numbers the network computes with; tied ones count once, thresholds of the penalty do not count."""
    return sum(p.numel() for p in model.parameters()) - count_thresholds(model)


def count_thresholds(model: Decoder) -> int:
    """Learned thresholds of the entropy penalty: used by training, absent from inference."""
    return 0 if model.thresholds_lh is None else model.thresholds_lh.numel()
