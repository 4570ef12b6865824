"""What a card says: everything that the rest of the program needs to know of one operation of a layer.

A card is data. What runs the operation registers under its name where it lives: the PyTorch module in `model/`,
the JAX function in `measure/`, the price in a protocol's YAML, the exported code in `export/`. docs/extending.md
walks through an activation and a norm, of the tree and of a package outside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Place = Literal["torch", "jax", "transformers", "onnx"]
"""Where an operation runs: training, private inference, the two exports."""

PLACES: Mapping[Place, str] = {
    "torch": "be trained",
    "jax": "be measured",
    "transformers": "be exported for transformers",
    "onnx": "be exported as ONNX",
}
"""What an operation without an implementation there cannot do."""

_NAME, _TERM = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Card:
    """One kind of operation.

    Attributes:
        name: its value in `conf/`, in spaces and in saved architectures.
        term: its name in the paper's notation; None where the notation says it by leaving it out.
        operation: the kind that it lists in the cost inventory, which protocols lower; None: nothing that two
            parties would talk about.
        cheaper: what the what-if block proposes instead, by name.
        lowerings: the JAX functions that can run it under private inference, the default first
            (`measure.lowerings` has them by name).
        exact: the one of them that is the function itself, where the first approximates it.
        values: what the implementations need beside their input: attributes of the PyTorch module and, in this
            order, arguments of the JAX function. They are the server's own, so a protocol may lower the kind
            apart as `NAME_private` and `NAME_secret`.
        made_of: other kinds of the inventory that it can be built of, with how many of each run at once. A protocol
            without a lowering of its own for it takes theirs, one kind after another.
        unsupported: where it does not run, and why, as the end of a sentence.
        modules: what registers its implementations when imported, where `aero_search` itself does not.
    """

    name: str
    term: str | None = None
    operation: str | None = None
    cheaper: tuple[str, ...] = ()
    lowerings: tuple[str, ...] = ()
    exact: str | None = None
    values: tuple[str, ...] = ()
    made_of: Mapping[str, int] = field(default_factory=dict)
    unsupported: Mapping[Place, str] = field(default_factory=dict)
    modules: Mapping[Place, str] = field(default_factory=dict)

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term of the notation that means it."""
        return () if self.term is None else (self.term,)

    def __post_init__(self) -> None:
        """Refuse what could not be written or read.

        Raises:
            ValueError: a name or a term outside its alphabet, or a place that does not exist.
        """
        for name in (self.name, self.operation or self.name):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a name of lower-case letters, digits and underscores")
        for term in self.terms:
            if not _TERM.fullmatch(term):
                raise ValueError(f"{term!r} is not a term of letters and digits")
        if unknown := {*self.unsupported, *self.modules} - set(PLACES):
            raise ValueError(f"{sorted(unknown)[0]!r} is not one of {', '.join(PLACES)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class NormCard(Card):
    """A normalization in front of attention, of the feed-forward and of the LM head.

    Attributes:
        flops_per_element: elementwise operations, which FLOPs report apart from products. fvcore counts five for
            an affine layer norm: mean, difference, square, scale and affine.
        absorbs_scale: whether its module, once built, can take a factor of its input and of its output into its
            own numbers, which the folding of scaled feed-forwards needs (see `model.norms`).
        folds: what is affine in it goes into the linears that read it, so private inference pays for the rest
            alone (`model.norms.Folds`). Identity values read no linear, and exclude it.
        shift: whether its affine part adds a constant: never, where the family has biases, or always.
        per_head: it can normalize the queries and keys of each head (`attention.qk_norm`). What it leaves to
            private inference has a gain, which takes 1/sqrt(d_head) of the scores: `weight`, and `bias` where there
            is one, are among its `values`.
    """

    flops_per_element: int = 5
    absorbs_scale: bool = False
    folds: bool = False
    shift: Literal["never", "biased", "always"] = "never"
    per_head: bool = False

    def leaves_shift(self, biases: bool) -> bool:
        """Whether the linear that reads it needs a bias for it once it is folded.

        Args:
            biases: whether the family's linears have biases.
        """
        return self.folds and (self.shift == "always" or (biases and self.shift == "biased"))


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationCard(Card):
    """The nonlinearity of a full feed-forward.

    Attributes:
        gated_term: its term where the feed-forward is gated.
        hidden_act: its name in the configurations of transformers (`ACT2FN`); None: it has none.
        shared: all layers hold the same module, so its numbers are learned once.
    """

    gated_term: str | None = None
    hidden_act: str | None = None
    shared: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(term for term in (self.term, self.gated_term) if term is not None)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionCard(Card):
    """How the scores of a query become weights of the values.

    Attributes:
        probabilities: softmax's rows: entropy has a fused path, the entropy regularizer and shaped attention
            apply.
        scale_free: a factor of the scores leaves the weights as they are (but for what keeps their sum off 0), so
            that a temperature has no effect.
    """

    probabilities: bool = False
    scale_free: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class FeedForwardCard(Card):
    """What follows attention in a layer.

    Attributes:
        scaled_term: its term where the residual is scaled (AERO, step 2).
        nonlinear: whether an activation stands between its linears.
        becoming: how the what-if block calls the change to it, and the kind of that change.
    """

    scaled_term: str | None = None
    nonlinear: bool = False
    becoming: tuple[str, str] | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(term for term in (self.term, self.scaled_term) if term is not None)
