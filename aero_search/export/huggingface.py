"""`kind=hf`: a folder that `AutoModelForCausalLM` and `AutoTokenizer` load, checked against ours when written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from aero_search.architecture import Architecture, canonical
from aero_search.architecture import operations as cards
from aero_search.architecture.registry import refusal
from aero_search.architecture.registry import require as require_implementation
from aero_search.data.corpus import Corpus
from aero_search.data.tokenizer import END_OF_TEXT, load_tokenizer
from aero_search.errors import AeroSearchError
from aero_search.export.choice import Choice, write_folder
from aero_search.export.documents import write_provenance
from aero_search.export.extras import require
from aero_search.export.layout import ARCHITECTURE_FILE, CARD_FILE
from aero_search.export.models import cached_difference, difference, example_tokens, trained_and_folded
from aero_search.export.native import native
from aero_search.export.tokens import write_tokenizer
from aero_search.init.tensor_names import to_transformers
from aero_search.markdown import code, plain
from aero_search.model import FoldedDecoder
from aero_search.model.elementwise import MODULES
from aero_search.model.folding import FoldedNorm
from aero_search.quantity import perplexity_text
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from aero_search.training.result import Teacher, read_result

TOLERANCE = 1e-5
CODE_FILE, ACTIVATIONS_FILE, ATTENTION_FILE = "modeling_aero.py", "activations_aero.py", "attention_aero.py"
# Beside the weights lie copies of these modules; the code imports them by the name on the left here, and there by
# the file's.
_COPIES = {"elementwise": ACTIVATIONS_FILE, "attention_weights": ATTENTION_FILE}
AUTO_MAP = {
    "AutoConfig": "modeling_aero.AeroConfig",
    "AutoModelForCausalLM": "modeling_aero.AeroForCausalLM",
}


@dataclass(frozen=True)
class Written:
    """What transformers makes of the folder.

    Attributes:
        loaded_as: the class.
        custom_code: whether that class lies beside the weights, so that loading needs trust_remote_code=True.
        difference: largest difference from our logits, in one pass (`models.difference`) and in generation with
            transformers' default cache (`models.cached_difference`).
    """

    loaded_as: str
    custom_code: bool
    difference: float


def write_huggingface(choice: Choice, corpus: Corpus | None, folder: Path) -> Written:
    """Write the folder, load it again and compare logits, in one pass and generated with a cache.

    Raises:
        RequestError: transformers is not installed, or `folder` holds something else.
        AeroSearchError: logits differ by more than 1e-5, or the candidate's files are gone.
    """
    require("hf", "transformers")
    check_operations(choice.record.architecture)
    written: list[Written] = []
    write_folder(folder, "hf", lambda partial: written.append(_fill(choice, corpus, partial)))
    return written[0]


def _fill(choice: Choice, corpus: Corpus | None, folder: Path) -> Written:
    import transformers

    model, folded = trained_and_folded(choice)
    theirs = transformers_model(folded)
    custom = type(theirs).__name__ == "AeroForCausalLM"
    if corpus is not None and write_tokenizer(corpus, folded.architecture.seq_len, folder):
        end = load_tokenizer(corpus.tokenizer_path).token_to_id(END_OF_TEXT)
        for settings in (theirs.config, theirs.generation_config):
            settings.bos_token_id = settings.eos_token_id = settings.pad_token_id = end
    if custom:
        theirs.config.auto_map = AUTO_MAP
        for name, code in code_files().items():
            (folder / name).write_text(code)
    theirs.save_pretrained(folder)
    a = choice.record.architecture
    write_yaml(folder / ARCHITECTURE_FILE, to_mapping(a), choice.record.notation)
    again: Any = type(theirs).from_pretrained(folder)
    again.eval()
    apart = difference(model, lambda tokens_bt: again(tokens_bt).logits, example_tokens(a, 2, a.seq_len))
    if not apart <= TOLERANCE:
        raise AeroSearchError(
            f"transformers' logits are {apart:.1e} from ours, above {TOLERANCE:g}: not written"
        )
    cached = cached_difference(again, a, model)
    if not cached <= TOLERANCE:
        raise AeroSearchError(
            f"generation with the cache of transformers {transformers.__version__} gives logits {cached:.1e} from "
            f"ours, above {TOLERANCE:g}: not written; install a version that the extra hf allows"
        )
    written = Written(type(theirs).__name__, custom, max(apart, cached))
    result = read_result(choice.record.folder)
    write_provenance(choice, result, "hf", folder, (CARD_FILE,))
    (folder / CARD_FILE).write_text(_card(choice, written, result.perplexity, result.teacher))
    return written


def code_files() -> dict[str, str]:
    """The custom code that lies beside the weights: the text of each file, by name."""
    code = resources.files("aero_search.export").joinpath(CODE_FILE).read_text()
    files = {}
    for module, file in _COPIES.items():
        here, there = f"from aero_search.model.{module} import", f"from .{file.removesuffix('.py')} import"
        if here not in code:
            raise ValueError(f"{CODE_FILE} does not say {here}")
        code = code.replace(here, there)
        files[file] = resources.files("aero_search.model").joinpath(f"{module}.py").read_text()
    return {CODE_FILE: code, **files}


def check_operations(a: Architecture) -> None:
    """Refuse operations that no class of transformers has and the exported code does not carry.

    Raises:
        RequestError: there is one, with its card's reason.
    """
    from aero_search.export.modeling_aero import NORMS
    from aero_search.model.attention_weights import WEIGHERS

    carried: dict[str, Collection[str]] = {
        cards.NORMS.what: NORMS,
        cards.ACTIVATIONS.what: MODULES,
        cards.ATTENTIONS.what: WEIGHERS,
    }
    for registry, name in a.operations:
        require_implementation(registry, name, "transformers")
        if name not in carried[registry.what]:
            raise refusal(
                registry.what, name, "transformers", "its code lies in another package than aero_search"
            )


def transformers_model(folded: FoldedDecoder) -> Any:
    """The same network as a transformers model in evaluation mode: its own class where it has one, else ours."""
    import transformers

    a = canonical(folded.architecture)
    found = None if _has_constants(folded) else native(a)
    if found is None:
        from aero_search.export.modeling_aero import AeroConfig, AeroForCausalLM

        theirs = AeroForCausalLM(AeroConfig(**_fields(folded, a)))
        # An epsilon is a number of config.json where theirs has no tensor for it.
        has = theirs.state_dict().keys()
        found_here = folded.state_dict().items()
        tensors = {name: t for name, t in found_here if name in has or not name.endswith("_norm.eps")}
        tensors = dict(_without_copies(tensors, a.share_layers))
    else:
        tokens = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
        config = getattr(transformers, found.config)(**found.fields, **tokens)
        theirs = getattr(transformers, found.model)(config)
        tensors = to_transformers(a, folded.state_dict())
    theirs.load_state_dict({name: tensor.detach().clone() for name, tensor in tensors.items()}, strict=True)
    return theirs.train(False)


def _has_constants(folded: FoldedDecoder) -> bool:
    """Whether folding left numbers that no published class has a place for."""
    return _has_query_scales(folded) or any(isinstance(module, FoldedNorm) for module in folded.modules())


def _has_query_scales(folded: FoldedDecoder) -> bool:
    attentions = [layer.attention for layer in folded.decoder_layers()]
    return any(attention is not None and attention.query_scale_ht is not None for attention in attentions)


def _fields(folded: FoldedDecoder, a: Architecture) -> dict[str, Any]:
    """What `modeling_aero.AeroConfig` says of a folded decoder."""
    layers = [
        {
            "norm": layer.norm,
            "activation": layer.activation,
            "ffn": layer.ffn,
            "attention": [list(part) for part in a.heads(layer)],
            "query_scale": module.attention is not None and module.attention.query_scale_ht is not None,
            "attention_eps": _eps(module.attention_norm),
            "ffn_eps": _eps(module.feed_forward_norm),
            "projection_bias": layer.attends and a.has_projection_bias(layer),
            "shifted": cards.NORMS[layer.norm].leaves_shift(a.has_bias),
        }
        for layer, module in zip(a.layers, folded.decoder_layers(), strict=True)
    ]
    return {
        "vocab_size": a.vocab_size,
        "hidden_size": a.d_model,
        "intermediate_size": a.d_ff,
        "num_attention_heads": a.n_head,
        "num_key_value_heads": a.kv_heads,
        "max_position_embeddings": a.seq_len,
        "layers": layers,
        "rotary_dim": a.rotary_channels,
        "parallel_residual": a.wiring.parallel_residual,
        "bias": a.has_bias,
        "gated": a.gated,
        "tied": a.tied_embeddings,
        "value_projection": a.attention.value_projection == "full",
        "shaped": a.attention.shaped,
        "final_norm": a.final_norm,
        "final_eps": _eps(folded.final_norm),
        "share_layers": a.share_layers,
        "ffn_rank": a.ffn_rank,
        "qk_norm": a.attention.qk_norm,
        "qk_eps": next((_eps(norm) for norm in _query_norms(folded)), 0.0),
        "head_bias": cards.NORMS[a.final_norm].leaves_shift(a.has_bias),
    }


def _without_copies(tensors: Mapping[str, Tensor], group: int) -> Iterator[tuple[str, Tensor]]:
    """Of layers that share their weights the first, under the number of its group."""
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        index, _, rest = rest.partition(".")
        if part != "layers":
            yield name, tensor
        elif int(index) % group == 0:
            yield f"layers.{int(index) // group}.{rest}", tensor


def _query_norms(folded: FoldedDecoder) -> Iterator[nn.Module | None]:
    return (layer.attention.query_norm for layer in folded.decoder_layers() if layer.attention is not None)


def _eps(norm: nn.Module | None) -> float:
    """The epsilon of a norm; 0 where there is none."""
    eps: float | Tensor | None = getattr(norm, "eps", None)
    return float(eps) if eps is not None else 0.0


def _card(choice: Choice, written: Written, perplexity: float | None, teacher: Teacher | None) -> str:
    flag = ", trust_remote_code=True" if written.custom_code else ""
    custom = (
        f"The class is the file `{CODE_FILE}` beside the weights, which trust_remote_code imports with "
        f"`{ACTIVATIONS_FILE}` and `{ATTENTION_FILE}`: read them first."
        if written.custom_code
        else f"The class is transformers' own `{written.loaded_as}`."
    )
    began = (
        ""
        if teacher is None
        else f" Its training began from {plain(teacher.name)}, {code(teacher.fingerprint)}."
    )
    reached = "none" if perplexity is None else perplexity_text(perplexity)
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---
# {plain(choice.record.notation)}

Trial {choice.record.number} of study {code(choice.study)}, folded for inference. Perplexity on its held-out split
{reached} (measured). Logits differ from the trained model's by {written.difference:.1e} at most, measured when this
was written. {custom}{began}

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained("."{flag})
    tokenizer = AutoTokenizer.from_pretrained("."{flag})
    print(tokenizer.decode(model.generate(**tokenizer("def ", return_tensors="pt"), max_new_tokens=32)[0]))
"""
