"""The entries of `protocol.use`: the names under which a protocol says how an operation is run."""

from __future__ import annotations

from aero_search.architecture.operations import nonlinear_kinds, operation_card
from aero_search.cost.inventory import FACTOR_KINDS, MATMUL_KINDS

WEIGHTED = ("linear", "lookup")
"""Kinds whose entries say whose the weights are."""
PRODUCTS = ("matmul_scores", "matmul_values")
"""Products of attention that may have an entry of their own."""
_WEIGHTS = ("_private", "_secret")


def plain_entry(kind: str) -> str:
    """Without the ending that says whose the weights are."""
    return kind.removesuffix(_WEIGHTS[0]).removesuffix(_WEIGHTS[1])


def is_entry(kind: str) -> bool:
    """Whether an entry of `use` names an operation: of a product, of a factor, or of a card.

    Those in which the server's own numbers are factors may be lowered apart for `private` and `secret` weights;
    products with weights must be.
    """
    plain = plain_entry(kind)
    if plain in WEIGHTED:
        return plain != kind
    if kind in PRODUCTS or plain in MATMUL_KINDS:
        return plain == kind
    if plain in FACTOR_KINDS:
        return plain == kind or plain == "private_scale"
    card = operation_card(plain)
    return card is not None and (plain == kind or bool(card.values))


def all_entries() -> list[str]:
    plain = (*MATMUL_KINDS, *PRODUCTS, *FACTOR_KINDS, *nonlinear_kinds())
    return [kind for name in plain for kind in (name, *(name + of for of in _WEIGHTS)) if is_entry(kind)]
