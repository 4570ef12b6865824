"""FLOPs and published-style operation counts of an architecture, both read off the inventory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from aero_search.architecture import Architecture
from aero_search.architecture.operations import NORMS, operation_card
from aero_search.cost.inventory import MATMUL_KINDS, Operation
from aero_search.cost.workload import PREFILL, Workload

Convention = Literal["full", "aero"]


@dataclass(frozen=True, slots=True)
class Flops:
    """FLOPs by part, each 2 x MACs of matrix products; `norm` and `embedding_one_hot` are not in the total.

    Attributes:
        ffn: feed-forward linears.
        attention: projections and both attention products.
        embedding: 0, since in the clear a lookup multiplies nothing (fvcore and AERO's tables agree).
        lm_head: the last linear, tied or not.
        projections: attention's linears, a part of `attention`.
        attention_products: scores and values, a part of `attention`.
        norm: elementwise operations of norms, so many an element as their cards say; for LayerNorm what fvcore
            adds to its MACs (it leaves RMSNorm out).
        embedding_one_hot: what the lookup costs as the one-hot product that private inference runs.
        total: ffn + attention + embedding + lm_head.
    """

    ffn: float
    attention: float
    embedding: float
    lm_head: float
    projections: float
    attention_products: float
    norm: float
    embedding_one_hot: float
    total: float


@dataclass(frozen=True, slots=True)
class NonlinearOp:
    """How often a nonlinear operation runs, and on which (rows, columns); the shape is that of the first."""

    count: int
    shape: tuple[int, int]


def flops(
    architecture: Architecture,
    convention: Convention = "full",
    decode: bool = False,
    workload: Workload = PREFILL,
) -> Flops:
    """Count FLOPs; those of public layers too, which the client runs.

    Args:
        convention: `full` counts both attention products in full, as fvcore and FlopCounterMode do. `aero`
            counts them as tables 4 to 7 of arXiv 2410.13060v2 do: scores in full and values over the causal
            half, three quarters together; one half where the value projection is the identity (SOTA rows).
        decode: count one token decoded with a key-value cache of seq_len entries.
    """
    sums = {
        "feed_forward": 0.0,
        "projections": 0.0,
        "attention_products": 0.0,
        "lm_head": 0.0,
        "embedding": 0.0,
    }
    norm = 0.0
    for _, operation in workload.operations(replace(architecture, public_layers=0), decode):
        if operation.kind in MATMUL_KINDS:
            sums[operation.part] += 2.0 * operation.macs
        elif operation.part == "norm" and (card := NORMS.by_operation(operation.kind)):
            norm += float(card.flops_per_element * operation.elements)
    products = sums["attention_products"]
    if convention == "aero":
        products *= 0.5 if architecture.attention.value_projection == "identity" else 0.75
    attention = sums["projections"] + products
    return Flops(
        ffn=sums["feed_forward"],
        attention=attention,
        embedding=0.0,
        lm_head=sums["lm_head"],
        projections=sums["projections"],
        attention_products=products,
        norm=norm,
        embedding_one_hot=0.0 if architecture.public_layers else sums["embedding"],
        total=sums["feed_forward"] + attention + sums["lm_head"],
    )


def nonlinear_operations(
    architecture: Architecture, decode: bool = False, workload: Workload = PREFILL
) -> dict[str, NonlinearOp]:
    """Nonlinear operations as AERO's tables 4 to 7 list them, in the order they first run.

    Keys are the kinds (`softmax`, `layernorm`, `gelu`, `relu`, ...); the norm before the LM head, which the
    tables leave out, is apart as `final_layernorm` or `final_rmsnorm`, that of queries and keys as `qk_layernorm`.
    """
    found: dict[str, NonlinearOp] = {}
    for _, operation in workload.operations(architecture, decode):
        if operation.kind in MATMUL_KINDS or operation_card(operation.kind) is None:
            continue
        name = _published_name(operation)
        shape = (operation.shape[0], operation.shape[-1])
        before = found.get(name)
        count = operation.count + (before.count if before else 0)
        found[name] = NonlinearOp(count, before.shape if before else shape)
    return found


def _published_name(operation: Operation) -> str:
    return {"final_norm": "final_", "qk_norm": "qk_"}.get(operation.name, "") + operation.kind
