"""`aero-search verify` of an export for transformers or ONNX: what the installed library makes of the folder.

Such a folder tells no perplexity or cost, and its code is never run: a model with a class of its own is read with
the class of this version, whose text must be the one beside the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from aero_search.architecture import Architecture, key, notation
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.choice import Kind
from aero_search.export.extras import require
from aero_search.export.layout import LARGEST, PROVENANCE_FILE
from aero_search.export.load import read_bundle_architecture
from aero_search.export.verify import CACHE_TOLERANCE, Check, State, Verification, cached_check
from aero_search.untrusted_files import read_json, read_text, regular_file

CONFIG_FILE = "config.json"
CLASSES = ("AeroForCausalLM", "GPT2LMHeadModel", "GPTNeoXForCausalLM", "LlamaForCausalLM")


def exported_kind(folder: Path) -> Kind:
    """The kind of the export in `folder`; `bundle` where it does not say."""
    if not (folder / PROVENANCE_FILE).is_file():
        return "bundle"
    told = read_json(folder, PROVENANCE_FILE, LARGEST[PROVENANCE_FILE]).get("kind", "bundle")
    return told if told in get_args(Kind) else "bundle"


def verify_export(folder: Path, kind: Kind) -> Verification:
    """Check files, key, and what the installed transformers or onnxruntime computes.

    Raises:
        RequestError: the library is not installed, or the folder holds a description without weights.
        AeroSearchError: a file is missing or unreadable.
    """
    if kind not in ("hf", "onnx"):
        raise RequestError(f"{folder} holds an export of kind={kind}, which has no weights to verify")
    provenance = read_json(folder, PROVENANCE_FILE, LARGEST[PROVENANCE_FILE])
    listed = [str(name) for name in provenance.get("files", [])]
    for name in listed:
        regular_file(folder, name, LARGEST["weights.safetensors"])
    a = read_bundle_architecture(folder)
    told = str(provenance.get("key"))
    same: State = "ok" if told == key(a) else "differs"
    checks = (
        Check("files", "ok", f"{len(listed)} listed", "all there"),
        Check("architecture key", same, told, key(a)),
        *(_huggingface(folder, a) if kind == "hf" else _onnx(folder, a)),
    )
    return Verification(notation(a), folder, checks)


def _huggingface(folder: Path, a: Architecture) -> Iterator[Check]:
    require("hf", "transformers")
    import transformers

    from aero_search.export import huggingface, modeling_aero
    from aero_search.export.models import cached_difference

    try:
        config: Any = json.loads(read_text(folder, CONFIG_FILE, LARGEST[PROVENANCE_FILE]))
        (name,) = config["architectures"]
    except (ValueError, KeyError, TypeError) as problem:
        raise AeroSearchError(f"{CONFIG_FILE} names no class: {problem}") from None
    if name not in CLASSES:
        raise AeroSearchError(f"{CONFIG_FILE} has the class {name!r}, not one of {', '.join(CLASSES)}")
    if name == "AeroForCausalLM":
        for file, code in huggingface.code_files().items():
            same = code == read_text(folder, file, LARGEST[PROVENANCE_FILE])
            yield Check(
                file,
                "ok" if same else "differs",
                "this version's",
                "the same" if same else "another's: export it again",
            )
        kind: Any = modeling_aero.AeroForCausalLM
    else:
        kind = getattr(transformers, name)
    # The configuration may ask for an implementation that is downloaded; the argument wins over it.
    model = kind.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, attn_implementation="sdpa"
    )
    yield cached_check(cached_difference(model.eval(), a))


def _onnx(folder: Path, a: Architecture) -> Iterator[Check]:
    """The logits of a prefix are those of the whole, whatever batch and length the graph is given."""
    require("onnx", "onnxruntime")
    import onnxruntime

    from aero_search.export.models import example_tokens
    from aero_search.export.onnx import GRAPH_FILE, onnx_logits

    run = onnx_logits(regular_file(folder, GRAPH_FILE, LARGEST["weights.safetensors"]))
    tokens_bt = example_tokens(a, 2, a.seq_len)
    whole_btv = run(tokens_bt)
    prefix = max(a.seq_len // 2, 1)
    apart_btv = (run(tokens_bt[:1, :prefix]) - whole_btv[:1, :prefix]).abs()
    apart = float(apart_btv.max() / whole_btv.abs().max().clamp(min=1))
    yield Check(
        f"a prefix in onnxruntime {onnxruntime.__version__}",
        "ok" if apart <= CACHE_TOLERANCE else "differs",
        f"within {CACHE_TOLERANCE:g}",
        f"{apart:.1e} apart",
    )
