"""Which module is the activation of a full feed-forward: the tree's own (`model.elementwise`) or a plug-in's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from aero_search.architecture.operations import ACTIVATIONS
from aero_search.architecture.registry import Implementations
from aero_search.architecture.spec import Layer
from aero_search.model.elementwise import MODULES

BUILDERS: Implementations[Callable[[], nn.Module]] = Implementations(ACTIVATIONS, "torch", MODULES)
"""By name, what makes a module that maps (...) to (...)."""


def shared_activations(layers: tuple[Layer, ...]) -> dict[str, nn.Module]:
    """By name, the modules that every layer of one decoder holds together."""
    names = dict.fromkeys(layer.activation for layer in layers if ACTIVATIONS[layer.activation].shared)
    return {name: BUILDERS[name]() for name in names}


def build_activation(name: str, shared: Mapping[str, nn.Module]) -> nn.Module:
    """The module of one activation: the decoder's own of that name, or a new one.

    Raises:
        RequestError: nothing in PyTorch runs it.
    """
    return shared[name] if name in shared else BUILDERS[name]()
