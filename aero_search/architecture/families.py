"""How the published families are wired around their layers: positions, residual stream, biases."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from aero_search.architecture.operations import LAYERNORM, RMSNORM, Norm


@dataclass(frozen=True, slots=True)
class Wiring:
    """What surrounds attention and feed-forward.

    Attributes:
        rotary_share: the share of each head's channels that is rotated by its position; 0: positions are learned
            and added to the embedding instead.
        parallel_residual: attention and feed-forward both read the layer's input, and are added together.
        biases: of linears, and of norms that have one.
        norm: the one it was published with.
    """

    rotary_share: float
    parallel_residual: bool
    biases: bool
    norm: Norm


FAMILIES: Mapping[str, Wiring] = {
    # Radford et al. 2019.
    "gpt2": Wiring(rotary_share=0.0, parallel_residual=False, biases=True, norm=LAYERNORM),
    # GPT-NeoX (Black et al., arXiv 2204.06745, section 2.1) rotates a quarter of each head.
    "pythia": Wiring(rotary_share=0.25, parallel_residual=True, biases=True, norm=LAYERNORM),
    # Touvron et al., arXiv 2302.13971.
    "llama": Wiring(rotary_share=1.0, parallel_residual=False, biases=False, norm=RMSNORM),
}
"""The presets of `model.family`."""


FACETS = ("rotary_share", "parallel_residual", "biases")
"""What of a preset an architecture may have otherwise."""


@functools.cache
def wiring_of(
    family: str,
    rotary_share: float | None = None,
    parallel_residual: bool | None = None,
    biases: bool | None = None,
) -> Wiring:
    """The wiring of a preset, with the facets that are given instead of its own; None keeps its own."""
    own = FAMILIES[family]
    return Wiring(
        rotary_share=own.rotary_share if rotary_share is None else rotary_share,
        parallel_residual=own.parallel_residual if parallel_residual is None else parallel_residual,
        biases=own.biases if biases is None else biases,
        norm=own.norm,
    )
