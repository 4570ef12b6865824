"""The size that a user will deploy: the choices made on a small proxy, carried over to another model shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aero_search.architecture.canonical import canonical
from aero_search.architecture.families import FACETS
from aero_search.architecture.spec import Architecture, Family
from aero_search.architecture.validity import in_groups, validate
from aero_search.errors import RequestError


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model, without any choice about its layers.

    Attributes:
        name: of the model group they come from, such as `gpt2_small`.
        n_kv_head: key and value heads; None: as many as n_head.
        seq_len: tokens of context.
        rotary_share, parallel_residual, biases: facets of the family; None: as in what is carried here.
    """

    name: str
    family: Family
    n_layer: int
    n_head: int
    n_kv_head: int | None
    d_model: int
    seq_len: int
    vocab_size: int
    tied_embeddings: bool
    rotary_share: float | None = None
    parallel_residual: bool | None = None
    biases: bool | None = None

    @property
    def text(self) -> str:
        """Name and sizes, for people."""
        return f"{self.name} ({self.n_layer} layers, d_model {self.d_model}, {self.seq_len} tokens)"

    def is_wired_like(self, a: Architecture) -> bool:
        """Whether an architecture is of this family, with the facets that are given here."""
        given = ((name, getattr(self, name)) for name in FACETS)
        return self.family == a.family and all(v is None or v == getattr(a.wiring, name) for name, v in given)


def retarget(a: Architecture, shape: ModelShape) -> Architecture:
    """The same choices at another size, in canonical form.

    Layers, heads, widths, context, vocabulary and tied embeddings are the shape's. Everything else is a choice
    and stays: norms, activations, feed-forwards with their ratio and gate, attention, stabilizer, regularizer,
    facets of the family.
    Layer j of M takes the choices of the proxy's layer i of N at the same relative depth, the one in which the
    middle of layer j lies: i = floor((j + 1/2) * N / M). So the deepest half stays the deepest half, any first
    or last share keeps its share to within half a layer, and where M is a multiple of N every layer is
    repeated M / N times. As many layers as before share their weights, where the
    new depth has whole groups of like layers; else each has its own, which costs the same.
    A rank keeps its share of the width, and so many layers are public as their counterparts are, at least one.

    Raises:
        RequestError: the families differ: their layers are wired differently.
        InvalidArchitectureError: the choices cannot be built at that size.
    """
    if a.family != shape.family:
        raise RequestError(
            f"objective.target={shape.name} is of the family {shape.family}, but model.family={a.family} is "
            f"trained: take a proxy of the same family, such as model.family={shape.family}"
        )
    if not shape.is_wired_like(a):
        raise RequestError(
            f"objective.target={shape.name} has other facets of its family than what is trained: give both the "
            f"same {', '.join(f'model.{name}' for name in FACETS)}"
        )
    a = canonical(a)
    sources = depths(a.n_layer, shape.n_layer)
    layers = tuple(a.layers[i] for i in sources)
    public = _public(a, sources)
    shared = in_groups(layers, a.share_layers) and public % a.share_layers == 0
    return canonical(
        validate(
            replace(
                a,
                layers=layers,
                share_layers=a.share_layers if shared else 1,
                public_layers=public,
                n_head=shape.n_head,
                n_kv_head=shape.n_kv_head,
                d_model=shape.d_model,
                ffn_rank=_rank(a, shape.d_model),
                seq_len=shape.seq_len,
                vocab_size=shape.vocab_size,
                tied_embeddings=shape.tied_embeddings,
            )
        )
    )


def _public(a: Architecture, sources: tuple[int, ...]) -> int:
    if not a.public_layers:
        return 0
    return min(max(sum(i < a.public_layers for i in sources), 1), len(sources) - 1)


def _rank(a: Architecture, d_model: int) -> int:
    if not a.ffn_rank:
        return 0
    widest = min(d_model, max(round(a.ffn_ratio * d_model), 1))
    return min(max(round(a.ffn_rank * d_model / a.d_model), 1), widest)


def depths(n: int, m: int) -> tuple[int, ...]:
    """For each of m layers, the one of n layers at the same relative depth; shape [m], never falling."""
    return tuple((2 * j + 1) * n // (2 * m) for j in range(m))
