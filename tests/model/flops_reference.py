"""FLOPs of a built model as fvcore and torch count them: what analytic counts are compared with.

Convention: FLOPs are 2 x multiply-accumulates, both attention products over the full T x T matrix, for one
sequence of seq_len tokens.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch.utils.flop_counter import FlopCounterMode

from aero_search.architecture import Architecture
from aero_search.model import Decoder, build_model

# fvcore counts five multiply-accumulates an element for these; they are no products of matrices.
_ELEMENTWISE = ("layer_norm", "rms_norm")
_SDPA = "aten::scaled_dot_product_attention"
_PRODUCTS = (_SDPA, "matmul", "bmm")


def fvcore_flops(model: Decoder, architecture: Architecture) -> dict[str, Any]:
    """FLOPs by part, from a trace of the model on one sequence.

    Returns:
        `total`, and by part `attention` (projections and products), `projections`, `products`, `ffn`,
        `lm_head`, `embedding` (0: lookups), `norms` (fvcore's elementwise count, outside the total); then
        `by_module`, `by_operator` and `unsupported_ops` with the operations that fvcore left out.
    """
    device = model.token_embedding.weight.device
    tokens_bt = torch.zeros(1, architecture.seq_len, dtype=torch.long, device=device)
    analysis = FlopCountAnalysis(model.eval(), tokens_bt)
    analysis.set_op_handle(_SDPA, _attention_products)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    by_module = {
        name: Counter({op: 2 * int(macs) for op, macs in operators.items()})
        for name, operators in analysis.by_module_and_operator().items()
    }
    whole = by_module[""]
    norms = sum(whole[op] for op in _ELEMENTWISE)
    total = whole.total() - norms
    layers = range(architecture.n_layer)
    attentions = [by_module.get(f"layers.{i}.attention", Counter()) for i in layers]
    # Norms of queries and keys are a part of it.
    attention = sum(found.total() - sum(found[op] for op in _ELEMENTWISE) for found in attentions)
    ffn = sum(by_module.get(f"layers.{i}.feed_forward", Counter()).total() for i in layers)
    # Projections are linears; other kinds of attention than softmax multiply matrices themselves.
    products = sum(found[op] for found in attentions for op in _PRODUCTS)
    return {
        "total": total,
        "attention": attention,
        "projections": attention - products,
        "products": products,
        "ffn": ffn,
        # A tied head is a product of the decoder itself, outside every submodule.
        "lm_head": total - attention - ffn,
        "embedding": 0,
        "norms": norms,
        "by_module": {name: operators.total() for name, operators in by_module.items()},
        "by_operator": dict(whole),
        "unsupported_ops": dict(analysis.unsupported_ops()),
    }


def flop_counter_flops(architecture: Architecture) -> int:
    """FLOPs of one sequence as torch.utils.flop_counter counts them, on the meta device (no arithmetic)."""
    with torch.device("meta"):
        model = build_model(architecture, seed=0).eval()
        tokens_bt = torch.zeros(1, architecture.seq_len, dtype=torch.long)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(tokens_bt)
    return int(counter.get_total_flops())


def _attention_products(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Multiply-accumulates of Q K^T and A V over the full T x T matrix."""
    batch, heads, length, d = get_shape(inputs[0])
    keys, d_value = get_shape(inputs[1])[-2], get_shape(inputs[2])[-1]
    return Counter({_SDPA: batch * heads * length * keys * (d + d_value)})
