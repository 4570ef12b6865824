"""What a candidate is: its specification, canonical form and key, validity rules and paper notation.

Nothing here imports torch; an `Architecture` is data, and every cost follows from it without training.
"""

from aero_search.architecture.canonical import canonical, key
from aero_search.architecture.notation import BASELINE, notation, parse_notation
from aero_search.architecture.spec import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.architecture.target import ModelShape, retarget
from aero_search.architecture.validity import InvalidArchitectureError, validate, violations

__all__ = [
    "BASELINE",
    "Architecture",
    "Attention",
    "InvalidArchitectureError",
    "Layer",
    "ModelShape",
    "Regularizer",
    "Stabilizer",
    "canonical",
    "key",
    "notation",
    "parse_notation",
    "retarget",
    "validate",
    "violations",
]
