"""Trains one candidate: what `aero-search train` and `aero_search.train` both do."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aero_search.api.pricing import read
from aero_search.app.corpora import prepared
from aero_search.architecture import Architecture
from aero_search.config.compose import compose_request
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError
from aero_search.init.sizes import unserved
from aero_search.integrity import tell
from aero_search.schema import to_mapping
from aero_search.training.memory import check_fits
from aero_search.training.progress import Listener
from aero_search.training.result import RESULT_FILE, Result, check_weights, read_result


@dataclass(frozen=True)
class Training:
    """A training that is over.

    Attributes:
        costs: every known metric of the candidate.
        folder: holds config, architecture, weights and result.
        reused: it had been trained before, to the last bit as asked for; nothing was trained now.
    """

    result: Result
    costs: Mapping[str, float]
    folder: Path
    reused: bool = False


def train(
    architecture: Architecture | str,
    *,
    data: str | None = None,
    recipe: str | None = None,
    output_dir: str | Path = "outputs",
    progress: bool = True,
    overrides: Sequence[str] = (),
) -> Result:
    """Train one architecture, as `aero-search train` does; a training that is there already is read instead.

    Weights, the composed config and the result lie under `OUTPUT_DIR/train/`; the run is logged to MLflow.

    Args:
        architecture: or a name in the paper's notation, at the size of the proxy.
        data: an option of the group `data`; None is the default corpus.
        recipe: an option of the group `recipe`; None is the default one.
        progress: show a bar on a terminal, and a line a validation elsewhere.
        overrides: any other setting as on the command line, such as `recipe.steps=100` or `tracking=none`.

    Raises:
        RequestError: a setting is wrong, with the nearest choice.
        AeroSearchError: the training failed.
    """
    whole = to_mapping(read(architecture))
    settings = {"data": data, "recipe": recipe, "output_dir": output_dir}
    request = compose_request("train", settings, overrides, architecture=whole)
    if not progress:
        return train_request(request).result
    views = training_views()
    console = views.make_console()
    return train_request(request, lambda title, steps: views.TrainingView(title, steps, console)).result


def train_request(
    request: Request, view: Callable[[str, int], AbstractContextManager[Listener]] | None = None
) -> Training:
    """Train the request's candidate and log it, or read the result of the same training.

    Args:
        view: from a title and a number of steps to what shows the training.

    Raises:
        RequestError: some part of the request is wrong.
        AeroSearchError: the training failed.
    """
    from aero_search.data.windows import check_long_enough
    from aero_search.search.candidate import make_candidate
    from aero_search.search.run import train_candidate
    from aero_search.tracking.opening import open_tracker

    architecture, recipe, compute = request.architecture, request.recipe, request.compute
    compute.check(recipe)
    check_fits(architecture)
    price = request.pricing.price(architecture)
    output_dir = writable(request.output_dir.resolve())
    recovery = request.recovery
    corpus = prepared(request)
    check_long_enough(corpus, architecture.seq_len, recipe.batch_size, recipe.validation_sequences)
    candidate = make_candidate(
        architecture, recipe, corpus.fingerprint, config=request.portable(), recovery=recovery
    )
    folder = Path(request.output_dir) / "train" / candidate.identity
    if (known := _known(folder)) is not None:
        return Training(known, price.costs, folder, reused=True)
    if recovery is not None:
        for lost in unserved(recovery.checkpoint.architecture, architecture):
            tell(f"no rule carries weights into {lost}")
    tracker = open_tracker(request.tracking, output_dir)
    tracker.initialize()
    tracked = tracker.start_candidate(
        None,
        candidate.notation,
        params=dict(_override_params(request)),
        costs=price.figures,
        tags={},
    )

    def run(*listeners: Listener) -> Result:
        threads = request.search.threads
        return train_candidate(candidate, corpus, folder, tracked, listeners, threads, compute)

    if view is None:
        return Training(run(), price.costs, folder)
    with view(candidate.notation, recipe.steps) as shown:
        return Training(run(shown), price.costs, folder)


def _known(folder: Path) -> Result | None:
    """The result of an earlier training; None where there is none, or a damaged one."""
    if not (folder / RESULT_FILE).exists():
        return None
    try:
        result = read_result(folder)
        check_weights(folder, result)
    except AeroSearchError as problem:
        tell(f"{problem}; it is trained again")
        return None
    return result


def training_views() -> Any:
    """What shows the training: bars and tables, or plain lines where `rich` is not installed."""
    try:
        return importlib.import_module("aero_search.report.train")
    except ModuleNotFoundError as problem:
        if problem.name != "rich":
            raise
        return importlib.import_module("aero_search.report.train_plain")


def _override_params(request: Request) -> dict[str, object]:
    """The user's overrides as parameters of a run."""
    pairs = (override.lstrip("+~").partition("=") for override in request.overrides)
    return {name: value for name, _, value in pairs}
