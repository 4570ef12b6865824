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
# benchmarks/results/default_search.txt: SM + LN + G of the proxy (83.9 MFLOPs a forward pass of 128 tokens), 1,200
# steps of 8 sequences in 56 s beside another worker, one x86-64 core each.
MEASURED_FLOPS_PER_SECOND = FORWARDS_A_STEP * 83.9e6 * 1200 * 8 / 56
MEASURED = "the default proxy's 56 s on one x86-64 core, by FLOPs"
_MOST_RESULTS = 500


@dataclass(frozen=True)
class Pace:
    """How fast trainings run.

    Attributes:
        flops_per_second: of training, forward and backward, a worker.
        source: what it was taken from, in words.
    """

    flops_per_second: float
    source: str

    def seconds(self, forward_flops: float, recipe: Recipe) -> float:
        """Seconds of one training, validations left out.

        Args:
            forward_flops: of one sequence, 2 x MACs.
        """
        sequences = recipe.steps * recipe.batch_size * recipe.accumulate
        return FORWARDS_A_STEP * forward_flops * sequences / self.flops_per_second


def find_pace(output_dir: Path, like: Architecture) -> Pace:
    """The median pace of the trainings under `output_dir`, of the size of `like` where there are such."""
    paces = list(_paces(output_dir))
    size = _size(like)
    same = [pace for shape, pace in paces if shape == size]
    chosen = same or [pace for _, pace in paces]
    if not chosen:
        return Pace(MEASURED_FLOPS_PER_SECOND, MEASURED)
    sizes = "of this size" if same else "of other sizes, by FLOPs"
    trainings = "training" if len(chosen) == 1 else "trainings"
    return Pace(statistics.median(chosen), f"{len(chosen)} {trainings} {sizes} under {output_dir}")


def _paces(output_dir: Path) -> Iterator[tuple[tuple[int, ...], float]]:
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
        except (OSError, ValueError, KeyError, TypeError, AeroSearchError):
            continue  # a folder that is not whole tells nothing
        if tokens > 0 and seconds > 0:
            yield _size(a), FORWARDS_A_STEP * flops(a).total * tokens / a.seq_len / seconds


def _size(a: Architecture) -> tuple[int, ...]:
    return a.n_layer, a.d_model, a.seq_len, a.vocab_size
