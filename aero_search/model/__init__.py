"""The PyTorch family: one readable decoder built from an `Architecture`.

Needs torch alone; safetensors is imported only when weights are saved or loaded.
"""

from aero_search.model.decoder import Decoder, Loss, build_model
from aero_search.model.entropy_attention import attention_with_entropy
from aero_search.model.folding import FoldedDecoder, fold, folded_architecture
from aero_search.model.initialization import default_init_std
from aero_search.model.parameters import (
    count_parameters,
    count_thresholds,
    layer_matrices,
    parameter_groups,
)
from aero_search.model.regularizer import entropy_penalty, largest_entropy
from aero_search.model.weights import load_weights, save_weights

__all__ = [
    "Decoder",
    "FoldedDecoder",
    "Loss",
    "attention_with_entropy",
    "build_model",
    "count_parameters",
    "count_thresholds",
    "default_init_std",
    "entropy_penalty",
    "fold",
    "folded_architecture",
    "largest_entropy",
    "layer_matrices",
    "load_weights",
    "parameter_groups",
    "save_weights",
]
