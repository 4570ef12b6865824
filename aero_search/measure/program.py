"""The private forward passes of a query as lists of stages, one for each operation of the cost inventory.

Both parties derive the same list from public data (architecture and lowerings), so nothing but shares and
ciphertexts passes between them. Stages read and write named values; names of weights are those of
`measure.arrays`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from aero_search.architecture import Architecture, Layer
from aero_search.architecture.cards import NormCard
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, NORMS
from aero_search.architecture.registry import refusal, require
from aero_search.cost import Workload
from aero_search.cost.inventory import Part
from aero_search.cost.workload import sized
from aero_search.errors import RequestError
from aero_search.measure.lowering_names import exact_functions

TOKENS = "tokens"
"""The client's input: one-hot (T, V), or token numbers (T,) where the vocabulary is compared."""
LOGITS = "logits"
"""The result, (T, V)."""
LOGITS_FILE = "logits"
"""What the client saves: the logits of every sequence, by `sequence_name`."""
ANSWERS_FILE = "answers"
"""What the client saves of a query with an answer: its tokens, by `sequence_name`."""


@dataclass(frozen=True)
class Pass:
    """One forward pass, known to both parties.

    Attributes:
        architecture: folded: no scaled feed-forward, no reparametrization, no linear feed-forward of two.
        tempered: queries are multiplied by constants, one a head and position.
        shaped_factors: private factors of shaped attention: 2 where beta went into the output projection, else 3.
        lowerings: which implementation runs each nonlinearity, by operation kind (`gelu: gelu_tanh`).
        weights: `private` stay with the server, `secret` are shared like activations.
        cached: tokens whose keys and values earlier passes have left; the others of `seq_len` run.
        last: logits of the last token alone.
    """

    architecture: Architecture
    tempered: bool = False
    shaped_factors: Literal[2, 3] = 3
    lowerings: Mapping[str, str] | None = None
    weights: Literal["private", "secret"] = "private"
    cached: int = 0
    last: bool = False

    def __post_init__(self) -> None:
        """Refuse what nothing can run.

        Raises:
            RequestError: an operation has no JAX function; the reason is its card's.
        """
        for registry, name in self.architecture.operations:
            require(registry, name, "jax")
            card = registry[name]
            if card.operation is not None and not card.lowerings:
                raise refusal(registry.what, name, "jax", "its card names no function that runs it")

    def lowering(self, kind: str) -> str | None:
        """The implementation asked for, None for the first one there is."""
        return None if self.lowerings is None else self.lowerings.get(kind)

    @property
    def compares_tokens(self) -> bool:
        """Whether token numbers are shared and compared with the vocabulary, instead of one-hot rows."""
        return self.lowering("one_hot") == "equality"


@dataclass(frozen=True)
class Stage:
    """One operation of the pass.

    Attributes:
        name: unique, `layers.0.softmax`.
        part: of the model, as in the cost estimate.
        layer: decoder layer, None outside.
        op: the function of `measure.forward` that runs it.
        reads: values it takes, in order.
        writes: values it makes, in order.
        kind: for nonlinearities, the operation kind that `Pass.lowerings` speaks of.
        heads: of scores, which kind weighs how many of the heads, first heads first.
        step: which pass of the query it is one of.
    """

    name: str
    part: Part
    layer: int | None
    op: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    kind: str | None = None
    heads: tuple[tuple[str, int], ...] = ()
    step: int = 0


def stages(forward: Pass, step: int = 0) -> tuple[Stage, ...]:
    """The stages of private inference in the order they run; the last one writes `LOGITS`.

    Args:
        step: the number of the pass in its query, which names its stages.
    """
    found = tuple(stage for stage in _stages(forward) if not _is_public(forward, stage))
    if not step:
        return found
    return tuple(replace(stage, name=f"token{step + 1}.{stage.name}", step=step) for stage in found)


def public_stages(forward: Pass) -> tuple[Stage, ...]:
    """Those that the client runs alone, in the clear, on all tokens so far; the last one writes `entry`."""
    if not forward.architecture.public_layers:
        return ()
    whole = in_the_clear(forward, forward.architecture.seq_len)
    return tuple(stage for stage in _stages(whole) if _is_public(forward, stage))


def in_the_clear(forward: Pass, tokens: int) -> Pass:
    """The same pass as the client runs it alone: over all tokens, with functions as they are."""
    architecture = sized(forward.architecture, tokens)
    return replace(forward, architecture=architecture, lowerings=exact_functions(), cached=0, last=False)


def entry(forward: Pass) -> str:
    """The value that the client brings: the tokens, or what the public layers make of them, (T, C)."""
    found = public_stages(forward)
    return found[-1].writes[0] if found else TOKENS


def _is_public(forward: Pass, stage: Stage) -> bool:
    public = forward.architecture.public_layers
    if not public:
        return False
    return stage.part == "embedding" if stage.layer is None else stage.layer < public


def passes(forward: Pass, workload: Workload) -> tuple[Pass, ...]:
    """The passes of one query of a workload, in order.

    Raises:
        RequestError: the query is more than a measurement runs.
    """
    a = forward.architecture
    for field, runs in (("batch", 1), ("sampling", "client"), ("embedding", "protocol")):
        if (asked := getattr(workload, field)) != runs:
            raise RequestError(
                f"workload.{field}={asked} is priced and not measured: measure workload.{field}={runs}"
            )
    found: list[Pass] = []
    for step in workload.passes(a.seq_len):
        cached = found[-1].architecture.seq_len if found else 0
        last = workload.logits == "last" and not cached
        found.append(replace(forward, architecture=sized(a, step.tokens), cached=cached, last=last))
    if (longest := found[-1].architecture.seq_len) > a.seq_len:
        raise RequestError(
            f"workload.prompt={workload.prompt} and workload.generate={workload.generate} need {longest} "
            f"positions, and the network has {a.seq_len}: lower them, or raise model.seq_len"
        )
    return tuple(found)


def carried(forward: Pass) -> dict[str, str]:
    """Keys and values that a pass leaves to the next one: their names here, and there."""
    names: dict[str, str] = {}
    for stage in stages(forward):
        if stage.layer is not None and stage.op in ("scores", "values"):
            key, value = _cache(stage.layer)
            names |= {stage.reads[1]: key} if stage.op == "scores" else {stage.reads[0]: value}
    return names


def _cache(index: int) -> tuple[str, str]:
    return f"layers.{index}.cache.k", f"layers.{index}.cache.v"


def weight_names(forward: Pass) -> tuple[str, ...]:
    """The server's values, in the order they are first read."""
    made = {entry(forward), *(carried(forward).values() if forward.cached else ())}
    return _read_first(stages(forward), made)


def public_names(forward: Pass) -> tuple[str, ...]:
    """The client's weights, in the order they are first read: those of public layers."""
    return _read_first(public_stages(forward), {TOKENS})


def _read_first(program: tuple[Stage, ...], made: set[str]) -> tuple[str, ...]:
    """What the stages read that is not made before, nor by any of them."""
    names: dict[str, None] = {}
    for stage in program:
        names |= dict.fromkeys(name for name in stage.reads if name not in made)
        made |= set(stage.writes)
    return tuple(name for name in names if name not in made)


def last_uses(program: tuple[Stage, ...], kept: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """By stage name, the values that no later stage reads: they can be dropped after it.

    Args:
        kept: values that are read later than that.
    """
    last = {name: stage.name for stage in program for name in (*stage.reads, *stage.writes)}
    for name in (LOGITS, *kept):
        last.pop(name, None)
    dropped: dict[str, list[str]] = {}
    for name, stage_name in last.items():
        dropped.setdefault(stage_name, []).append(name)
    return {name: tuple(values) for name, values in dropped.items()}


def _stages(forward: Pass) -> Iterator[Stage]:
    a = forward.architecture
    tokens = TOKENS
    if forward.compares_tokens:
        yield Stage("one_hot", "embedding", None, "one_hot", (TOKENS,), ("one_hot",))
        tokens = "one_hot"
    positions = () if a.rotary_channels else ("position_embedding",)
    stream = "stream.0"
    yield Stage("lookup", "embedding", None, "lookup", (tokens, "token_embedding", *positions), (stream,))
    for index, layer in enumerate(a.layers):
        attended = f"attended.{index}" if layer.attends else stream
        yield from _attention(forward, layer, index, stream, attended)
        after = f"stream.{index + 1}"
        yield from _feed_forward(a, layer, index, stream, attended, after)
        stream = after if layer.has_ffn else attended
    if forward.last:
        yield Stage("last_token", "lm_head", None, "last_token", (stream,), ("last_token",))
        stream = "last_token"
    for stage in _norm(a, a.final_norm, "final_norm", None, stream, "normed"):
        yield stage
        stream = "normed"
    head = _linear("lm_head", NORMS[a.final_norm].leaves_shift(a.has_bias))
    yield Stage("lm_head", "lm_head", None, "linear", (stream, *head), (LOGITS,))


def _attention(forward: Pass, layer: Layer, index: int, stream: str, attended: str) -> Iterator[Stage]:
    a = forward.architecture
    if not layer.attends:
        return
    at = f"layers.{index}."
    projected = a.attention.value_projection == "full"
    # Shaped attention over identity values carries the skip inside itself (see model.decoder).
    skip = (stream,) if not (a.attention.shaped and not projected) else ()
    source = stream
    for stage in _norm(a, layer.norm, f"{at}attention_norm", index, stream, f"{at}normed"):
        yield stage
        source = f"{at}normed"
    q, k, v = (f"{at}{name}" for name in ("q", "k", "v"))
    yield Stage(
        f"{at}qkv",
        "projections",
        index,
        "qkv",
        (source, *_linear(f"{at}qkv", a.has_projection_bias(layer))),
        (q, k, v),
    )
    card = NORMS[a.attention.qk_norm]
    if card.operation is not None:
        normed = (f"{at}q.normed", f"{at}k.normed")
        reads = (q, k, *_values(card, f"{at}qk_norm", a.has_bias))
        yield Stage(f"{at}qk_norm", "norm", index, "qk_norm", reads, normed, card.operation)
        q, k = normed
    if a.rotary_channels:
        rotated = (f"{at}q.rotated", f"{at}k.rotated")
        yield Stage(f"{at}rotary", "positions", index, "rotary", (q, k), rotated)
        q, k = rotated
    if forward.tempered and a.feels_scale(layer):
        tempered = f"{at}q.tempered"
        scaled = (q, f"{at}query_scale")
        yield Stage(f"{at}temperature", "scaling", index, "scale", scaled, (tempered,))
        q = tempered
    seen = v
    if forward.cached:
        now, (k, seen) = (k, v), (f"{at}k.seen", f"{at}v.seen")
        yield Stage(f"{at}cache", "attention_products", index, "cache", (*_cache(index), *now), (k, seen))
    heads = a.heads(layer)
    # Of one kind or two; a second one has names of its own.
    endings = ("", f".{heads[-1][0]}")[: len(heads)]
    scores, weights = (tuple(f"{at}{name}{e}" for e in endings) for name in ("scores", "weights"))
    mixed = f"{at}mixed"
    yield Stage(f"{at}scores", "attention_products", index, "scores", (q, k), scores, heads=heads)
    read = []
    for (kind, _), ending, score, weight in zip(heads, endings, scores, weights, strict=True):
        operation = ATTENTIONS[kind].operation
        read.append(score if operation is None else weight)
        if operation is not None:
            yield Stage(f"{at}softmax{ending}", "softmax", index, "weigh", (score,), (weight,), operation)
    yield Stage(f"{at}values", "attention_products", index, "values", (seen, *read), (mixed,))
    if a.attention.shaped:
        mean = f"{at}running_mean"
        yield Stage(f"{at}running_mean", "scaling", index, "running_mean", (v, seen), (mean,))
        shaped = f"{at}shaped"
        reads = (v, mixed, mean, f"{at}shaping")
        yield Stage(f"{at}shaped", "scaling", index, "shaped", reads, (shaped,))
        mixed = shaped
    output = _linear(f"{at}output", a.has_bias) if projected else ()
    part: Part = "projections" if projected else "attention_products"
    op = ("output" if projected else "merge") + ("_residual" if skip else "")
    yield Stage(
        f"{at}{'output' if projected else 'merge'}", part, index, op, (mixed, *output, *skip), (attended,)
    )


def _feed_forward(
    a: Architecture, layer: Layer, index: int, stream: str, attended: str, after: str
) -> Iterator[Stage]:
    if not layer.has_ffn:
        return
    at = f"layers.{index}."
    source = stream if a.wiring.parallel_residual else attended
    for stage in _norm(a, layer.norm, f"{at}ffn_norm", index, source, f"{at}ffn_normed"):
        yield stage
        source = f"{at}ffn_normed"
    if layer.is_fused:
        source = yield from _first_factor(a, index, f"{at}fused", source)
        reads = (source, *_behind_norm(a, layer, f"{at}fused"), attended)
        yield Stage(f"{at}fused", "feed_forward", index, "linear_residual", reads, (after,))
        return
    up, hidden = f"{at}up", f"{at}hidden"
    wide = (f"{at}gate", up) if a.gated else (up,)
    source = yield from _first_factor(a, index, f"{at}up", source)
    reads = (source, *_behind_norm(a, layer, f"{at}up"))
    op = ("split_factors" if a.ffn_rank else "split") if a.gated else "linear"
    yield Stage(f"{at}up", "feed_forward", index, op, reads, wide)
    card = ACTIVATIONS[layer.activation]
    if card.operation is not None:
        reads = (wide[0], *(f"{at}{value}" for value in card.values))
        yield Stage(f"{at}activation", "activation", index, "activation", reads, (hidden,), card.operation)
    else:
        hidden = wide[0]
    if a.gated:
        gated = f"{at}gated"
        yield Stage(f"{at}gating", "activation", index, "multiply", (hidden, up), (gated,))
        hidden = gated
    hidden = yield from _first_factor(a, index, f"{at}down", hidden)
    reads = (hidden, *_linear(f"{at}down", a.has_bias), attended)
    yield Stage(f"{at}down", "feed_forward", index, "linear_residual", reads, (after,))


def _first_factor(a: Architecture, index: int, name: str, source: str) -> Generator[Stage, None, str]:
    """The stage of the first factor of linears that have two; returns what the linear then reads."""
    if not a.ffn_rank:
        return source
    inner = f"{name}.inner"
    reads = (source, f"{name}_in.weight")
    yield Stage(f"{name}_in", "feed_forward", index, "linear", reads, (inner,))
    return inner


def _linear(name: str, bias: bool) -> tuple[str, ...]:
    return (f"{name}.weight", f"{name}.bias") if bias else (f"{name}.weight",)


def _behind_norm(a: Architecture, layer: Layer, name: str) -> tuple[str, ...]:
    """A linear that reads a layer's norm, whose shift may have been folded into it."""
    return _linear(name, a.has_bias or NORMS[layer.norm].leaves_shift(a.has_bias))


def _norm(
    a: Architecture, norm: str, name: str, index: int | None, source: str, result: str
) -> Iterator[Stage]:
    """The stage of one norm, none where there is nothing to run."""
    card = NORMS[norm]
    if card.operation is not None:
        reads = (source, *_values(card, name, a.has_bias))
        yield Stage(name, "norm", index, "norm", reads, (result,), card.operation)


def _values(card: NormCard, name: str, has_bias: bool) -> tuple[str, ...]:
    return tuple(f"{name}.{value}" for value in card.values if value != "bias" or has_bias)


def sequence_name(index: int) -> str:
    """The name of one sequence's tokens and of its logits."""
    return f"sequence{index}"


def run_name(index: int, stage: str) -> str:
    """The name that a stage's run has in the meter's report."""
    return f"{sequence_name(index)}/{stage}"
