"""The cards: light, because every command that meets an unknown name reads them."""

from __future__ import annotations

from aero_search.architecture.cards import ActivationCard, NormCard

CARDS = (
    ActivationCard(
        name="clipped_relu",
        term="CR",
        gated_term="CReGLU",
        operation="clipped_relu",
        cheaper=("relu", "identity"),
        lowerings=("clipped_relu",),
        modules={"torch": "aero_demo.layers", "jax": "aero_demo.secure"},
    ),
    NormCard(
        name="centre",
        term="CN",
        operation="centre",
        cheaper=("none",),
        lowerings=("centre",),
        values=("weight",),
        flops_per_element=3,
        absorbs_scale=True,
        modules={"torch": "aero_demo.layers", "jax": "aero_demo.secure"},
    ),
)
