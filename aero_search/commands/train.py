"""`aero-search train`: one candidate; a --multirun sweep goes to the sweeper and its workers instead."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from aero_search.config.command import Command
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.training.result import RESULT_FILE, Result, read_result


def run(request: Request) -> Result:
    """Train the request's candidate, log it, and say what came out."""
    from aero_search.data import prepare
    from aero_search.search.candidate import make_candidate
    from aero_search.search.run import train_candidate
    from aero_search.tracking.tracker import Tracker

    views = _views()
    console = views.make_console()
    architecture, recipe, compute = request.architecture, request.recipe, request.compute
    compute.check(recipe)
    costs = request.pricing(architecture)
    output_dir = writable(request.output_dir.resolve())
    corpus = prepare(request.data, architecture.vocab_size)
    candidate = make_candidate(architecture, recipe, corpus.fingerprint, config=request.portable())
    folder = Path(request.output_dir) / "train" / candidate.identity
    if (folder / RESULT_FILE).is_file():
        console.print(f"already trained with this recipe, seed and corpus; delete {folder} to train again")
        result = read_result(folder)
    else:
        tracker = Tracker.open(request.tracking, output_dir)
        tracker.initialize()
        tracked = tracker.start_candidate(
            None,
            candidate.notation,
            params=dict(override_params(request)),
            costs={**costs, **request.pricing.by_part(architecture)},
            tags={},
        )
        with views.TrainingView(candidate.notation, recipe.steps, console) as view:
            result = train_candidate(
                candidate, corpus, folder, tracked, (view,), request.search.threads, compute
            )
    views.print_result(result, costs, folder, console, request.target.text if request.target else "")
    return result


def _views() -> Any:
    """What shows the training: bars and tables, or plain lines where `rich` is not installed."""
    try:
        return importlib.import_module("aero_search.report.train")
    except ModuleNotFoundError as problem:
        if problem.name != "rich":
            raise
        return importlib.import_module("aero_search.report.train_plain")


def override_params(request: Request) -> dict[str, object]:
    """The user's overrides as parameters of a run."""
    pairs = (override.lstrip("+~").partition("=") for override in request.overrides)
    return {name: value for name, _, value in pairs}


COMMAND = Command("train", run, sweep="study")
