"""Whether a network can be trained in this machine's memory: told before, and where it runs out all the same."""

from __future__ import annotations

import gc
import os
import sys

from aero_search.architecture import Architecture
from aero_search.errors import AeroSearchError, RequestError
from aero_search.training.recipe import Recipe

# float32 weights, their gradients and one moment of the optimizer: the least that any recipe keeps.
BYTES_PER_WEIGHT = 12
# What torch's allocators say; they raise a RuntimeError, or a subclass of it.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory")


class TrainingMemoryError(AeroSearchError):
    """A training needs more memory than there is: of this candidate, others may fit."""


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether an exception says that memory has run out, Python's, numpy's or a device's."""
    said = str(problem)
    return isinstance(problem, MemoryError) or (
        isinstance(problem, RuntimeError) and any(words in said for words in _WORDS)
    )


def out_of_memory(architecture: Architecture, recipe: Recipe) -> TrainingMemoryError:
    """The sentence with what takes the memory, and what takes less; what nobody holds any longer is given back."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    a = architecture
    return TrainingMemoryError(
        f"memory ran out in the training (model.d_model={a.d_model}, n_layer={a.n_layer}, seq_len={a.seq_len}, "
        f"recipe.batch_size={recipe.batch_size}): a smaller recipe.batch_size with a larger recipe.accumulate "
        "takes less"
    )


def check_fits(architecture: Architecture) -> None:
    """Refuse a network whose weights alone are more than the machine can hold while it trains.

    Raises:
        RequestError: with the size, and what there is.
    """
    weights, there = matrix_weights(architecture), machine_bytes()
    needed = BYTES_PER_WEIGHT * weights
    if there is not None and needed > there:
        raise RequestError(
            f"a network of {_short(weights)} weights (model.d_model={architecture.d_model}, "
            f"n_layer={architecture.n_layer}) takes {_short(needed)}B at least to train, and this machine has "
            f"{_short(there)}B: take a smaller one"
        )


def matrix_weights(a: Architecture) -> int:
    """The weights of embeddings, attention and feed-forwards; biases, norms and gains left out."""
    width = a.d_model
    grouped = width * width * a.kv_heads // a.n_head
    whole_values = a.attention.value_projection == "full"
    attention = width * width * (2 if whole_values else 1) + grouped * (2 if whole_values else 1)
    layers = sum(attention * layer.attends + a.feed_forward_weights(layer) for layer in a.own_layers)
    return layers + a.vocab_size * width * (1 if a.tied_embeddings else 2)


def machine_bytes() -> int | None:
    """The memory of this machine, or of its largest GPU where that has more; None where nobody tells."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    # Where torch is not imported yet, nobody has asked for a GPU.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        count = torch.cuda.device_count()
        found = max(found, *(torch.cuda.get_device_properties(i).total_memory for i in range(count)))
    return found


def _short(amount: int) -> str:
    for size, name in ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M")):
        if amount >= size:
            return f"{amount / size:.3g} {name}"
    return f"{amount} "
