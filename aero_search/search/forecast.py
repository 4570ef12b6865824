"""How long a search will take: from trainings that were done here, or from one that was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aero_search.architecture import Architecture
from aero_search.cost import flops
from aero_search.errors import AeroSearchError
from aero_search.schema import from_mapping
from aero_search.search.files import ARCHITECTURE_FILE
from aero_search.training.recipe import Recipe
from aero_search.training.result import RESULT_FILE
from aero_search.user_files import read_settings

# A forward pass and a backward pass of twice its FLOPs (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
FORWARDS_A_STEP = 3
# What a step costs beside its FLOPs: Python, the optimizer, many small operations; narrow networks are mostly this.
# benchmarks/results/step_seconds.txt: 2.95 ms on an idle core, 2.4 to 4.3.
STEP_SECONDS = 0.003
# benchmarks/results/default_search.txt: SM + LN + G of the proxy (83.9 MFLOPs a forward pass of 128 tokens), 1,200
# steps of 8 sequences in 56 s beside another worker, one x86-64 core each.
MEASURED_FLOPS_PER_SECOND = FORWARDS_A_STEP * 83.9e6 * 1200 * 8 / (56 - 1200 * STEP_SECONDS)
MEASURED = "the default proxy's 56 s on one x86-64 core, by FLOPs and steps"
_MOST_RESULTS = 500


@dataclass(frozen=True)
class Pace:
    """How fast trainings run.

    Attributes:
        flops_per_second: of training, forward and backward, a worker.
        source: what it was taken from, in words.
        step_seconds: of a step beside its FLOPs; 0 where the pace is of networks of the same size, and has them.
    """

    flops_per_second: float
    source: str
    step_seconds: float = 0.0

    def seconds(self, forward_flops: float, recipe: Recipe) -> float:
        """Seconds of one training, validations left out.

        Args:
            forward_flops: of one sequence, 2 x MACs.
        """
        sequences = recipe.steps * recipe.batch_size * recipe.accumulate
        return (
            recipe.steps * self.step_seconds
            + FORWARDS_A_STEP * forward_flops * sequences / self.flops_per_second
        )


def find_pace(output_dir: Path, like: Architecture) -> Pace:
    """The median pace of the trainings under `output_dir`, of the size of `like` where there are such."""
    paces = list(_paces(output_dir))
    size = _size(like)
    same = [whole for shape, whole, _ in paces if shape == size]
    chosen = same or [by_flops for _, _, by_flops in paces]
    if not chosen:
        return Pace(MEASURED_FLOPS_PER_SECOND, MEASURED, STEP_SECONDS)
    sizes = "of this size" if same else "of other sizes, by FLOPs and steps"
    trainings = "training" if len(chosen) == 1 else "trainings"
    source = f"{len(chosen)} {trainings} {sizes} under {output_dir}"
    return Pace(statistics.median(chosen), source, 0.0 if same else STEP_SECONDS)


def _paces(output_dir: Path) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Of each training its size, and its FLOPs a second: in all its time, and in what its steps leave of that."""
    files = list(output_dir.glob(f"studies/*/candidates/*/{RESULT_FILE}")) + list(
        output_dir.glob(f"train/*/{RESULT_FILE}")
    )
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[:_MOST_RESULTS]:
        try:
            result = json.loads(path.read_text())
            said = read_settings(path.parent / ARCHITECTURE_FILE)
            a = from_mapping(Architecture, said, "architecture")
            tokens, seconds = float(result["tokens"]), float(result["seconds"])
            # At least half is left: a machine may be faster than the one that the overhead was read on.
            left = max(seconds - float(result["steps"]) * STEP_SECONDS, seconds / 2)
        except (OSError, ValueError, KeyError, TypeError, AeroSearchError):
            continue  # a folder that is not whole tells nothing
        if tokens > 0 and seconds > 0:
            done = FORWARDS_A_STEP * flops(a).total * tokens / a.seq_len
            yield _size(a), done / seconds, done / left


def _size(a: Architecture) -> tuple[int, ...]:
    return a.n_layer, a.d_model, a.seq_len, a.vocab_size
