"""Every secret operation of a forward pass, by layer and part: the one list FLOPs and costs derive from.

Secret operations are those on values that depend on the client's tokens. What two parties do without talking
is not listed: additions (residuals, biases, learned positions), reshapes, the causal mask. Nor are the
embeddings and layers with public weights (`Architecture.public_layers`), which the client runs alone.

What folds into weights exactly is not listed either, because the server folds it before anyone asks:
    1/sqrt(d_head)   into the query projection, or into the gain of the queries' norm.
    1/alpha          of the scaled feed-forward (AERO, step 2) into its last linear.
    beta             of the scaled feed-forward: write the residual stream as x_l = B_l * x'_l with B_l the
                     product of the betas below layer l. Then x' needs no multiplication, B_l goes into the
                     linears (or the LayerNorm gains) that read x_l, 1/B_l into those that write to it, and
                     LayerNorm is invariant to the factor once its epsilon is divided by B_l squared.
    weight and spectral normalization: plain linears after training.

What does not fold is listed under `scaling`: a learned temperature differs by head and query position, so it
multiplies the queries (T x d_model, a server-private factor); the alpha and gamma of shaped attention (He &
Hofmann, arXiv 2311.01906) multiply the values and their causal means, while its beta folds into the output
projection where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from aero_search.architecture import Architecture, Layer
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, NORMS

Part = Literal[
    "embedding",
    "projections",
    "positions",
    "attention_products",
    "softmax",
    "norm",
    "activation",
    "feed_forward",
    "scaling",
    "lm_head",
    "sampling",
]
MatmulKind = Literal["linear", "lookup", "matmul"]
FactorKind = Literal[
    "one_hot",
    "public_scale",
    "private_scale",
    "multiply",
    "argmax",
]
Kind = MatmulKind | FactorKind | str
"""Of a product, of a factor, or the `operation` of a card."""
PARTS: tuple[Part, ...] = get_args(Part)
MATMUL_KINDS: tuple[str, ...] = get_args(MatmulKind)
FACTOR_KINDS: tuple[str, ...] = get_args(FactorKind)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, `count` times at once (a round of messages serves all of them).

    Attributes:
        part: where in the model; costs and FLOPs are summed by it.
        name: which of the part's operations, for example `qkv`.
        kind: what is computed. `linear`: a secret matrix times a weight; `lookup`: the one-hot tokens times
            the embedding; `matmul`: two secret matrices; `one_hot`: tokens compared with every vocabulary
            entry; `argmax`: the place of each row's largest entry; `multiply`: two secret values;
            `private_scale`, `public_scale`: a secret value times one that only the server, or everyone, knows;
            else the operation of a card (`architecture.operations`).
        shape: (m, k, n) of an m x k by k x n product, else (rows, columns); attention kinds and norms reduce
            over columns.
        count: instances, for example heads.
        layer: decoder layer from 0, None outside the layers.
        causal: the rows are the last queries of a sequence, and a causal mask hides what follows each of them.
    """

    part: Part
    name: str
    kind: Kind
    shape: tuple[int, ...]
    count: int = 1
    layer: int | None = None
    causal: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all instances; 0 for what is no matrix product."""
        return self.count * math.prod(self.shape) if self.kind in MATMUL_KINDS else 0

    @property
    def elements(self) -> int:
        """Elements of all instances: of the output for products, of the input otherwise."""
        rows, columns = self.shape[0], self.shape[-1]
        return self.count * rows * columns


def inventory(architecture: Architecture, decode: bool = False) -> tuple[Operation, ...]:
    """List the secret operations in the order they run.

    Args:
        decode: False: a forward pass of seq_len tokens with logits for every one, as AERO's tables price it.
            True: one token decoded at the last position, with a key-value cache of seq_len entries.
    """
    operations = list(input_operations(architecture, decode))
    first = architecture.public_layers
    for index, layer in enumerate(architecture.private_layers, start=first):
        operations += layer_operations(architecture, layer, index, decode)
    operations += output_operations(architecture, decode)
    return tuple(operations)


def input_operations(a: Architecture, decode: bool = False) -> Iterator[Operation]:
    """Token embedding: (tokens, V) equality tests and a (tokens, V) by (V, d_model) product; none where public."""
    if a.public_layers:
        return
    m = 1 if decode else a.seq_len
    yield Operation("embedding", "one_hot", "one_hot", (m, a.vocab_size))
    yield Operation("embedding", "lookup", "lookup", (m, a.vocab_size, a.d_model))


def layer_operations(a: Architecture, layer: Layer, index: int, decode: bool = False) -> Iterator[Operation]:
    """One decoder layer; residual wiring (sequential or parallel) changes the order, never the list."""
    yield from _attention(a, layer, index, 1 if decode else a.seq_len)
    yield from _feed_forward(a, layer, index, 1 if decode else a.seq_len)


def output_operations(a: Architecture, decode: bool = False) -> Iterator[Operation]:
    """Final norm and LM head: a (tokens, d_model) by (d_model, V) product, tied or not."""
    m = 1 if decode else a.seq_len
    yield from _norm("final_norm", a.final_norm, (m, a.d_model), None)
    yield Operation("lm_head", "lm_head", "linear", (m, a.d_model, a.vocab_size))


def _attention(a: Architecture, layer: Layer, index: int, m: int) -> Iterator[Operation]:
    if not layer.attends:
        return
    T, d, h, d_head = a.seq_len, a.d_model, a.n_head, a.d_head
    has_values = a.attention.value_projection == "full"
    yield from _norm("attention_norm", layer.norm, (m, d), index)
    # One product: query, key and value projections read the same input, so it is sent once.
    width = d_head * (h + a.kv_heads * (2 if has_values else 1))
    yield Operation("projections", "qkv", "linear", (m, d, width), 1, index)
    if (kind := NORMS[a.attention.qk_norm].operation) is not None:
        yield Operation("norm", "qk_norm", kind, (m, d_head), h + a.kv_heads, index)
    if a.rotary_channels:
        # By a cosine and by a sine, both public.
        width = a.rotary_channels * (h + a.kv_heads)
        yield Operation("positions", "rotary", "public_scale", (m, width), 2, index)
    if a.attention.temperature == "learned" and a.feels_scale(layer):
        yield Operation("scaling", "temperature", "private_scale", (m, h * d_head), 1, index)
    yield Operation("attention_products", "scores", "matmul", (m, d_head, T), h, index, causal=True)
    for kind, count in a.heads(layer):
        if (weighing := ATTENTIONS[kind].operation) is not None:
            yield Operation("softmax", "softmax", weighing, (m, T), count, index, causal=True)
    yield Operation("attention_products", "values", "matmul", (m, T, d_head), h, index)
    if a.attention.shaped:
        # The uniform causal matrix is public: a running mean of the values, truncated.
        yield Operation("scaling", "running_mean", "public_scale", (m, h * d_head), 1, index)
        factors = 2 if has_values else 3
        yield Operation("scaling", "shaped", "private_scale", (m, h * d_head), factors, index)
    if has_values:
        yield Operation("projections", "output", "linear", (m, h * d_head, d), 1, index)


def _norm(name: str, norm: str, shape: tuple[int, int], index: int | None) -> Iterator[Operation]:
    if (kind := NORMS[norm].operation) is not None:
        yield Operation("norm", name, kind, shape, 1, index)


def _feed_forward(a: Architecture, layer: Layer, index: int, m: int) -> Iterator[Operation]:
    d, d_ff = a.d_model, a.d_ff
    if not layer.has_ffn:
        return
    yield from _norm("ffn_norm", layer.norm, (m, d), index)
    if layer.is_fused:
        yield from _factors("fused", (m, d, d), a.ffn_rank, index)
        return
    yield from _factors("up", (m, d, d_ff), a.ffn_rank, index, beside=2 if a.gated else 1)
    if (activation := ACTIVATIONS[layer.activation].operation) is not None:
        yield Operation("activation", "activation", activation, (m, d_ff), 1, index)
    if a.gated:
        yield Operation("activation", "gate", "multiply", (m, d_ff), 1, index)
    yield from _factors("down", (m, d_ff, d), a.ffn_rank, index)


def _factors(
    name: str, shape: tuple[int, int, int], rank: int, index: int, beside: int = 1
) -> Iterator[Operation]:
    """The product of `beside` linears that read the same input; of those in factors, one for the first factors."""
    m, k, n = shape
    if not rank:
        yield Operation("feed_forward", name, "linear", (m, k, n * beside), 1, index)
        return
    yield Operation("feed_forward", f"{name}_in", "linear", (m, k, rank * beside), 1, index)
    yield Operation("feed_forward", name, "linear", (m, rank, n), beside, index)
