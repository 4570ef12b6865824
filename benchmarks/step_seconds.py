"""What a training step costs beside its FLOPs: the constant behind the forecast of `aero-search plan`.

Networks of several widths are trained for 100 and for 300 steps in turn; the difference is 200 steps without what
begins and ends a training. Seconds a step are fitted as FLOPs / pace + overhead by least squares of relative
errors, with bootstrap intervals over the readings.

    OMP_NUM_THREADS=1 python -m benchmarks.step_seconds [--rounds 3] [--output benchmarks/results/step_seconds.txt]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aero_search.api.training import train_request
from aero_search.config.compose import compose_request
from aero_search.cost import flops
from aero_search.search.forecast import FORWARDS_A_STEP
from benchmarks.write_report import processor, say

STEPS = (100, 300)
# Width, layers, tokens a sequence, sequences a step.
SIZES = ((16, 2, 32, 8), (32, 2, 64, 8), (32, 4, 64, 8), (64, 4, 64, 8), (64, 4, 128, 8), (96, 4, 128, 8))
Array = npt.NDArray[np.float64]


def reading(size: tuple[int, int, int, int], text: Path, folder: Path) -> tuple[float, float]:
    """FLOPs of one step, and seconds of one step: of 200, the first 100 of a training taken away."""
    width, layers, length, batch = size
    seconds = []
    for steps in STEPS:
        said = [
            f"model.d_model={width}",
            f"model.n_layer={layers}",
            f"model.n_head={width // 16}",
            f"model.seq_len={length}",
            "model.vocab_size=512",
            "data=text_folder",
            f"data.path={text}",
            f"recipe.batch_size={batch}",
            f"recipe.steps={steps}",
            f"recipe.validate_every={steps}",
            "recipe.validation_sequences=16",
            "tracking=none",
            "search.threads=1",
            f"output_dir={folder / str(steps)}",
        ]
        request = compose_request("train", {}, said)
        seconds.append(train_request(request).result.seconds)
    work = FORWARDS_A_STEP * flops(request.architecture).total * batch
    return work, (seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0])


def fit(readings: Sequence[tuple[float, float]]) -> Array:
    """Seconds a FLOP and seconds a step."""
    work, seconds = np.array(readings).T
    design = np.column_stack([work, np.ones_like(work)]) / seconds[:, None]
    return np.asarray(np.linalg.lstsq(design, np.ones_like(work), rcond=None)[0], dtype=np.float64)


def report(readings: Sequence[tuple[tuple[int, int, int, int], float, float]]) -> str:
    """The readings, and what they say of pace and overhead."""
    told = [(work, seconds) for _, work, seconds in readings]
    whole, random = fit(told), np.random.default_rng(0)
    drawn = np.array(
        [fit([told[i] for i in random.integers(len(told), size=len(told))]) for _ in range(1000)]
    )
    low, high = np.quantile(drawn[:, 1], [0.025, 0.975])
    lines = [f"{'width, layers, tokens, batch':<28} {'MFLOPs a step':>14} {'ms a step':>10} {'fitted':>8}"]
    for size, work, seconds in readings:
        fitted = whole @ (work, 1.0)
        lines.append(f"{size!s:<28} {work / 1e6:>14.0f} {1e3 * seconds:>10.2f} {1e3 * fitted:>8.2f}")
    lines += [
        "",
        f"overhead of a step: {1e3 * whole[1]:.2f} ms (95 % interval {1e3 * low:.2f} to {1e3 * high:.2f}); "
        f"pace: {1e-9 / whole[0]:.1f} GFLOPs a second",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as place:
        text = Path(place) / "text"
        text.mkdir()
        for name in ("README.md", *(str(path) for path in sorted(Path("docs").glob("*.md")))):
            (text / Path(name).name).write_text(Path(name).read_text())
        # In turn, so that whatever else the machine does meets all sizes alike.
        for turn in range(arguments.rounds):
            for size in SIZES:
                found.append((size, *reading(size, text, Path(place) / f"{turn}")))
                print(*found[-1], flush=True)
    head = f"{processor()}, one thread; Muon, the default recipe\n\n"
    say(head + report(found) + "\n", arguments.output, "python -m benchmarks.step_seconds")


if __name__ == "__main__":
    main()
